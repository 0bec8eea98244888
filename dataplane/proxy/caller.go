package proxy

import (
	"sync"
	"time"
)

// watchedCaller is the right of a caller to be served, while an exchange goes on that may last. Short exchanges do not need it.
type watchedCaller struct {
	line *lifeline
	// watched says that the key and the consumer are.
	watched bool
	stops   []func()
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
	if x.Caller.Key == "" || x.caller.watched {
		return
	}
	line, table, consumer := x.lifeline(), x.proxy.lane, x.Caller.Consumer
	x.caller.watched = true
	for _, revocation := range x.Caller.Revocations {
		if revocation != nil {
			x.caller.stops = append(x.caller.stops, revocation.OnEnd(func() {
				if now, ok := table.Consumer(consumer); ok && now.Blocked {
					line.cut(errBlocked)
					return
				}
				line.cut(errKeyRevoked)
			}))
		}
	}
}

// watchAddress ends the exchange when its client's address is blocked. It is for what may last for hours.
func (x *exchange) watchAddress() {
	line := x.lifeline()
	x.caller.stops = append(x.caller.stops, x.proxy.lane.OnBlocked(x.Client, func() { line.cut(errBlocked) }))
}

// lifeline is the exchange's, made when it is first asked for.
func (x *exchange) lifeline() *lifeline {
	if x.caller.line == nil {
		x.caller.line = &lifeline{end: x.client.Severer()}
	}
	return x.caller.line
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
