package proxy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// What ends an exchange early; the cause of its context.
var (
	errResponseHeaderTimeout = errors.New("the upstream took too long to answer")
	errTryTimeout            = errors.New("the upstream took longer to answer than one try may")
	errRequestTimeout        = errors.New("the client took too long to send its request")
	errIdleTimeout           = errors.New("nothing was sent or received for too long")
	errTotalTimeout          = errors.New("the exchange took longer than it may")
	errKeyExpired            = errors.New("the key expired")
	errKeyRevoked            = errors.New("the key was revoked")
	errClientClosed          = errors.New("the client went away")
	errShutdown              = errors.New("the gateway is shutting down")
)

// watchdog ends an exchange that is silent for too long, or lasts too long. It is one timer, however many timeouts there are:
// progress writes down a time, and the timer looks at it when it fires.
type watchdog struct {
	// Set once.
	began  time.Time
	cancel context.CancelCauseFunc
	// unblock wakes whoever waits for the client.
	unblock func(receiving, sending bool)

	// Guarded by mu.
	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
	// silence is how long nothing may happen, and overdue the cause if it does; deadline bounds the whole, 0 for none.
	silence     time.Duration
	overdue     error
	deadline    time.Duration
	deadlineErr error

	// Atomic: the last progress since began, and whether somebody waits for the client to send or to receive.
	progress  atomic.Int64
	receiving atomic.Bool
	sending   atomic.Bool
}

func newWatchdog(began time.Time, cancel context.CancelCauseFunc, unblock func(receiving, sending bool)) *watchdog {
	return &watchdog{began: began, cancel: cancel, unblock: unblock}
}

// touch says that something was sent or received.
func (w *watchdog) touch() { w.progress.Store(int64(time.Since(w.began))) }

// limit bounds the whole exchange; of several limits the shortest counts.
func (w *watchdog) limit(after time.Duration, cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deadline == 0 || after < w.deadline {
		w.deadline, w.deadlineErr = after, cause
	}
	if w.timer != nil && !w.stopped {
		w.arm()
	}
}

// phase begins a part of the exchange in which the silence may last so long.
func (w *watchdog) phase(silence time.Duration, overdue error) {
	w.touch()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.silence, w.overdue = silence, overdue
	if !w.stopped {
		w.arm()
	}
}

// arm sets the timer to the next moment at which something can be overdue. The caller holds mu.
func (w *watchdog) arm() {
	now := time.Since(w.began)
	next := time.Duration(w.progress.Load()) + w.silence - now
	if w.deadline > 0 {
		next = min(next, w.deadline-now)
	}
	if w.timer == nil {
		w.timer = time.AfterFunc(max(next, 0), w.check)
		return
	}
	w.timer.Reset(max(next, 0))
}

func (w *watchdog) check() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	now := time.Since(w.began)
	switch {
	case w.deadline > 0 && now >= w.deadline:
		w.end(w.deadlineErr)
	case now-time.Duration(w.progress.Load()) >= w.silence:
		if errors.Is(w.overdue, errResponseHeaderTimeout) && w.receiving.Load() {
			w.end(errRequestTimeout)
			return
		}
		w.end(w.overdue)
	default:
		w.arm()
	}
}

// end cuts the exchange. The caller holds mu.
func (w *watchdog) end(cause error) {
	w.stopped = true
	if w.timer != nil {
		w.timer.Stop()
	}
	w.cancel(cause)
	w.unblock(w.receiving.Load(), w.sending.Load())
}

// cut ends the exchange now, unless it has ended.
func (w *watchdog) cut(cause error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stopped {
		w.end(cause)
	}
}

// stop says that the exchange is over; nothing is cut any more.
func (w *watchdog) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	if w.timer != nil {
		w.timer.Stop()
	}
}
