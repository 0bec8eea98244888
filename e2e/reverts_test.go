package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"tidegate.dev/e2e/harness"
	"tidegate.dev/e2e/history"
)

func decode(r harness.Response, out any) error { return json.Unmarshal([]byte(r.Body), out) }

// revisions reads all revisions of a fleet.
func revisions(t *testing.T, s *harness.Stack, fleet string) (all []revision) {
	t.Helper()
	for token := ""; ; {
		var page struct {
			Revisions []revision `json:"revisions"`
			Next      string     `json:"next_page_token"`
		}
		if r := s.Admin(http.MethodGet, "/v1/fleets/"+fleet+"/revisions?page_size=1000&page_token="+token, nil, &page); r.Status != http.StatusOK {
			t.Fatalf("listing revisions: %d %s", r.Status, r.Body)
		}
		all = append(all, page.Revisions...)
		if token = page.Next; token == "" {
			return all
		}
	}
}

// revision is what the tests read of one.
type revision struct {
	Number  int    `json:"number"`
	Parent  int    `json:"parent"`
	Origin  string `json:"origin"`
	Message string `json:"message"`
}

// recordReverts adds to a history what the leader did by itself: the revisions that it made of rollouts that ended without theirs.
// Where an operator was told that the rollout was aborted, the revert must lie between the question and the answer.
func recordReverts(t *testing.T, s *harness.Stack, recorder *history.Recorder, operators []*operator, fleet string) {
	t.Helper()
	known := map[int]span{}
	for _, o := range operators {
		if o.fleet != fleet {
			continue
		}
		for rejected, when := range o.ended {
			known[rejected] = when
		}
	}
	for _, made := range revisions(t, s, fleet) {
		if made.Origin != "revert" {
			continue
		}
		rejected := 0
		if _, err := fmt.Sscanf(made.Message, "Revert of revision %d", &rejected); err != nil {
			t.Fatalf("revision %d is a revert and says %q", made.Number, made.Message)
		}
		call := history.Call{Kind: history.Revert, Fleet: fleet, Changes: changesOf(t, s, fleet, made.Number)}
		when := known[rejected]
		recorder.Add(len(operators)+2, call, history.Answer{Outcome: history.Done, Revision: made.Number}, when.begin, when.end)
	}
}

// changesOf reads what a revision changed against its parent.
func changesOf(t *testing.T, s *harness.Stack, fleet string, number int) (changes []history.Change) {
	t.Helper()
	type resource struct {
		Service struct {
			URL string `json:"url"`
		} `json:"service"`
	}
	var diff struct {
		Changes []struct {
			Name   string   `json:"name"`
			Before resource `json:"before"`
			After  resource `json:"after"`
		} `json:"changes"`
	}
	if r := s.Admin(http.MethodGet, fmt.Sprintf("/v1/fleets/%s/revisions/%d:diff", fleet, number), nil, &diff); r.Status != http.StatusOK {
		t.Fatalf("reading what revision %d changed: %d %s", number, r.Status, r.Body)
	}
	for _, c := range diff.Changes {
		changes = append(changes, history.Change{Service: c.Name, Before: c.Before.Service.URL, After: c.After.Service.URL})
	}
	return changes
}
