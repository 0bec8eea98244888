package overload

import (
	"context"
	"math"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// MonitorConfig shapes a monitor.
type MonitorConfig struct {
	// MemoryLimit is how much memory the process may take in bytes, as Go's runtime counts it. 0 means no limit.
	MemoryLimit int64
	// Processors is how many processors' time the process may take, if that is less than runtime.GOMAXPROCS; else 0.
	Processors float64
	// LongestLag is how long work may wait for a processor before some is refused, while the process is busy. 0 means 50 ms.
	// (The signal is that of WeChat's DAGOR, "Overload Control for Scaling WeChat Microservices", 2018, which takes 20 ms. Here
	// that is what a few thousand busy connections wait for each other, and no reason to refuse any.)
	LongestLag time.Duration
}

const defaultLongestLag = 50 * time.Millisecond

// Monitor watches the process as a whole: how long work waits for a processor, and how much memory it holds. Its methods may be
// called by several goroutines; a nil monitor sees nothing wrong.
//
// Because of lag only what is sheddable is refused. Refusing costs most of what serving does, since reading and writing are the
// most of both: whoever refuses the usual because processors are short ends up refusing all and serving nothing (it was
// tried). Those who wait are bounded by the number of connections.
type Monitor struct {
	// Set once.
	config MonitorConfig

	// Of the goroutine that runs.
	gauge    gauge
	shedding float64
	// late counts looks in a row that found a lag too long. One alone may be chance.
	late int

	// Atomic.
	memory atomic.Int32
	lag    atomic.Int64
	used   atomic.Int64
	// shed is the share of what is sheddable to refuse, in thousandths.
	shed    atomic.Int32
	refused [criticalities]atomic.Uint64
}

// Memory says how much memory is left.
type Memory int32

const (
	// MemoryFree is the usual state.
	MemoryFree Memory = iota
	// MemoryTight means that no connection is kept for another request, and no large body is taken.
	MemoryTight
	// MemoryExhausted means that nothing is taken but what is critical, and no connection.
	MemoryExhausted
)

// NewMonitor makes a monitor, which watches while it runs.
func NewMonitor(c MonitorConfig) *Monitor {
	if c.LongestLag == 0 {
		c.LongestLag = defaultLongestLag
	}
	return &Monitor{config: c}
}

// watchInterval is how often a monitor looks.
const watchInterval = 100 * time.Millisecond

// Run watches until ctx is done.
func (m *Monitor) Run(ctx context.Context) error {
	m.gauge.begin(m.config.Processors)
	tick := time.NewTimer(watchInterval)
	defer tick.Stop()
	for {
		due := time.Now().Add(watchInterval)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		r := m.gauge.read()
		// How late this goroutine is tells of others that want the processors, inside the process and outside.
		r.lag = max(r.lag, time.Since(due))
		m.note(r)
		tick.Reset(watchInterval)
	}
}

// reading is what was seen at one look.
type reading struct {
	lag  time.Duration
	used int64
	// busy is the share of its processors that the process uses. A process that waits because of others has nothing to gain by
	// refusing work.
	busy float64
}

const (
	// shedFaster and shedSlower move the shedding at each look.
	shedFaster = 0.1
	shedSlower = 0.02
	// busyEnough is how much of its processors a process must use for its lag to be its own doing.
	busyEnough = 0.5
)

func (m *Monitor) note(r reading) {
	m.lag.Store(int64(r.lag))
	m.used.Store(r.used)
	switch {
	case r.lag <= m.config.LongestLag || r.busy < busyEnough:
		m.late, m.shedding = 0, max(m.shedding-shedSlower, 0)
	case m.late > 0:
		m.shedding = min(m.shedding+shedFaster, 1)
	default:
		m.late++
	}
	m.shed.Store(int32(math.Round(m.shedding * 1000)))
	m.memory.Store(int32(m.memoryState(r.used)))
}

const (
	// tight and exhausted are shares of the memory limit; a state ends when a little less is used.
	tight     = 0.80
	exhausted = 0.95
	relief    = 0.05
)

func (m *Monitor) memoryState(used int64) Memory {
	if m.config.MemoryLimit <= 0 {
		return MemoryFree
	}
	share, state := float64(used)/float64(m.config.MemoryLimit), m.Memory()
	above := func(of float64, known Memory) bool {
		if state >= known {
			of -= relief
		}
		return share >= of
	}
	switch {
	case above(exhausted, MemoryExhausted):
		return MemoryExhausted
	case above(tight, MemoryTight):
		return MemoryTight
	}
	return MemoryFree
}

// Memory is how much memory is left.
func (m *Monitor) Memory() Memory {
	if m == nil {
		return MemoryFree
	}
	return Memory(m.memory.Load())
}

// Refusal says why the process does not take an exchange.
type Refusal uint8

// The refusals: none, work waits for processors, and there is no memory.
const (
	RefusedNot Refusal = iota
	RefusedForLag
	RefusedForMemory
)

// Admit tells whether the process has the strength for one more exchange.
func (m *Monitor) Admit(c Criticality) Refusal {
	switch {
	case m == nil:
	case c != Critical && m.Memory() == MemoryExhausted:
		m.refused[c].Add(1)
		return RefusedForMemory
	case c == Sheddable:
		if share := m.shed.Load(); share > 0 && rand.Int32N(1000) < share {
			m.refused[c].Add(1)
			return RefusedForLag
		}
	}
	return RefusedNot
}

// Lag is how long work waited for a processor of late.
func (m *Monitor) Lag() time.Duration { return time.Duration(m.lag.Load()) }

// Used is how much memory is in use that cannot be freed, in bytes.
func (m *Monitor) Used() int64 { return m.used.Load() }

// Shed is the share of what is sheddable that is refused at present because of lag.
func (m *Monitor) Shed() float64 { return float64(m.shed.Load()) / 1000 }

// Refused is how many exchanges of a criticality were not admitted.
func (m *Monitor) Refused(c Criticality) uint64 { return m.refused[c].Load() }
