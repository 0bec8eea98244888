package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// watch notes when each agent had what it should have for the first time: a revision that it acknowledged serving, or the end
// of a key. It is safe for concurrent use.
type watch struct {
	mu    sync.Mutex
	times map[string]map[int]time.Time // by what, by agent
}

func newWatch() *watch { return &watch{times: map[string]map[int]time.Time{}} }

func revisionName(number int64) string { return "revision " + strconv.FormatInt(number, 10) }
func keyName(id string) string         { return "key " + id }

func (w *watch) served(agent int, state *agentv1.DesiredState) {
	now := time.Now()
	w.note(agent, revisionName(state.GetStable().GetRevision()), now)
	if state.GetCandidate() != nil {
		w.note(agent, revisionName(state.GetCandidate().GetRevision()), now)
	}
}

func (w *watch) delivered(agent int, batch *agentv1.LaneBatch) {
	now := time.Now()
	for _, entry := range batch.GetEntries() {
		if entry.GetKind() == configv1.Kind_KIND_KEY && entry.GetDeleted() {
			w.note(agent, keyName(entry.GetName()), now)
		}
	}
}

func (w *watch) note(agent int, what string, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.times[what] == nil {
		w.times[what] = map[int]time.Time{}
	}
	if w.times[what][agent].IsZero() {
		w.times[what][agent] = at
	}
}

// await waits until so many agents have it, and returns how long after a moment each had.
func (w *watch) await(ctx context.Context, what string, agents int, since time.Time) (took []time.Duration, err error) {
	for {
		w.mu.Lock()
		count := len(w.times[what])
		if count == agents {
			for _, at := range w.times[what] {
				took = append(took, at.Sub(since))
			}
			delete(w.times, what)
		}
		w.mu.Unlock()
		if took != nil {
			return took, nil
		}
		if err := pause(ctx); err != nil {
			return nil, fmt.Errorf("%d of %d agents have %s: %w", count, agents, what, err)
		}
	}
}
