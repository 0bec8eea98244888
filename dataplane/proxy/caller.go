package proxy

import (
	"sync"
	"time"
)

// watchedCaller is the right of a caller to be served, while an exchange goes on that may last. Short exchanges do not need it.
type watchedCaller struct {
	line  *lifeline
	stops []func()
}

// lifeline is what ends an exchange from outside. It outlives the exchange's own memory, which is used again.
type lifeline struct {
	// Guarded by mu. end is what ends the exchange now, and cause why it was ended.
	mu    sync.Mutex
	end   func(cause error)
	cause error
}

// cut ends the exchange, once.
func (l *lifeline) cut(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause == nil && l.end != nil {
		l.cause = cause
		l.end(cause)
	}
}

// hand lets the exchange be ended in another way from now on; nil lets it not be ended at all. If it has been ended already,
// that is told anew.
func (l *lifeline) hand(end func(cause error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = end
	if l.cause != nil && end != nil {
		end(l.cause)
	}
}

// watchCaller ends the exchange when the key that it was allowed by ends, or its consumer.
func (x *exchange) watchCaller() {
	if x.Caller.Key == "" || x.caller.line != nil {
		return
	}
	line := &lifeline{end: x.client.Severer()}
	x.caller.line = line
	for _, revocation := range x.Caller.Revocations {
		if revocation != nil {
			x.caller.stops = append(x.caller.stops, revocation.OnEnd(func() { line.cut(errKeyRevoked) }))
		}
	}
}

// stop says that the exchange is over.
func (c *watchedCaller) stop() {
	if c.line == nil {
		return
	}
	for _, stop := range c.stops {
		stop()
	}
	c.line.hand(nil)
}

// deadline is until when the exchange may last, and what it means if it lasts longer; zero for any time.
func (x *exchange) deadline() (until time.Time, cause error) {
	if total := x.route.Timeouts.Total; total > 0 {
		until, cause = x.Started.Add(total), errTotalTimeout
	}
	if x.Caller.ExpiresAt > 0 {
		if expiry := time.Unix(x.Caller.ExpiresAt, 0); until.IsZero() || expiry.Before(until) {
			return expiry, errKeyExpired
		}
	}
	return until, cause
}
