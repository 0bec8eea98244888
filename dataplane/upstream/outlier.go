package upstream

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// OutlierConfig says when a target is left out because of how its requests went.
type OutlierConfig struct {
	// Consecutive failures eject a target; one to connect always does. 0 means 5.
	Consecutive int
	// Ejection is how long the first one lasts; each that follows lasts twice as long, up to MaxEjection. 0 means 1 s and 30 s.
	Ejection    time.Duration
	MaxEjection time.Duration
	// MaxPercent is the share of targets that may be ejected at once, rounded up. 0 means 50.
	MaxPercent int
}

func (c OutlierConfig) withDefaults() OutlierConfig {
	if c.Consecutive == 0 {
		c.Consecutive = 5
	}
	if c.Ejection == 0 {
		c.Ejection = time.Second
	}
	if c.MaxEjection == 0 {
		c.MaxEjection = 30 * time.Second
	}
	if c.MaxPercent == 0 {
		c.MaxPercent = 50
	}
	return c
}

// outlierWindow is what is known of a target's failures.
type outlierWindow struct {
	// failures in a row, and ejections since the last success.
	failures  atomic.Int32
	ejections atomic.Int32
	// until is when the target may be tried again, in nanoseconds since 1970; 0 if it is not ejected.
	until atomic.Int64
	// trying says that one request has been let through to find out.
	trying atomic.Bool
	// recovered is when it came back, 0 for never.
	recovered atomic.Int64
}

// trialLease is how long the one request that tries a target has, before another may.
const trialLease = time.Second

// admits tells whether the target may be chosen. Of those who ask after an ejection, it admits one.
func (w *outlierWindow) admits(now time.Time) bool {
	until := w.until.Load()
	if until == 0 {
		return true
	}
	at := now.UnixNano()
	if at < until || !w.until.CompareAndSwap(until, at+int64(trialLease)) {
		return false
	}
	w.trying.Store(true)
	return true
}

// Report says how a target did. Most reports are of a success after others, and then this only reads.
func (s *Service) Report(window Window, t *Target, failure Failure) {
	s.reportAt(window, t, failure, time.Now)
}

func (s *Service) reportAt(window Window, t *Target, failure Failure, now func() time.Time) {
	w := &t.windows[window]
	switch failure {
	case FailureNone, Failure429:
		if w.failures.Load() != 0 {
			w.failures.Store(0)
		}
		if w.until.Load() != 0 {
			w.ejections.Store(0)
			w.recovered.Store(now().UnixNano())
			w.until.Store(0)
		}
		return
	}
	if n := w.failures.Add(1); failure == FailureConnect || int(n) >= s.config.Outlier.Consecutive || w.until.Load() != 0 {
		s.eject(window, t, now())
	}
}

// eject leaves a target out. Requests that were under way when it was ejected do not make that longer.
func (s *Service) eject(window Window, t *Target, now time.Time) {
	w := &t.windows[window]
	tried := w.trying.Swap(false)
	if w.until.Load() != 0 && !tried {
		return
	}
	if w.until.Load() == 0 && !s.mayEject(window) {
		return
	}
	c := &s.config.Outlier
	times := w.ejections.Add(1)
	w.until.Store(now.Add(min(c.Ejection<<min(times-1, 10), c.MaxEjection)).UnixNano())
}

// mayEject tells whether one more target may be left out.
func (s *Service) mayEject(window Window) bool {
	ejected := 0
	for _, t := range s.targets {
		if t.windows[window].until.Load() != 0 {
			ejected++
		}
	}
	return ejected*100 < len(s.targets)*s.config.Outlier.MaxPercent
}

// leastSlowStart is the share of its requests that a target gets in the first moment after it came back.
const leastSlowStart = 0.1

// usable tells whether a target may be chosen now.
func (s *Service) usable(t *Target, window Window, now time.Time) bool {
	if t.prober != nil && !t.prober.healthy.Load() {
		return false
	}
	if s.config.SlowStart > 0 && !s.warm(t, window, now) {
		return false
	}
	return t.windows[window].admits(now)
}

// warm lets a target that came back have a share of its requests that grows with time.
func (s *Service) warm(t *Target, window Window, now time.Time) bool {
	since := t.windows[window].recovered.Load()
	if t.prober != nil {
		since = max(since, t.prober.recovered.Load())
	}
	age := now.UnixNano() - since
	if since == 0 || age >= int64(s.config.SlowStart) {
		return true
	}
	return rand.Float64() < max(leastSlowStart, float64(age)/float64(s.config.SlowStart))
}
