package rollout_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tidegate.dev/controlplane/rollout"
)

// crowd is a Store of four fleets: one is sound, and three are broken, each in its way.
type crowd struct{ *simulation }

func (c crowd) Fleets(ctx context.Context) ([]int64, error) {
	_, err := c.simulation.Fleets(ctx)
	return []int64{4, 3, 2, 1}, err
}

func (c crowd) Load(ctx context.Context, fleet int64) (rollout.State, time.Time, error) {
	switch fleet {
	case 2:
		return rollout.State{}, time.Time{}, errBroken
	case 3:
		panic("a fleet that nobody thought of")
	case 4:
		<-ctx.Done()
		return rollout.State{}, time.Time{}, ctx.Err()
	}
	return c.simulation.Load(ctx, fleet)
}

func TestOneFleetsErrorNeverStopsAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 1)
		s.strategy = strategies(t)[0]
		s.join(2)
		controller := rollout.NewController(crowd{s}, s, rollout.ControllerConfig{Holder: "a"})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- controller.Run(ctx) }()
		id, begun := s.publish(), time.Now()
		for s.stateOf(id) != rollout.Completed && time.Since(begun) < time.Minute {
			s.turn(0)
			pass(50 * time.Millisecond)
		}
		if took := time.Since(begun); took > 33*time.Second {
			t.Errorf("the sound fleet took %s and is %s", took, s.stateOf(id))
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// Only the files that stand between the heart and Postgres may know the store.
func TestHeartKnowsNoStoreAndNoClock(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	outer := map[string][]string{
		`"tidegate.dev/controlplane/store"`: {"postgres.go", "row.go", "service.go", "detail.go", "strategies.go", "trialservice.go"},
		"time.Now(":                         {"controller.go"},
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for word, allowed := range outer {
			if strings.Contains(string(content), word) && !strings.Contains(strings.Join(allowed, " "), file) {
				t.Errorf("%s has %s", file, word)
			}
		}
	}
}

// A look at a fleet of ten thousand agents, a hundred of which hold the candidate, with 20 routes on which something went wrong.
func BenchmarkDecide(b *testing.B) {
	for _, agents := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint(agents, " agents"), func(b *testing.B) {
			state := rollout.State{Plan: strategies(b)[0], Rollout: rollout.Rollout{
				ID: 1, Revision: 5, StableRevision: 4, State: rollout.Running, SharePPM: 100_000, JudgedAgents: agents, JudgedRoutes: 100,
				StepAt: goldenNow.Add(-5 * time.Second), ServingAt: goldenNow.Add(-4 * time.Second),
			}}
			for i := range agents {
				name := fmt.Sprintf("edge-%d", i)
				state.Agents = append(state.Agents, rollout.Agent{ID: name, Name: name, BootID: "b", Alive: true, Status: "serving", Candidate: 5})
				if i < agents/100+1 {
					state.Members = append(state.Members, rollout.Member{AgentID: name, Name: name, BootID: "b"})
				}
			}
			for i := range 20 {
				route := fmt.Sprintf("route-%d", i)
				state.Sums = append(state.Sums,
					rollout.Sum{Metric: "requests", Route: route, SharePPM: 100_000, Candidate: 1000, Control: 9000, InStable: true},
					rollout.Sum{Metric: "upstream_5xx", Route: route, SharePPM: 100_000, Candidate: 10, Control: 90, InStable: true})
			}
			state.Verdicts = rollout.Look(goldenNow, state) // known already
			b.ReportAllocs()
			for b.Loop() {
				rollout.Decide(goldenNow, state)
			}
		})
	}
}
