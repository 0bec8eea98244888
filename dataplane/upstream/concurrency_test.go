package upstream

import (
	"testing"
	"time"

	"tidegate.dev/dataplane/overload"
)

func TestLimitersBelongToAServiceAndAWindow(t *testing.T) {
	t.Parallel()
	r := NewRegistry(Environment{})
	limited := Config{Name: "s", Targets: targets(1), Concurrency: ConcurrencyConfig{Adaptive: true}}
	s := acquire(t, r, limited)
	if acquire(t, r, Config{Name: "t", Targets: targets(1)}).Limiter(1) != nil {
		t.Error("a service that asked for none has a limiter")
	}
	stable, candidate := s.Limiter(1), s.Limiter(2)
	if stable == nil || stable == candidate {
		t.Fatal("stable and candidate share a limiter")
	}

	// Other settings, the same service: what was found out stays, within other bounds.
	limited.ConnectTimeout, limited.Concurrency.Limits.MaxLimit = time.Second, 10
	other := acquire(t, r, limited)
	if other == s || other.Limiter(1) != stable {
		t.Error("the limiter was forgotten")
	}
	if n := stable.Limit(); n != 10 {
		t.Errorf("the limit is %d, of 10 at most", n)
	}
	limited.Concurrency.Limits = overload.Config{MinLimit: 50}
	if n := acquire(t, r, limited).Limiter(1).Limit(); n != 50 {
		t.Errorf("the limit is %d, of 50 at least", n)
	}

	// A candidate begins with what stable knows: here that it takes some milliseconds.
	for at := time.Now(); ; at = at.Add(5 * time.Millisecond) {
		ticket, ok := stable.TryAcquire(at, overload.Default)
		if !ok {
			t.Fatal("refused")
		}
		stable.Release(ticket, at.Add(4*time.Millisecond), overload.Answered)
		if time.Until(at) > 5*time.Second {
			break
		}
	}
	before := candidate.Limit()
	r.Adopt(1, 2)
	if n := candidate.Limit(); n != 50 || before == 50 {
		t.Errorf("the candidate's limit is %d, and was %d", n, before)
	}
}
