package upstream

import (
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func broken(c BreakerConfig) Config { return Config{Name: "s", Targets: targets(1), Breaker: c} }

// ask sends one request that goes as told, and tells whether it was let through.
func ask(s *Service, failure Failure) bool {
	permit, refusal, _ := s.Enter(1)
	permit.Settle(failure)
	permit.Leave()
	return refusal == RefusalNone
}

func TestABreakerOpensAndCloses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := acquire(t, NewRegistry(Environment{}), broken(BreakerConfig{Consecutive: 3, Open: 2 * time.Second, Trials: 2}))
		for _, failure := range []Failure{Failure500, FailureReset, FailureNone, FailureTimeout, FailureConnect, FailureUnknown} {
			if !ask(s, failure) {
				t.Fatal("refused before three failures in a row, at", failure)
			}
		}
		ask(s, FailureOf(599))
		permit, refusal, wait := s.Enter(1)
		if refusal != RefusalOpen || wait != 2*time.Second {
			t.Fatal(refusal, wait)
		}
		permit.Leave()
		if _, refusal, _ := s.Enter(2); refusal != RefusalNone {
			t.Error("another window's breaker is open")
		}
		time.Sleep(2 * time.Second) //nolint:forbidigo // the clock of the bubble
		first, _, _ := s.Enter(1)
		second, refusal, _ := s.Enter(1)
		if refusal != RefusalNone {
			t.Error("two trials may run at once")
		}
		if ask(s, FailureNone) {
			t.Error("a third may not")
		}
		// One whose client went away makes room for another.
		second.Leave()
		second, refusal, _ = s.Enter(1)
		if refusal != RefusalNone {
			t.Error("there is no room for another")
		}
		first.Settle(FailureNone)
		second.Settle(Failure503)
		first.Leave()
		second.Leave()
		if ask(s, FailureNone) {
			t.Error("a trial failed, and requests pass")
		}
		time.Sleep(2 * time.Second) //nolint:forbidigo // the clock of the bubble
		for range 2 {
			if !ask(s, FailureNone) {
				t.Error("no trials")
			}
		}
		for range 2 {
			if !ask(s, Failure500) {
				t.Error("two trials were good, and it did not close, or remembers")
			}
		}
	})
}

func TestABreakerOpensByTheShareOfFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := acquire(t, NewRegistry(Environment{}), broken(BreakerConfig{FailurePercent: 50, MinRequests: 10, Window: 10 * time.Second}))
		for range 9 {
			ask(s, Failure500)
		}
		time.Sleep(11 * time.Second) //nolint:forbidigo // the clock of the bubble
		for range 6 {
			ask(s, FailureNone)
			ask(s, FailureNone)
			if !ask(s, Failure500) {
				t.Fatal("a third failed, and the others are too long ago")
			}
		}
		for range 5 {
			ask(s, Failure500)
		}
		if !ask(s, Failure500) {
			t.Error("less than half failed")
		}
		if ask(s, FailureNone) {
			t.Error("half failed")
		}
	})
}

// Whatever happens: while the breaker is open nothing passes, it opens only after a failure, and trials are never more than
// allowed.
func TestWhatABreakerNeverDoes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			c := BreakerConfig{
				Consecutive: random.IntN(4), FailurePercent: random.IntN(3) * 40, MinRequests: 1 + random.IntN(5),
				Window: time.Second, Open: time.Duration(1+random.IntN(5)) * 100 * time.Millisecond, Trials: 1 + random.IntN(3),
			}
			s := acquire(t, NewRegistry(Environment{}), broken(c))
			b := &s.state.windows[1].breaker
			var running []Permit
			var openUntil time.Time
			opened := uint64(0)
			for step := range 300 {
				switch random.IntN(4) {
				case 0:
					time.Sleep(rand.N(120 * time.Millisecond)) //nolint:forbidigo // the clock of the bubble
				case 1:
					permit, refusal, wait := s.Enter(1)
					if time.Now().Before(openUntil) && refusal != RefusalOpen {
						t.Fatalf("seed %d, step %d: it is open and lets a request pass", seed, step)
					}
					if wait > c.Open {
						t.Fatalf("seed %d, step %d: it asks to wait %v", seed, step, wait)
					}
					if refusal == RefusalNone {
						running = append(running, permit)
					}
				default:
					if len(running) == 0 {
						continue
					}
					i := random.IntN(len(running))
					failure := []Failure{FailureNone, Failure500, FailureUnknown}[random.IntN(3)]
					running[i].Settle(failure)
					running[i].Leave()
					running = append(running[:i], running[i+1:]...)
					if n := b.opened.Load(); n > opened {
						if failure != Failure500 || n != opened+1 {
							t.Fatalf("seed %d, step %d: it opened by %v", seed, step, failure)
						}
						opened, openUntil = n, time.Now().Add(c.Open)
					}
				}
				if b.running < 0 || b.running+b.succeeded > c.Trials {
					t.Fatalf("seed %d, step %d: %d trials run and %d succeeded of %d", seed, step, b.running, b.succeeded, c.Trials)
				}
			}
			// It always gets well.
			for _, permit := range running {
				permit.Leave()
			}
			for range c.Trials + 1 {
				time.Sleep(c.Open) //nolint:forbidigo // the clock of the bubble
				ask(s, FailureNone)
			}
			if state := BreakerState(b.state.Load()); state != BreakerClosed {
				t.Fatalf("seed %d: it stays %v", seed, state)
			}
		})
	}
}

