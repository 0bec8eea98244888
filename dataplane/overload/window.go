package overload

import "time"

const (
	// Windows are as long as it takes to see enough, within these bounds. The longest is waited for if there is little traffic.
	shortestWindow = 50 * time.Millisecond
	longestWindow  = 2 * time.Second
	// enough samples end a window, fewer while the limit is kept low to find something out, few end one that has become long.
	enough      = 100
	fewerToFind = 60
	few         = 10
)

// seenCount is one sample, as it stands above the sum of microseconds.
const seenCount = 1 << 44

// sample counts how long an exchange took.
func (l *Limiter) sample(took time.Duration, o Outcome) {
	us := max(took.Microseconds(), 1)
	if longest := l.longest.Load(); longest > 0 && (us > longest || o == TimedOut) {
		us = longest
	}
	l.seen.Add(seenCount | uint64(min(us, longestTime))) //nolint:gosec // it is positive
}

// longestTime is what one sample counts for at most while nothing is known, in microseconds.
const longestTime = int64(time.Minute / time.Microsecond)

// turn ends the window, if it is time.
func (l *Limiter) turn(at time.Duration) {
	if !l.mu.TryLock() {
		return // somebody else does
	}
	defer l.mu.Unlock()
	if int64(at) < l.due.Load() {
		return
	}
	if l.leases.due(at) {
		l.expireLocked(at)
	}
	if l.settling {
		// What ended until now began before the last step.
		l.settling = false
		l.open(at)
		return
	}
	seen := l.seen.Load()
	samples, length, wanted := int(seen/seenCount), at-l.began, enough
	if l.law.search.active {
		wanted = fewerToFind
	}
	if samples < few || samples < wanted && length < longestWindow {
		l.due.Store(int64(at + shortestWindow/4))
		return
	}
	l.law.see(window{
		end: at, samples: samples, length: length, bound: l.bound.Load(),
		latency: float64(seen%seenCount) / float64(samples) / 1e6,
	})
	l.publish()
	l.open(at)
	if s := &l.law.search; s.active && s.from > at {
		l.settling = true
		l.due.Store(int64(s.from))
	}
}

// open begins a window. The caller holds mu.
func (l *Limiter) open(at time.Duration) {
	l.seen.Store(0)
	l.bound.Store(false)
	l.began = at
	own := time.Duration(l.law.own * float64(time.Second))
	l.due.Store(int64(at + min(max(shortestWindow, 2*own), longestWindow/2)))
}

// publish makes what the law says take effect. The caller holds mu.
func (l *Limiter) publish() {
	limit := int32(l.law.limit)
	for c := range criticalities {
		l.rooms[c].Store(c.room(limit))
	}
	l.longest.Store(int64(l.law.own * longestSample * 1e6))
	own := time.Duration(l.law.own * float64(time.Second))
	l.leases.length.Store(int64(max(shortestLease, longestSample*own)))
	l.queue.shape(limit, own)
}
