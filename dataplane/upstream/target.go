package upstream

import (
	"sync/atomic"
	"time"
)

// Window keeps failures apart that must not influence each other: what one user of a service makes of a target does not
// change what another sees.
type Window uint8

// Windows is how many windows there are.
const Windows = 3

// Target is one destination of a service.
type Target struct {
	// Set once.
	scheme string
	host   string
	prefix string
	weight uint32

	// Atomic.
	windows [Windows]outlierWindow
}

// outlierWindow is what is known of a target's failures to connect.
type outlierWindow struct {
	failures atomic.Int32
	// until is when it may be tried again, in nanoseconds since 1970.
	until atomic.Int64
}

const (
	firstEjection   = time.Second
	longestEjection = 30 * time.Second
)

// Scheme is http or https.
func (t *Target) Scheme() string { return t.scheme }

// Host is the target's authority: its host, and its port if it was given.
func (t *Target) Host() string { return t.host }

// Prefix is the path that goes in front of a request's path; empty or with a slash at its beginning and none at its end.
func (t *Target) Prefix() string { return t.prefix }

// Available tells whether the target may be chosen.
func (t *Target) Available(window Window, now time.Time) bool {
	until := t.windows[window].until.Load()
	return until == 0 || now.UnixNano() >= until
}

// Failed says that no connection could be opened. The target is skipped for a second, and for twice as long after each
// further failure, up to half a minute.
func (t *Target) Failed(window Window, now time.Time) {
	w := &t.windows[window]
	failures := w.failures.Add(1)
	ejection := min(firstEjection<<min(failures-1, 10), longestEjection)
	w.until.Store(now.Add(ejection).UnixNano())
}

// Succeeded says that the target answered.
func (t *Target) Succeeded(window Window) {
	w := &t.windows[window]
	if w.failures.Load() != 0 {
		w.failures.Store(0)
		w.until.Store(0)
	}
}
