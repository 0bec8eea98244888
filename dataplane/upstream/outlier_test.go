package upstream

import (
	"testing"
	"time"
)

func (s *Service) reportTimes(times int, window Window, t *Target, failure Failure, at time.Time) {
	for range times {
		s.judge(window, t, failure, s.registry.clock.at(at))
	}
}

// at chooses without an exchange that follows.
func (s *Service) at(window Window, at time.Time, avoid *Target) *Target {
	return s.choose(choice{service: s, avoid: avoid, now: s.registry.clock.at(at), window: window})
}

func picks(s *Service, window Window, at time.Time, times int) map[*Target]int {
	counts := map[*Target]int{}
	for range times {
		counts[s.at(window, at, nil)]++
	}
	return counts
}

func TestFailuresInARowEjectATarget(t *testing.T) {
	t.Parallel()
	now := time.Now()
	cases := map[string]struct {
		failures []Failure
		ejected  bool
	}{
		"a connection that cannot be opened": {[]Failure{FailureConnect}, true},
		"three in a row":                     {[]Failure{FailureReset, FailureTimeout, Failure500}, true},
		"two in a row":                       {[]Failure{FailureReset, FailureTimeout}, false},
		"broken by a success":                {[]Failure{Failure503, Failure503, FailureNone, Failure503}, false},
		"too many requests are no failure":   {[]Failure{Failure429, Failure429, Failure429, Failure429}, false},
		"any status of the class":            {[]Failure{FailureOf(501), FailureOf(599), FailureOf(504)}, true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := acquire(t, NewRegistry(Environment{}), Config{Name: "s", Targets: targets(1, 1, 1), Outlier: OutlierConfig{Consecutive: 3}})
			for _, failure := range c.failures {
				s.reportTimes(1, 1, s.Targets()[0], failure, now)
			}
			if ejected := picks(s, 1, now, 30)[s.Targets()[0]] == 0; ejected != c.ejected {
				t.Errorf("ejected is %v", ejected)
			}
		})
	}
}

func TestOnlyAShareOfTheTargetsIsEjected(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, c := range map[string]struct{ targets, percent, ejected int }{
		"half, rounded up": {3, 0, 2},
		"of two one":       {2, 0, 1},
		"a tenth":          {20, 10, 2},
		"all":              {4, 100, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := acquire(t, NewRegistry(Environment{}), Config{
				Name: "s", Targets: targets(make([]uint32, c.targets)...), Outlier: OutlierConfig{MaxPercent: c.percent},
			})
			for _, target := range s.Targets() {
				s.reportTimes(1, 1, target, FailureConnect, now)
			}
			want := c.targets - c.ejected
			if want == 0 {
				// All are left out, so all are served.
				want = c.targets
			}
			if n := len(picks(s, 1, now, 100)); n != want {
				t.Errorf("%d targets are used, want %d", n, want)
			}
		})
	}
}

func TestATargetThatComesBackStartsSlowly(t *testing.T) {
	t.Parallel()
	s := acquire(t, NewRegistry(Environment{}), Config{Name: "s", Targets: targets(1, 1), SlowStart: 10 * time.Second})
	now := time.Now()
	back := s.Targets()[0]
	s.reportTimes(1, 1, back, FailureConnect, now)
	s.reportTimes(1, 1, back, FailureNone, now)
	const times = 10_000
	for after, want := range map[time.Duration]float64{0: 0.05, 5 * time.Second: 0.25, 10 * time.Second: 0.5} {
		share := float64(picks(s, 1, now.Add(after), times)[back]) / times
		if share < want*0.7 || share > want*1.5 {
			t.Errorf("after %s its share is %.3f, want about %.2f", after, share, want)
		}
	}
}

func BenchmarkReport(b *testing.B) {
	s := acquire(b, NewRegistry(Environment{}), Config{Name: "s", Targets: targets(1, 1)})
	target := s.Targets()[0]
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Report(1, target, FailureNone, time.Millisecond, time.Now())
			target.windows[1].load.begin(1)
		}
	})
}
