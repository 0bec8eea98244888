package rollout_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tidegate.dev/controlplane/local/pgtest"
	"tidegate.dev/controlplane/rollout"
	"tidegate.dev/controlplane/store"
)

func typesOf(detail rollout.Detail) string {
	var types []string
	for _, event := range detail.Events {
		types = append(types, event.Type)
	}
	return strings.Join(types, " ")
}

const quietWay = "created started serving step serving step serving completed"

func TestControllersThatRaceTakeEachStepOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.join("edge-1", "edge-2", "edge-3")
	controllers := map[*rollout.Controller]func(){}
	for _, holder := range []string{"a", "b", "c"} {
		controller := f.controller(holder)
		controllers[controller] = f.goes(controller.Run)
	}
	f.ends(f.publish("orders", "/orders", quick()), rollout.Completed)
	id := f.publish("orders", "/v2", quick())
	f.reaches(id, "the first step", func(d rollout.Detail) bool { return d.State == rollout.Running })
	leading := 0
	for controller, stop := range controllers {
		if controller.Leading() {
			leading++
			stop() // in the middle of a step
		}
	}
	if leading != 1 {
		t.Errorf("%d controllers lead", leading)
	}
	if detail := f.ends(id, rollout.Completed); typesOf(detail) != quietWay {
		t.Errorf("events %s, want %s", typesOf(detail), quietWay)
	}
}

func TestLeaderThatThawsChangesNothing(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.join("edge-1")
	id := f.publish("orders", "/orders", quick())
	s := rollout.NewPostgres(f.store)
	frozen := lead(t, s, "frozen", time.Millisecond)
	state, now, err := s.Load(t.Context(), f.ID)
	if err != nil {
		t.Fatal(err)
	}
	change, err := state.Fold(now, rollout.Decide(now, state))
	if err != nil {
		t.Fatal(err)
	}
	other := lead(t, s, "other", time.Minute)
	if other.Token <= frozen.Token {
		t.Errorf("the token went from %d to %d", frozen.Token, other.Token)
	}
	// It thaws: it decided in good faith, before the other led.
	if err := s.Apply(t.Context(), frozen, change); !errors.Is(err, rollout.ErrStale) {
		t.Errorf("the frozen leader's change: %v, want ErrStale", err)
	}
	if err := s.Renew(t.Context(), frozen, time.Minute); !errors.Is(err, rollout.ErrStale) {
		t.Errorf("renewing the frozen leader's lease: %v, want ErrStale", err)
	}
	if detail := f.get(id); detail.State != rollout.Queued || len(detail.Events) != 1 || f.head().Generation != 0 {
		t.Errorf("the frozen leader changed something: %+v", detail)
	}
	if err := s.Apply(t.Context(), other, change); err != nil {
		t.Fatal(err)
	}
	if err := s.Apply(t.Context(), other, change); !errors.Is(err, rollout.ErrStale) {
		t.Errorf("the same change again: %v, want ErrStale", err)
	}
}

func lead(t *testing.T, s *rollout.Postgres, holder string, length time.Duration) rollout.Lease {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		lease, held, err := s.Lead(t.Context(), holder, length)
		if err != nil {
			t.Fatal(err)
		}
		if held {
			return lease
		}
		select {
		case <-deadline:
			t.Fatal("the lease of the other never ran out")
		case <-tick.C:
		}
	}
}

func TestPostgresKilledDuringARollout(t *testing.T) {
	t.Parallel()
	server := pgtest.Private(t)
	s, err := store.Open(t.Context(), store.Config{DatabaseURL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := newFleetOn(t, s)
	f.goes(f.controller("a").Run)
	f.goes(f.controller("b").Run)
	f.join("edge-1", "edge-2")
	f.ends(f.publish("orders", "/orders", quick()), rollout.Completed)
	id := f.publish("orders", "/v2", quick())
	for step := range 2 {
		f.reaches(id, "the step before the kill", func(d rollout.Detail) bool { return d.State == rollout.Running && d.Step >= step })
		if err := server.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := server.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if detail := f.ends(id, rollout.Completed); typesOf(detail) != quietWay {
		t.Errorf("events %s, want %s", typesOf(detail), quietWay)
	}
}

func TestWatchersSeeItComeAndEnd(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.goes(f.controller("a").Run)
	f.join("edge-1")
	f.ends(f.publish("orders", "/orders", quick()), rollout.Completed)
	id := f.publish("orders", "/v2", quick())
	var seen []string
	err := f.service.Watch(t.Context(), f.Name, id, func(d rollout.Detail) error {
		if len(seen) == 0 || seen[len(seen)-1] != d.State {
			seen = append(seen, d.State)
		}
		return nil
	})
	if err != nil || len(seen) < 2 || seen[len(seen)-1] != rollout.Completed {
		t.Errorf("saw %v, %v", seen, err)
	}
	gone := errors.New("the client went away")
	if err := f.service.Watch(t.Context(), f.Name, id, func(rollout.Detail) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("a client that goes away: %v", err)
	}
	if _, err := f.service.Get(t.Context(), f.Name, 999); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a rollout that is not there: %v", err)
	}
}

func TestCommandIsKeptWhenNobodyLeads(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.join("edge-1")
	stop := f.goes(f.controller("a").Run)
	f.ends(f.publish("orders", "/orders", quick()), rollout.Completed)
	id := f.publish("orders", "/v2", long())
	f.reaches(id, "its first step", running(0))
	stop()
	ticket, err := f.service.Request(t.Context(), f.Name, id, rollout.Abort, "ada", "nobody is there")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.service.Await(ctx, ticket); !errors.Is(err, context.Canceled) {
		t.Errorf("waiting with a context that ended: %v", err)
	}
	f.goes(f.controller("b").Run)
	f.ends(id, rollout.Aborted)
	var wrong *rollout.WrongState
	if _, err := f.service.Request(t.Context(), f.Name, id, rollout.Pause, "ada", ""); !errors.As(err, &wrong) || !strings.Contains(err.Error(), "nothing can be asked of it") {
		t.Errorf("pausing what has ended: %v", err)
	}
}

func TestRolloutsAreListedPageByPage(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.goes(f.controller("a").Run)
	var last int64
	for _, path := range []string{"/1", "/2", "/3", "/4", "/5"} {
		last = f.publish("orders", path, quick())
		f.ends(last, rollout.Completed)
	}
	var ids []int64
	for before, pages := int64(0), 0; pages < 4; pages++ {
		page, next, err := f.service.List(t.Context(), f.Name, rollout.ListOptions{Before: before, Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, detail := range page {
			ids = append(ids, detail.ID)
		}
		if before = next; next == 0 {
			break
		}
	}
	if len(ids) != 5 || ids[0] != last {
		t.Errorf("listed %v, want five from %d down", ids, last)
	}
	page, _, err := f.service.List(t.Context(), f.Name, rollout.ListOptions{State: rollout.Running})
	if err != nil || len(page) != 0 {
		t.Errorf("running are %d, %v", len(page), err)
	}
}
