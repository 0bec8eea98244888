package upstream

import (
	"testing"
	"time"
)

func TestBudget(t *testing.T) {
	t.Parallel()
	s := acquire(t, NewRegistry(Environment{}), Config{Name: "s", Targets: targets(1), Retry: RetryConfig{BudgetPercent: 20}})
	spend := func(window Window) (n int) {
		for {
			if _, ok := s.Retry(window, 1, FailureReset); !ok {
				return n
			}
			n++
		}
	}
	if n := spend(1); n != 10 {
		t.Error("the reserve is", n)
	}
	for range 50 {
		s.Enter(1)
	}
	if n := spend(1); n != 10 {
		t.Error(n, "retries of 50 requests")
	}
	if n := spend(2); n != 10 {
		t.Error("the candidate's budget was spent by the stable arm")
	}
	for range 10_000 {
		s.Enter(1)
	}
	if n := spend(1); n != 100 {
		t.Error(n, "retries were saved up")
	}
}

func TestWhichFailuresAreTriedAgain(t *testing.T) {
	t.Parallel()
	r := NewRegistry(Environment{})
	usual := acquire(t, r, Config{Name: "s", Targets: targets(1)})
	never := acquire(t, r, Config{Name: "s", Targets: targets(1), Retry: RetryConfig{Attempts: 1}})
	status := acquire(t, r, Config{Name: "s", Targets: targets(1), Retry: RetryConfig{Attempts: 3, On: Failure503}})
	cases := []struct {
		service *Service
		tried   int
		failure Failure
		want    bool
	}{
		{usual, 1, FailureConnect, true},
		{usual, 1, FailureReset, true},
		{usual, 1, FailureTimeout, true},
		{usual, 1, FailureOf(503), false},
		{usual, 2, FailureConnect, false},
		{never, 1, FailureConnect, false},
		{status, 2, FailureOf(503), true},
		{status, 3, FailureOf(503), false},
		{status, 1, FailureReset, false},
		{status, 1, FailureOf(501), false},
		{status, 1, FailureOf(200), false},
	}
	for i, c := range cases {
		pause, ok := c.service.Retry(1, c.tried, c.failure)
		if ok != c.want || pause < 0 || pause > longestBackoff {
			t.Error(i, pause, ok)
		}
	}
}

func TestBackoffGrowsToABound(t *testing.T) {
	t.Parallel()
	for tried, bound := range map[int]time.Duration{1: firstBackoff, 2: 2 * firstBackoff, 100: longestBackoff} {
		longest := time.Duration(0)
		for range 1000 {
			longest = max(longest, backoff(tried))
		}
		if longest > bound || longest < bound/2 {
			t.Error(tried, longest)
		}
	}
}

func BenchmarkEnter(b *testing.B) {
	s := acquire(b, NewRegistry(Environment{}), Config{Name: "s", Targets: targets(1)})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Enter(1)
		}
	})
}
