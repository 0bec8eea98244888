package overload

import (
	"sync"
	"sync/atomic"
	"time"
)

// Config shapes a limiter.
type Config struct {
	// MinLimit and MaxLimit are between what the limit moves. 0 means 4 and 10,000.
	MinLimit int
	MaxLimit int
}

func (c Config) withDefaults() Config {
	if c.MinLimit == 0 {
		c.MinLimit = 4
	}
	if c.MaxLimit == 0 {
		c.MaxLimit = 10_000
	}
	c.MaxLimit = max(c.MaxLimit, c.MinLimit)
	return c
}

// Limiter bounds how many exchanges run at once, and finds the bound by itself from how long they take until the head of their
// response. Its methods may be called by several goroutines. A nil limiter bounds nothing.
//
// What streams must not hold room for ever: an exchange counts until the head of its response, and for a [lease] at most.
type Limiter struct {
	// Set once.
	born time.Time

	// Atomic.
	config  atomic.Pointer[Config]
	running atomic.Int32
	rooms   [criticalities]atomic.Int32
	bound   atomic.Bool
	// seen is how many samples there are in the window, above their sum in microseconds.
	seen atomic.Uint64
	// longest is what one sample counts for at most, in microseconds.
	longest atomic.Int64
	// due is when the window may end, in nanoseconds since born.
	due     atomic.Int64
	refused [criticalities]atomic.Uint64
	leases  leases
	queue   queue

	// Guarded by mu.
	mu       sync.Mutex
	law      *law
	began    time.Duration
	settling bool
}

// Ticket is the room that an exchange was given. It is given back once.
type Ticket struct {
	at    time.Duration
	lease uint32
}

// Outcome says what the end of an exchange tells of its upstream.
type Outcome uint8

const (
	// Answered means that the head of a response came, and that the time until then is the upstream's: nobody waited for the
	// client's body, and the first try succeeded.
	Answered Outcome = iota
	// Untold says nothing about the upstream's latency: errors are quick, aborts are the client's.
	Untold
	// TimedOut means that the head of the response did not come in time.
	TimedOut
)

// NewLimiter makes a limiter.
func NewLimiter(c Config) *Limiter { return newLimiterAt(c, time.Now()) }

func newLimiterAt(c Config, now time.Time) *Limiter {
	c = c.withDefaults()
	l := &Limiter{born: now, law: newLaw(c.MinLimit, c.MaxLimit)}
	l.config.Store(&c)
	l.law.wall = time.Duration(now.UnixNano() % int64(24*time.Hour))
	l.publish()
	l.due.Store(int64(shortestWindow))
	l.leases.begin()
	l.queue.spare.New = newWaiter
	return l
}

// Acquire asks for room. It may wait for some milliseconds, in a queue that is bounded. If there is none it tells so, and the
// exchange is to be refused.
func (l *Limiter) Acquire(now time.Time, c Criticality) (Ticket, bool) {
	if l == nil {
		return Ticket{}, true
	}
	at := now.Sub(l.born)
	if l.enter(c) {
		return l.ticket(at), true
	}
	if l.wait(at, c) {
		// What an exchange waited for room is not the upstream's latency.
		return l.ticket(time.Since(l.born)), true
	}
	l.refused[c].Add(1)
	return Ticket{}, false
}

// TryAcquire is Acquire that never waits.
func (l *Limiter) TryAcquire(now time.Time, c Criticality) (Ticket, bool) {
	if l == nil {
		return Ticket{}, true
	}
	at := now.Sub(l.born)
	if l.enter(c) {
		return l.ticket(at), true
	}
	l.full(at)
	l.refused[c].Add(1)
	return Ticket{}, false
}

// ticket is made when room has been taken.
func (l *Limiter) ticket(at time.Duration) Ticket {
	return Ticket{at: at, lease: l.leases.take()}
}

// enter takes room if there is any.
func (l *Limiter) enter(c Criticality) bool {
	for {
		running := l.running.Load()
		if running >= l.rooms[c].Load() {
			return false
		}
		if l.running.CompareAndSwap(running, running+1) {
			return true
		}
	}
}

// full notes that the limit was reached.
func (l *Limiter) full(at time.Duration) {
	if !l.bound.Load() {
		l.bound.Store(true)
	}
	if l.leases.due(at) {
		l.expire(at)
	}
}

// Release gives room back, when the head of the response came or when it is known that none will.
func (l *Limiter) Release(t Ticket, now time.Time, o Outcome) {
	if l == nil {
		return
	}
	at := now.Sub(l.born)
	if l.leases.giveBack(t.lease) {
		if o != Untold {
			l.sample(at-t.at, o)
		}
		l.running.Add(-1)
		if l.queue.waiting.Load() > 0 {
			l.admit()
		}
	}
	if int64(at) >= l.due.Load() {
		l.turn(at)
	}
}

// Restart lets the exchange's latency count from a later moment.
func (l *Limiter) Restart(t *Ticket, from time.Time) { t.at = max(t.at, from.Sub(l.born)) }

// Limit is how many exchanges may run at once now.
func (l *Limiter) Limit() int { return int(l.rooms[Critical].Load()) }

// Running is how many exchanges run now that count.
func (l *Limiter) Running() int { return int(l.running.Load()) }

// Refused is how many exchanges of a criticality found no room.
func (l *Limiter) Refused(c Criticality) uint64 { return l.refused[c].Load() }

// Configure changes the bounds of the limit. It costs next to nothing if they are what they were.
func (l *Limiter) Configure(c Config) {
	if c = c.withDefaults(); *l.config.Load() == c {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.config.Store(&c)
	l.law.lowest, l.law.highest = max(1, float64(c.MinLimit)), float64(c.MaxLimit)
	l.law.limit = l.law.clamp(l.law.limit)
	l.publish()
}

// Adopt takes over what another limiter of the same upstream has found out, when its traffic is to come here.
func (l *Limiter) Adopt(other *Limiter) {
	if l == nil || other == nil || l == other {
		return
	}
	other.mu.Lock()
	limit, own := other.law.limit, other.law.own
	other.mu.Unlock()
	if own == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// Each was the limit of a part of the traffic, so the whole may need more: it is found out quickly.
	l.law.own, l.law.limit, l.law.opening = own, l.law.clamp(max(limit, l.law.limit)), true
	l.law.search.active, l.settling = false, false
	l.publish()
}
