package upstream

import (
	"math"
	"time"
)

// A target that takes requests and never answers, or takes no connections and refuses none, fails nothing for as long as the
// timeouts are. It is found out by comparison: several requests wait, no answer at all has come for much longer than the
// others' answers take, and meanwhile others have answered. A target that is slow with some requests answers others, and a
// service that is slow as a whole has no others that answer.
const (
	// shortestSilence is how long a target may be silent whatever the others do.
	shortestSilence = time.Second
	// silenceFactor is how many times the others' mean an answer may take.
	silenceFactor = 10
	// severalWaiting is how many requests must wait for a target that is not ejected.
	severalWaiting = 3
)

// silent tells whether a target, for which at least so many requests wait, is silent while others answer; and whether somebody
// who has waited so long has waited for longer than the others' answers take.
func (s *Service) silent(t *Target, window Window, now, atLeast int64, waited time.Duration) bool {
	l := &t.windows[window].load
	quiet := l.quiet.Load()
	waited = min(waited, time.Duration(now-quiet))
	if quiet == 0 || waited < shortestSilence || l.waiting() < atLeast {
		return false
	}
	members := s.members()
	others, sum := 0, 0.0
	for i := range members {
		if other := &members[i].target.windows[window].load; other != l && other.answered.Load() > quiet {
			others++
			sum += other.mean.at(now, false)
		}
	}
	return others > 0 && float64(waited) > silenceFactor*sum/float64(others)
}

// anyTime is longer than anybody waits.
const anyTime = time.Duration(math.MaxInt64)

// GiveUp tells a request that has waited so long for an answer of the target whether to wait no longer: the target is silent
// while others answer. Asking is cheap; the target is left out from then on.
func (s *Service) GiveUp(window Window, t *Target, waited time.Duration) bool {
	if waited < shortestSilence {
		return false
	}
	now := s.registry.clock.now()
	if t.windows[window].outlier.until.Load() != 0 {
		return s.silent(t, window, now, 1, waited)
	}
	if !s.silent(t, window, now, severalWaiting, waited) {
		return false
	}
	s.eject(window, t, now)
	return true
}

// usable tells whether a target may be chosen now.
func (s *Service) usable(m *member, window Window, now int64) bool {
	if !m.healthy() {
		return false
	}
	if s.config.SlowStart > 0 && !s.warm(m, window, now) {
		return false
	}
	t := m.target
	outlier := &t.windows[window].outlier
	until := outlier.until.Load()
	switch {
	case until == 0:
		if !s.silent(t, window, now, severalWaiting, anyTime) {
			return true
		}
		s.eject(window, t, now)
		return outlier.until.Load() == 0
	case now >= until && outlier.trying.Load() && s.silent(t, window, now, 1, anyTime):
		// Whoever tried it still waits.
		s.eject(window, t, now)
		return false
	}
	return outlier.admits(now)
}

// looksUsable tells the same without choosing it.
func (m *member) looksUsable(window Window, now int64) bool {
	until := m.target.windows[window].outlier.until.Load()
	return m.healthy() && (until == 0 || now >= until)
}
