package rollout_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"tidegate.dev/controlplane/rollout"
)

// bubble runs controllers on a simulation until it is over. Time in it is virtual.
func bubble(t *testing.T, s *simulation, controllers int, inside func(ctx context.Context)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, controllers)
	for i := range controllers {
		controller := rollout.NewController(s, s, rollout.ControllerConfig{Holder: fmt.Sprint("controller ", i)})
		go func() { done <- controller.Run(ctx) }()
	}
	inside(ctx)
	cancel()
	for range controllers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// pass lets virtual time go by.
func pass(d time.Duration) { <-time.After(d) }

func strategies(t testing.TB) []rollout.Plan {
	t.Helper()
	var plans []rollout.Plan
	for _, name := range rollout.ShippedNames() {
		plan, err := rollout.PlanOf(rollout.Shipped(name), false)
		if err != nil {
			t.Fatal(err)
		}
		plans = append(plans, plan)
	}
	return plans
}

// Whatever agents, people and the network do: members only grow, no step is taken twice, the holdback stays until the last
// step, every request of a person is dealt with once (all of which the simulation checks with every change), and every rollout
// comes to an end when the trouble is over.
func TestEveryRolloutEndsWhateverHappens(t *testing.T) {
	t.Parallel()
	plans := strategies(t)
	commands := []rollout.Command{rollout.Pause, rollout.Resume, rollout.Promote, rollout.PromoteFull, rollout.Approve, rollout.Abort}
	ends := map[string]int{}
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 2))
			s := newSimulation(t, seed)
			s.strategy = plans[random.IntN(len(plans))]
			s.unreliable = []float64{0, 0.02, 0.2}[random.IntN(3)]
			s.stable = random.Int64N(2)
			s.join(random.IntN(6))
			trouble := []float64{0, 0.001, 0.01}[random.IntN(3)]
			bubble(t, s, 1+random.IntN(3), func(context.Context) {
				for second := range 120 {
					for range 5 {
						s.turn(trouble)
						pass(200 * time.Millisecond)
					}
					switch {
					case second%20 == 0:
						s.publish()
					case random.IntN(40) == 0:
						s.ask(s.last-random.Int64N(2), commands[random.IntN(len(commands))])
					case random.IntN(50) == 0:
						s.join(1)
					}
				}
				s.settle()
			})
			for _, ended := range s.ended {
				ends[ended.State]++
			}
			if t.Failed() {
				t.Fatalf("with seed %d", seed)
			}
		})
	}
	t.Log("ends:", ends)
	for _, state := range []string{rollout.Completed, rollout.RolledBack, rollout.Aborted, rollout.Superseded} {
		if ends[state] == 0 {
			t.Errorf("no rollout ended %s: the simulation is too tame", state)
		}
	}
}

// settle ends all trouble, and waits until nothing is under way.
func (s *simulation) settle() {
	s.t.Helper()
	s.mu.Lock()
	s.unreliable = 0
	for i := range s.agents {
		s.agents[i].Alive, s.agents[i].Drain = true, false
	}
	s.mu.Unlock()
	for range 3600 {
		if s.idle() {
			return
		}
		s.mu.Lock()
		if s.active != nil && s.active.State == rollout.Paused && len(s.requests) == 0 {
			s.requested++
			s.requests = append(s.requests, rollout.Request{ID: s.requested, RolloutID: s.active.ID, Command: rollout.Resume, Actor: "ada"})
		}
		s.mu.Unlock()
		s.turn(0)
		pass(time.Second)
	}
	s.t.Errorf("a rollout did not end: active %+v, queued %+v", s.active, s.queued)
}

// A harmless candidate takes the time that its strategy says, and no longer.
func TestQuietRolloutTakesTheTimeOfItsStrategy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, 7)
		s.strategy = strategies(t)[0] // canary-then-all
		s.join(3)
		bubble(t, s, 2, func(context.Context) {
			id := s.publish()
			begun := time.Now()
			for s.stateOf(id) != rollout.Completed && time.Since(begun) < time.Minute {
				s.turn(0)
				pass(50 * time.Millisecond)
			}
			if took := time.Since(begun); took < 30*time.Second || took > 33*time.Second {
				t.Errorf("it took %s, want little more than twice 15s; it is %s", took, s.stateOf(id))
			}
		})
	})
}

// The database's clock may be set by an hour, forth or back, at any moment, also while another takes over: no step ends early,
// and none late.
func TestClockThatIsSetExpiresNothing(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 4))
			s := newSimulation(t, seed)
			s.strategy = strategies(t)[0]
			s.join(3)
			bubble(t, s, 1+random.IntN(2), func(context.Context) {
				s.stable = 1
				id := int64(0)
				begun := time.Now()
				jumpAt := 10*time.Second + time.Duration(random.IntN(20_000))*time.Millisecond
				for jumped := false; time.Since(begun) < 2*time.Minute; {
					s.turn(0)
					pass(50 * time.Millisecond)
					since := time.Since(begun)
					if id == 0 && since > 5*time.Second { // the controllers have seen the clock
						id = s.publish()
					}
					if !jumped && since > jumpAt {
						jumped = true
						s.setClock([]time.Duration{time.Hour, -time.Hour}[random.IntN(2)])
					}
					if id != 0 && s.stateOf(id) == rollout.Completed {
						break
					}
				}
				// A clock that is set forth ends the lease, so a new one must be asked for.
				if took := time.Since(begun) - 5*time.Second; took < 30*time.Second || took > 37*time.Second {
					t.Errorf("with seed %d it took %s and is %s", seed, took, s.stateOf(id))
				}
			})
		})
	}
}

func (s *simulation) setClock(by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set += by
}

// A controller that dies at any moment, without giving up its lease, is followed by another that goes on.
func TestControllerThatDiesIsFollowed(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 3))
			s := newSimulation(t, seed)
			s.strategy = strategies(t)[0]
			s.join(3)
			id := s.publish()
			for life := 0; s.stateOf(id) != rollout.Completed; life++ {
				if life > 100 {
					t.Fatalf("with seed %d it did not complete", seed)
				}
				controller := rollout.NewController(dying{s}, s, rollout.ControllerConfig{Holder: fmt.Sprint("life ", life)})
				ctx, kill := context.WithTimeout(t.Context(), time.Duration(random.IntN(15_000))*time.Millisecond)
				done := make(chan error, 1)
				go func() { done <- controller.Run(ctx) }()
				for ctx.Err() == nil {
					s.turn(0)
					pass(50 * time.Millisecond)
				}
				kill()
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// dying never gives up its lease: a process that was killed does not either.
type dying struct{ *simulation }

func (d dying) Renew(ctx context.Context, lease rollout.Lease, length time.Duration) error {
	if length == 0 {
		return nil
	}
	return d.simulation.Renew(ctx, lease, length)
}
