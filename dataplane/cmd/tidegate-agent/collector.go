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
	pacingInterval = 5 * time.Second
)

// paceCollector keeps collections rare while the heap is small, until ctx ends. A memory limit goes before it, and so does GOGC.
func paceCollector(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	tick := time.NewTicker(pacingInterval)
	defer tick.Stop()
	for percent := usualPercent; ; {
		metrics.Read(live)
		if wanted := percentFor(live[0].Value.Uint64()); wanted < percent*4/5 || wanted > percent*5/4 {
			percent = wanted
			debug.SetGCPercent(percent)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// percentFor is how much may be allocated until the next collection, in percent of what is in use.
func percentFor(live uint64) int {
	const least = roomToAllocate / 100 // no more than 100 times as much
	return max(usualPercent, int(100*roomToAllocate/max(live, least)))
}
