package upstream

import (
	"testing"
	"testing/synctest"
	"time"
)

// exchanges are requests to the targets of a service, of which some never answer.
type exchanges struct {
	service *Service
	deaf    *Target
	stuck   int
}

// send sends one request, and tells whether the deaf target got it.
func (e *exchanges) send(took time.Duration) bool {
	target := e.service.Pick(Choice{Window: 1, Now: time.Now()})
	if target == e.deaf {
		e.stuck++
		return true
	}
	e.service.Report(1, target, FailureNone, took, time.Now())
	target.Done(1)
	return false
}

func TestATargetThatFallsSilentIsLeftOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := acquire(t, NewRegistry(Environment{}), Config{Name: "s", Targets: targets(1, 1, 1)})
		e := &exchanges{service: s, deaf: s.Targets()[1]}
		steady := func(d time.Duration) (stuck int) {
			before := e.stuck
			for range d / (10 * time.Millisecond) {
				e.send(5 * time.Millisecond)
				time.Sleep(10 * time.Millisecond) //nolint:forbidigo // the clock of the bubble
			}
			return e.stuck - before
		}
		if n := steady(time.Second); n < 30 {
			t.Error("only", n, "requests went to it at first")
		}
		if !s.GiveUp(1, e.deaf, 2*time.Second) && steady(100*time.Millisecond) > 5 {
			t.Error("it is not left out")
		}
		if !s.GiveUp(1, e.deaf, 2*time.Second) || s.GiveUp(1, s.Targets()[0], anyTime) || s.GiveUp(2, e.deaf, anyTime) || s.GiveUp(1, e.deaf, time.Second/2) {
			t.Error("those who wait are not told, or others are")
		}
		if n := steady(time.Minute); n > 8 {
			t.Errorf("%d of 6000 requests went to it in the minute after", n)
		}
		// It wakes up: the first that answers is enough.
		for range e.stuck {
			s.Report(1, e.deaf, FailureNone, time.Second, time.Now())
			e.deaf.Done(1)
		}
		if n := steady(time.Second); n < 30 {
			t.Error("it answers again, and got", n, "requests")
		}
	})
}

func TestWhatIsNotSilence(t *testing.T) {
	t.Parallel()
	cases := map[string]func(t *testing.T, s *Service, slow *Target){
		// A target that is slow with some requests answers others.
		"answers between": func(_ *testing.T, s *Service, slow *Target) {
			for range 300 {
				s.Report(1, s.Pick(Choice{Window: 1, Now: time.Now()}), FailureNone, time.Millisecond, time.Now())
				time.Sleep(10 * time.Millisecond) //nolint:forbidigo // the clock of the bubble
			}
			_ = slow
		},
		// One or two requests that take long say nothing.
		"two slow requests": func(_ *testing.T, s *Service, slow *Target) {
			now := s.registry.clock.now()
			slow.windows[1].load.begin(now)
			slow.windows[1].load.begin(now)
			other := s.Targets()[0]
			time.Sleep(20 * time.Second) //nolint:forbidigo // the clock of the bubble
			other.windows[1].load.begin(now)
			s.Report(1, other, FailureNone, time.Millisecond, time.Now())
		},
		// The others take as long.
		"a slow service": func(_ *testing.T, s *Service, slow *Target) {
			now := s.registry.clock.now()
			for range 5 {
				slow.windows[1].load.begin(now)
			}
			other := s.Targets()[0]
			other.windows[1].load.begin(now)
			time.Sleep(20 * time.Second) //nolint:forbidigo // the clock of the bubble
			s.Report(1, other, FailureNone, 5*time.Second, time.Now())
		},
		// Nobody answers.
		"all are silent": func(_ *testing.T, s *Service, _ *Target) {
			for range 30 {
				s.Pick(Choice{Window: 1, Now: time.Now()})
			}
			time.Sleep(20 * time.Second) //nolint:forbidigo // the clock of the bubble
		},
	}
	for name, what := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := acquire(t, NewRegistry(Environment{}), Config{Name: "s", Targets: targets(1, 1, 1)})
				slow := s.Targets()[1]
				what(t, s, slow)
				if s.GiveUp(1, slow, anyTime) || picks(s, 1, time.Now(), 30)[slow] != 10 {
					t.Error("it is left out")
				}
			})
		})
	}
}