func TestSoManyRunAtOnce(t *testing.T) {
	t.Parallel()
	s := acquire(t, NewRegistry(Environment{}), broken(BreakerConfig{MaxConcurrent: 2}))
	first, _, _ := s.Enter(1)
	second, _, _ := s.Enter(1)
	if _, refusal, _ := s.Enter(1); refusal != RefusalFull {
		t.Error(refusal)
	}
	if _, refusal, _ := s.Enter(2); refusal != RefusalNone {
		t.Error("the other arm has no room of its own")
	}
	first.Leave()
	first.Leave()
	third, refusal, _ := s.Enter(1)
	if refusal != RefusalNone {
		t.Error(refusal)
	}
	if ask(s, FailureNone) {
		t.Error("one that left twice made room twice")
	}
	second.Leave()
	third.Leave()
}

func TestWaitingForAConnectionIsBounded(t *testing.T) {
	t.Parallel()
	for name, protocol := range map[string]Protocol{"connections": HTTP1, "streams": HTTP2Cleartext, "whichever it is": Automatic} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			waitingIsBounded(t, protocol)
		})
	}
}

func waitingIsBounded(t *testing.T, protocol Protocol) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		config := broken(BreakerConfig{MaxPending: 2})
		config.MaxOpen, config.ConnectTimeout, config.Protocol = 1, time.Second, protocol
		s := acquire(t, NewRegistry(Environment{}), config)
		target := s.Targets()[0]
		if err := s.Reserve(1, target, 0); err != nil {
			t.Fatal(err)
		}
		got := make(chan error, 2)
		for range 2 {
			go func() { got <- s.Reserve(1, target, 0) }()
		}
		synctest.Wait()
		began := time.Now()
		if err := s.Reserve(1, target, 0); err == nil || time.Since(began) > 0 {
			t.Error("a third waits:", err)
		}
		target.Free()
		if err := <-got; err != nil {
			t.Error("the first in line got", err)
		}
		if err := <-got; err == nil || time.Since(began) != time.Second {
			t.Error("the second waited", time.Since(began), err)
		}
		target.Free()
		if err := s.Reserve(1, target, 0); err != nil {
			t.Error(err)
		}
	})
}

func TestSharesSlide(t *testing.T) {
	t.Parallel()
	const window = 10 * time.Second
	var s share
	at := func(seconds int64) int64 { return seconds*int64(time.Second) + 1 }
	for second := range int64(10) {
		s.add(at(second), window, second%2 == 0)
	}
	for second, want := range map[int64][2]uint64{9: {10, 5}, 12: {7, 3}, 18: {1, 0}, 19: {0, 0}, 1 << 30: {0, 0}} {
		if total, failures := s.sum(at(second), window); total != want[0] || failures != want[1] {
			t.Errorf("at %d s: %d of %d, want %v", second, failures, total, want)
		}
	}
	var full share
	for range shareCountMask + 10 {
		full.add(1, window, true)
	}
	if total, failures := full.sum(1, window); total != failures || total < shareCountMask/2 {
		t.Error(failures, "of", total)
	}
	var group sync.WaitGroup
	var shared share
	for range 4 {
		group.Go(func() {
			for i := range 1000 {
				shared.add(at(int64(i%3)), window, i%2 == 0)
			}
		})
	}
	group.Wait()
	if total, failures := shared.sum(at(3), window); total != 4000 || failures != 2000 {
		t.Error(failures, "of", total)
	}
}

func BenchmarkBreaker(b *testing.B) {
	s := acquire(b, NewRegistry(Environment{}), broken(BreakerConfig{Consecutive: 5, FailurePercent: 50, MaxConcurrent: 1000}))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			ask(s, FailureNone)
		}
	})
}
