package overload

import (
	"sync/atomic"
	"time"
)

// leases take room back from exchanges whose response does not begin for so long that they are no measure of the upstream's
// load: long polls, uploads of slow clients, calls that stream before they answer. Exchanges are counted by the period in which
// they began, so that a whole period can be let go of at once.
type leases struct {
	// Atomic.
	//
	// length is that of a lease in nanoseconds; a period is a part of it.
	length atomic.Int64
	// ends is when the present period does.
	ends   atomic.Int64
	period atomic.Uint32
	// counts hold a period's number above the number of its exchanges.
	counts [periods]atomic.Uint64
}

const (
	// periods is more than are counted at once, so that one that was let go of is still told apart.
	periods = 8
	// kept is how many periods are counted, the present one included.
	kept = 5
	// shortestLease is how long an exchange counts at least.
	shortestLease = 10 * time.Second
	periodShift   = 32
)

func (s *leases) begin() {
	s.length.Store(int64(shortestLease))
	s.period.Store(1)
	s.counts[1].Store(1 << periodShift)
	s.ends.Store(int64(shortestLease / (kept - 1)))
}

// take counts an exchange into the present period.
func (s *leases) take() uint32 {
	for {
		period := s.period.Load()
		count := &s.counts[period%periods]
		if now := count.Load(); uint32(now>>periodShift) == period && count.CompareAndSwap(now, now+1) {
			return period
		}
	}
}

// giveBack takes an exchange out of its period. It tells whether it was still counted.
func (s *leases) giveBack(period uint32) bool {
	count := &s.counts[period%periods]
	for {
		now := count.Load()
		if uint32(now>>periodShift) != period {
			return false
		}
		if count.CompareAndSwap(now, now-1) {
			return true
		}
	}
}

// due tells whether the present period is over.
func (s *leases) due(at time.Duration) bool { return int64(at) >= s.ends.Load() }

// turn begins the next period and lets go of the oldest that counts. It returns how many exchanges those were. One goroutine
// at a time may call it.
func (s *leases) turn(at time.Duration) (released int32) {
	next := s.period.Load() + 1
	s.counts[next%periods].Store(uint64(next) << periodShift)
	s.period.Store(next)
	s.ends.Store(int64(at) + s.length.Load()/(kept-1))
	if next <= kept {
		return 0
	}
	// Its number is taken away, so whoever belongs to it finds out.
	old := s.counts[(next-kept)%periods].Swap(0)
	return int32(old & (1<<periodShift - 1)) //nolint:gosec // fewer than the limit
}

// expire lets go of exchanges whose lease has ended.
func (l *Limiter) expire(at time.Duration) {
	if !l.mu.TryLock() {
		return
	}
	defer l.mu.Unlock()
	if l.leases.due(at) {
		l.expireLocked(at)
	}
}

func (l *Limiter) expireLocked(at time.Duration) {
	if released := l.leases.turn(at); released > 0 {
		l.running.Add(-released)
		if l.queue.waiting.Load() > 0 {
			l.admit()
		}
	}
}
