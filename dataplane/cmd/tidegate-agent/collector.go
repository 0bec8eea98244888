package main

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	// roomToAllocate is how much is allocated between two collections at least. Go's own least is 4 MiB, which a small heap fills
	// several times a second; each collection takes processors from requests, and they wait.
	roomToAllocate = 16 << 20
	// usualPercent is Go's: as much is allocated as is in use.
	usualPercent = 100
	// pacingInterval is how often the heap is looked at.
	pacingInterval = time.Second
)

// paceCollector keeps collections rare while the heap is small, and gives back what a rush has left when it is over, until ctx ends.
// A memory limit goes before the first, and so does GOGC.
func paceCollector(ctx context.Context) error {
	tick := time.NewTicker(pacingInterval)
	defer tick.Stop()
	given := os.Getenv("GOGC") != ""
	percent, after := usualPercent, aftermath{}
	for {
		live, allocated := readHeap()
		if wanted := percentFor(live); !given && (wanted < percent*4/5 || wanted > percent*5/4) {
			percent = wanted
			debug.SetGCPercent(percent)
		}
		if after.look(live, allocated) {
			debug.FreeOSMemory()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// readHeap returns how much the last collection found in use, and how much was ever allocated, in bytes.
func readHeap() (live, allocated uint64) {
	samples := [...]metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(samples[:])
	return samples[0].Value.Uint64(), samples[1].Value.Uint64()
}

// percentFor is how much may be allocated until the next collection, in percent of what is in use.
func percentFor(live uint64) int {
	const least = roomToAllocate / 100 // no more than 100 times as much
	return max(usualPercent, int(100*roomToAllocate/max(live, least)))
}

// aftermath tells when a rush is over. Whoever allocates little then would wait long for a collection, while thousands of idle
// connections are worth a fraction of what they needed to ask.
type aftermath struct {
	allocated, tidied uint64
	// left is how often to collect yet: what is kept for another use is let go by the second collection (sync.Pool).
	left int
}

const (
	// rush is how much must have been allocated since the last time, and a quarter of what is in use.
	rush = 8 << 20
	// calm is how little is allocated from one look to the next.
	calm = 256 << 10
)

// look tells whether to collect now.
func (a *aftermath) look(live, allocated uint64) bool {
	quiet := allocated-a.allocated <= calm
	a.allocated = allocated
	switch {
	case !quiet:
		a.left = 0
		return false
	case a.left == 0 && allocated-a.tidied > max(rush, live/4):
		a.left = 2
	}
	if a.left == 0 {
		return false
	}
	a.left--
	a.tidied = allocated
	return true
}
