package proxy

import (
	"runtime/debug"
	"syscall"
	"time"
)

// tidier gives memory back after many connections came and became idle. By itself Go's collector runs when as much as is in use has
// been allocated anew, and connections that do nothing allocate nothing: what it took to open them would stay for minutes.
type tidier struct {
	accepted uint64
	used     time.Duration
	at       time.Time
}

const (
	// tidyInterval is the time between two looks.
	tidyInterval = 5 * time.Second
	// tidyAfter is how many connections must have come since the last time.
	tidyAfter = 500
	// quietShare is the share of a processor below which the process is quiet: collecting disturbs nobody then.
	quietShare = 0.05
)

// look tells whether it is time.
func (t *tidier) look(accepted uint64, used time.Duration, now time.Time) bool {
	quiet := !t.at.IsZero() && float64(used-t.used) < quietShare*float64(now.Sub(t.at))
	t.used, t.at = used, now
	if !quiet || accepted-t.accepted < tidyAfter {
		return false
	}
	t.accepted = accepted
	return true
}

// tidy looks, and gives memory back if it is time.
func (p *Proxy) tidy(t *tidier, now time.Time) {
	if !t.look(p.gate.Counts().Accepted, processorTime(), now) {
		return
	}
	// What is spare in pools survives one collection.
	debug.FreeOSMemory()
	debug.FreeOSMemory()
}

// processorTime is what the process has used so far.
func processorTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
