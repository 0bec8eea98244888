// Package notify tells others what happens to rollouts: it posts their events, in order, to the URLs that a fleet's policy names,
// again until they are taken. Every replica runs it; the store sees to it that one sends.
//
// It knows events and how to post them, and nothing of how rollouts proceed.
package notify

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/outbound"
	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

const (
	// lookEvery is how often new events are looked for.
	lookEvery = time.Second
	// sendTimeout bounds one post, and storeTimeout one access to the store.
	sendTimeout  = 5 * time.Second
	storeTimeout = 5 * time.Second
	// atATime is how many events are sent before others may take over; held is for how long one replica may take.
	atATime = 20
	held    = 3 * time.Minute
	// firstPause doubles with every attempt, to longestPause. An event that is older than keepTrying is given up.
	firstPause   = time.Second
	longestPause = 5 * time.Minute
	keepTrying   = 24 * time.Hour
	// fleetPage is how many fleets are read at a time.
	fleetPage = 100
)

// usual are the events that a notification without a list is about.
var usual = []string{"started", "step", "held", "awaiting_approval", "completed", "rolled_back", "aborted", "superseded"}

// Config is what a sender needs.
type Config struct {
	Store *store.Store
	Log   *slog.Logger
	// Client posts; nil takes one that refuses link-local addresses and the metadata services of clouds.
	Client *http.Client
	// UserAgent is what the told see.
	UserAgent string
}

// Sender sends until its Run ends.
type Sender struct {
	config Config
	client *http.Client
}

// NewSender makes a sender. It does nothing before Run.
func NewSender(config Config) *Sender {
	client := config.Client
	if client == nil {
		client = outbound.NewClient(sendTimeout)
	}
	return &Sender{config: config, client: client}
}

// Run sends what happens until ctx is done. Trouble with the store is logged and passes.
func (s *Sender) Run(ctx context.Context) error {
	ticks := time.NewTicker(lookEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.config.Log.WarnContext(ctx, "notifications cannot be looked for; it is tried again", "error", err)
		}
	}
}

func (s *Sender) look(ctx context.Context) error {
	for after, more := "", true; more; {
		var fleets []store.Fleet
		err := s.config.Store.View(ctx, func(tx *store.Tx) (err error) {
			fleets, err = tx.Fleets(ctx, after, fleetPage)
			return err
		})
		if err != nil {
			return err
		}
		for _, fleet := range fleets {
			after = fleet.Name
			var policy configv1.FleetPolicy
			if err := proto.Unmarshal(fleet.Policy, &policy); err != nil {
				return fmt.Errorf("reading the policy of fleet %q: %w", fleet.Name, err)
			}
			for _, notification := range policy.GetNotifications() {
				if err := s.notify(ctx, fleet, notification); err != nil {
					return err
				}
			}
		}
		more = len(fleets) == fleetPage
	}
	return nil
}

// notify sends what one notification has not sent yet, if it is due.
func (s *Sender) notify(ctx context.Context, fleet store.Fleet, to *configv1.Notification) error {
	at, events, err := s.claim(ctx, fleet, to)
	if err != nil || events == nil {
		return err
	}
	why, pause := "", time.Duration(0)
	for _, event := range events {
		if s.wants(to, event.Type) {
			if err := s.send(ctx, fleet.Name, to, event); err != nil {
				if ctx.Err() != nil {
					break
				}
				if time.Since(event.At) < keepTrying {
					why, pause = err.Error(), pauseAfter(at.Attempts)
					at.Attempts++
					break
				}
				s.config.Log.WarnContext(ctx, "an event is not told", "notification", to.GetName(), "event", event.ID, "error", err)
			}
		}
		at.LastEvent, at.Attempts = event.ID, 0
	}
	// What was sent is written down, also when the process ends.
	writing, done := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer done()
	return s.config.Store.InTx(writing, func(tx *store.Tx) error {
		return tx.SettleNotification(writing, fleet.ID, to.GetName(), at, why, pause)
	})
}

// claim takes it on to send. There are no events if there is nothing to do.
func (s *Sender) claim(ctx context.Context, fleet store.Fleet, to *configv1.Notification) (at store.NotificationCursor, events []store.NotifiedEvent, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err = s.config.Store.InTx(ctx, func(tx *store.Tx) error {
		var claimed bool
		if at, claimed, err = tx.ClaimNotification(ctx, fleet.ID, to.GetName(), held); err != nil || !claimed {
			return err
		}
		if events, err = tx.EventsToNotify(ctx, fleet.ID, at.LastEvent, atATime); err != nil || len(events) > 0 {
			return err
		}
		events = nil
		return tx.SettleNotification(ctx, fleet.ID, to.GetName(), at, "", 0)
	})
	return at, events, err
}

func (s *Sender) wants(to *configv1.Notification, kind string) bool {
	if len(to.GetEvents()) == 0 {
		return slices.Contains(usual, kind)
	}
	return slices.Contains(to.GetEvents(), kind)
}

func pauseAfter(attempts int32) time.Duration {
	return min(firstPause<<min(attempts, 20), longestPause)
}

func (s *Sender) send(ctx context.Context, fleet string, to *configv1.Notification, event store.NotifiedEvent) error {
	body, err := bodyOf(fleet, to.GetFormat(), event)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.GetUrl(), bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("making the post: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", s.config.UserAgent)
	response, err := s.client.Do(request)
	if err != nil {
		return fmt.Errorf("posting: %w", withoutURL(err))
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16))
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("the answer is %d", response.StatusCode)
	}
	return nil
}
