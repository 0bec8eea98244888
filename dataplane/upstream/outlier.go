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
	// until is when the target may be tried again; 0 if it is not ejected.
	until atomic.Int64
	// trying says that one request has been let through to find out.
	trying atomic.Bool
	// recovered is when it came back, 0 for never.
	recovered atomic.Int64
	// total counts the ejections ever.
	total atomic.Uint64
}

// trialLease is how long the one request that tries a target has, before another may.
const trialLease = time.Second

// admits tells whether the target may be chosen. Of those who ask after an ejection, it admits one.
func (w *outlierWindow) admits(now int64) bool {
	until := w.until.Load()
	if until == 0 {
		return true
	}
	if now < until || !w.until.CompareAndSwap(until, now+int64(trialLease)) {
		return false
	}
	w.trying.Store(true)
	return true
}

// success says that the target answered.
func (w *outlierWindow) success(now int64) {
	if w.failures.Load() != 0 {
		w.failures.Store(0)
	}
	if w.until.Load() != 0 {
		w.ejections.Store(0)
		w.recovered.Store(now)
		w.until.Store(0)
	}
}

// adopt takes over what another window knows.
func (w *outlierWindow) adopt(from *outlierWindow) {
	w.failures.Store(from.failures.Load())
	w.ejections.Store(from.ejections.Load())
	w.recovered.Store(from.recovered.Load())
	w.trying.Store(from.trying.Load())
	w.until.Store(from.until.Load())
}

// Report says how a request that [Service.Pick] gave a target went, and how long that took to know; now is when it is known. Most
// reports are of a success after others, and then this only reads and counts.
func (s *Service) Report(window Window, t *Target, failure Failure, took time.Duration, now time.Time) {
	s.report(window, t, failure, took, s.registry.clock.at(now))
}

func (s *Service) report(window Window, t *Target, failure Failure, took time.Duration, now int64) {
	w := &t.windows[window]
	answered := failure&(FailureConnect|FailureReset|FailureTimeout|FailureUnknown) == 0
	w.load.answer(now, answered)
	// A server that fails at once is not fast.
	if failure == FailureNone || failure == Failure429 {
		w.load.mean.add(took, now, false)
		if s.config.Balancing.Policy == EWMA {
			w.load.peak.add(took, now, true)
		}
	}
	s.judge(window, t, failure, now)
}

// judge leaves the target out if it failed too often.
func (s *Service) judge(window Window, t *Target, failure Failure, now int64) {
	w := &t.windows[window].outlier
	switch failure {
	case FailureUnknown:
		return
	case FailureNone, Failure429:
		w.success(now)
		return
	}
	n := w.failures.Add(1)
	if failure == FailureConnect || int(n) >= s.config.Outlier.Consecutive || w.until.Load() != 0 {
		s.eject(window, t, now)
	}
}

// eject leaves a target out, and its idle connections are closed: whoever tries whether it is back must not meet one that leads
// nowhere. Requests that were under way when it was ejected do not make that longer.
func (s *Service) eject(window Window, t *Target, now int64) {
	w := &t.windows[window].outlier
	tried := w.trying.Swap(false)
	until := w.until.Load()
	if until != 0 && !tried || until == 0 && !s.mayEject(window) {
		return
	}
	c := &s.config.Outlier
	times := w.ejections.Add(1)
	w.total.Add(1)
	w.until.Store(now + int64(min(c.Ejection<<min(times-1, 10), c.MaxEjection)))
	s.Go(t.transport.forget)
}

// mayEject tells whether one more target may be left out.
func (s *Service) mayEject(window Window) bool {
	members := s.members()
	ejected := 0
	for i := range members {
		if members[i].target.windows[window].outlier.until.Load() != 0 {
			ejected++
		}
	}
	return ejected*100 < len(members)*s.config.Outlier.MaxPercent
}

// leastSlowStart is the share of its requests that a target gets in the first moment after it came back.
const leastSlowStart = 0.1

// warm lets a target that came back have a share of its requests that grows with time.
func (s *Service) warm(m *member, window Window, now int64) bool {
	since := max(m.joined, m.target.windows[window].outlier.recovered.Load())
	if m.prober != nil {
		since = max(since, m.prober.recovered.Load())
	}
	age := now - since
	if since == 0 || age >= int64(s.config.SlowStart) {
		return true
	}
	return rand.Float64() < max(leastSlowStart, float64(age)/float64(s.config.SlowStart))
}
