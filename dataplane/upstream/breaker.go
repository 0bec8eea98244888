package upstream

import (
	"sync"
	"sync/atomic"
	"time"
)

// BreakerConfig says when a service is left alone.
type BreakerConfig struct {
	// Consecutive failed requests open the breaker; 0 does not count them.
	Consecutive int
	// FailurePercent of the requests of the last Window opens it, if there were at least MinRequests. 0 does not count them; 0
	// means 20 requests and 10 s.
	FailurePercent int
	MinRequests    int
	Window         time.Duration
	// Open is how long it stays open. 0 means 5 s.
	Open time.Duration
	// Trials must succeed before it closes, and so many may run at once. 0 means 3.
	Trials int
	// MaxConcurrent exchanges may run at once; 0 is no bound.
	MaxConcurrent int
	// MaxPending exchanges may wait for a connection, if those are bounded. 0 means 1024.
	MaxPending int
}

func (c BreakerConfig) withDefaults() BreakerConfig {
	if c.MinRequests == 0 {
		c.MinRequests = 20
	}
	if c.Window == 0 {
		c.Window = 10 * time.Second
	}
	if c.Open == 0 {
		c.Open = 5 * time.Second
	}
	if c.Trials == 0 {
		c.Trials = 3
	}
	if c.MaxPending == 0 {
		c.MaxPending = 1024
	}
	return c
}

// opens tells whether failures can open the breaker at all.
func (c *BreakerConfig) opens() bool { return c.Consecutive > 0 || c.FailurePercent > 0 }

// BreakerState is a state of a breaker.
type BreakerState uint8

// The states: requests pass, none does, and a few do to find out.
const (
	BreakerClosed BreakerState = iota
	BreakerOpen
	BreakerTrying
)

func (s BreakerState) String() string { return [...]string{"closed", "open", "half_open"}[s] }

// breaker is a circuit breaker. While it is closed, requests only read and count; the lock is for changes and trials.
type breaker struct {
	// Atomic: written with mu held. opened counts how often it opened.
	state  atomic.Uint32
	opened atomic.Uint64
	// Atomic.
	failures atomic.Int64 // in a row
	share    share

	// Guarded by mu: until when it is open, and the trials of the present round that run and that succeeded.
	mu        sync.Mutex
	until     int64
	round     uint32
	running   int
	succeeded int
}

// admit lets a request pass, or says how long none will. A trial belongs to a round, which is never 0.
func (b *breaker) admit(c *BreakerConfig, now int64) (round uint32, wait time.Duration, ok bool) {
	if !c.opens() || b.now() == BreakerClosed {
		return 0, 0, true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch b.now() {
	case BreakerClosed:
		return 0, 0, true
	case BreakerOpen:
		if now < b.until {
			return 0, time.Duration(b.until - now), false
		}
		b.state.Store(uint32(BreakerTrying))
		b.round++
		b.running, b.succeeded = 0, 0
	case BreakerTrying:
	}
	if b.running+b.succeeded >= c.Trials {
		return 0, 0, false
	}
	b.running++
	return b.round, 0, true
}

// settle says how a request went that was admitted; round is what admit said. One whose fate says nothing of the service is
// neither a success nor a failure.
func (b *breaker) settle(c *BreakerConfig, round uint32, outcome outcome, now int64) {
	switch {
	case round != 0:
		b.settleTrial(c, round, outcome, now)
	case outcome == outcomeUnknown || !c.opens() || b.now() != BreakerClosed:
		// What was under way when it opened is old news.
	default:
		b.count(c, outcome, now)
	}
}

func (b *breaker) count(c *BreakerConfig, outcome outcome, now int64) {
	failed := outcome == outcomeFailure
	if c.FailurePercent > 0 {
		b.share.add(now, c.Window, failed)
	}
	if !failed {
		if b.failures.Load() != 0 {
			b.failures.Store(0)
		}
		return
	}
	tooMany := b.failures.Add(1) >= int64(c.Consecutive) && c.Consecutive > 0
	if !tooMany && c.FailurePercent > 0 {
		total, failures := b.share.sum(now, c.Window)
		tooMany = total >= uint64(c.MinRequests) && failures*100 >= total*uint64(c.FailurePercent) //nolint:gosec // positive
	}
	if tooMany {
		b.mu.Lock()
		if b.now() == BreakerClosed {
			b.open(c, now)
		}
		b.mu.Unlock()
	}
}

func (b *breaker) settleTrial(c *BreakerConfig, round uint32, outcome outcome, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.round != round || b.now() != BreakerTrying {
		return
	}
	b.running--
	switch outcome {
	case outcomeUnknown:
	case outcomeFailure:
		b.open(c, now)
	case outcomeSuccess:
		if b.succeeded++; b.succeeded >= c.Trials {
			b.close()
		}
	}
}

// open begins an open phase. The caller holds mu.
func (b *breaker) open(c *BreakerConfig, now int64) {
	b.until = now + int64(c.Open)
	b.opened.Add(1)
	b.state.Store(uint32(BreakerOpen))
}

// close forgets what was before. The caller holds mu.
func (b *breaker) close() {
	b.failures.Store(0)
	b.share.reset()
	b.state.Store(uint32(BreakerClosed))
}

// adopt takes over what another one knows. Trials that run in the other stay there.
func (b *breaker) adopt(from *breaker) {
	from.mu.Lock()
	state, until := from.state.Load(), from.until
	from.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures.Store(from.failures.Load())
	b.share.adopt(&from.share)
	b.until, b.running, b.succeeded = until, 0, 0
	b.round++
	if BreakerState(state) == BreakerTrying { //nolint:gosec // it holds states
		// It begins its trials anew.
		state = uint32(BreakerOpen)
	}
	b.state.Store(state)
}

// outcome is what a request says of its service.
type outcome uint8

const (
	outcomeUnknown outcome = iota
	outcomeSuccess
	outcomeFailure
)

func outcomeOf(failure Failure) outcome {
	switch failure {
	case FailureUnknown:
		return outcomeUnknown
	case FailureNone, Failure429:
		return outcomeSuccess
	}
	return outcomeFailure
}
