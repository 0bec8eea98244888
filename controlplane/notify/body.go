package notify

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"tidegate.dev/controlplane/store"
)

// told is an event as JSON.
type told struct {
	// ID is the same if the event comes twice.
	ID             string    `json:"id"`
	Time           time.Time `json:"time"`
	Fleet          string    `json:"fleet"`
	Type           string    `json:"type"`
	Message        string    `json:"message"`
	Actor          string    `json:"actor,omitempty"`
	Rollout        string    `json:"rollout"`
	Revision       int64     `json:"revision"`
	StableRevision int64     `json:"stable_revision"`
	Step           int32     `json:"step"`
	State          string    `json:"state"`
	Strategy       string    `json:"strategy"`
}

const formatSlack = "slack"

// slackText escapes what Slack takes for its markup; evidence is below or above a threshold.
var slackText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

func bodyOf(fleet, format string, e store.NotifiedEvent) ([]byte, error) {
	var value any = told{
		ID: strconv.FormatInt(e.ID, 10), Time: e.At.UTC(), Fleet: fleet, Type: e.Type, Message: e.Message, Actor: e.Actor,
		Rollout: strconv.FormatInt(e.RolloutID, 10), Revision: e.Revision, StableRevision: e.StableRevision, Step: e.Step,
		State: e.State, Strategy: e.Strategy,
	}
	if format == formatSlack {
		value = map[string]string{"text": slackText.Replace(line(fleet, e))}
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encoding an event: %w", err)
	}
	return encoded, nil
}

// line is an event in one line for people.
func line(fleet string, e store.NotifiedEvent) string {
	text := fmt.Sprintf("%s: rollout %d of revision %d: %s: %s", fleet, e.RolloutID, e.Revision, e.Type, e.Message)
	if e.Actor != "" {
		text += " (by " + e.Actor + ")"
	}
	return text
}

// withoutURL leaves the address out of an error: it may hold a secret.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
