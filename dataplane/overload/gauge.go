package overload

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// gauge reads the runtime.
type gauge struct {
	samples []metrics.Sample
	before  []uint64
	// worked is processorTime at the last look, which was at.
	worked time.Duration
	at     time.Time
	// processors is how many may work for the process.
	processors float64
}

// What is read, by index.
const (
	schedulerLatencies = iota
	heapLive
	heapObjects
	heapFree
	heapReleased
	heapUnused
	allMemory
)

func (g *gauge) begin(processors float64) {
	g.processors = float64(runtime.GOMAXPROCS(0))
	if processors > 0 {
		g.processors = min(g.processors, processors)
	}
	g.samples = []metrics.Sample{
		schedulerLatencies: {Name: "/sched/latencies:seconds"},
		heapLive:           {Name: "/gc/heap/live:bytes"},
		heapObjects:        {Name: "/memory/classes/heap/objects:bytes"},
		heapFree:           {Name: "/memory/classes/heap/free:bytes"},
		heapReleased:       {Name: "/memory/classes/heap/released:bytes"},
		heapUnused:         {Name: "/memory/classes/heap/unused:bytes"},
		allMemory:          {Name: "/memory/classes/total:bytes"},
	}
	g.read()
}

// read tells what changed since it was last asked, and how much memory is in use. What the collector has yet to free is not
// counted: it frees more as the limit comes near.
func (g *gauge) read() (r reading) {
	metrics.Read(g.samples)
	bytes := func(i int) int64 {
		if g.samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return int64(g.samples[i].Value.Uint64()) //nolint:gosec // no machine has as much
	}
	garbage := max(0, bytes(heapObjects)-bytes(heapLive))
	r.used = bytes(allMemory) - bytes(heapFree) - bytes(heapReleased) - bytes(heapUnused) - garbage
	r.busy = g.busy()
	if g.samples[schedulerLatencies].Value.Kind() == metrics.KindFloat64Histogram {
		r.lag = g.median(g.samples[schedulerLatencies].Value.Float64Histogram())
	}
	return r
}

// busy is the share of the processors that the process may use which worked for it since the last time; 1 if nobody knows.
func (g *gauge) busy() float64 {
	worked, ok := processorTime()
	if !ok {
		return 1
	}
	now := time.Now()
	share := float64(worked-g.worked) / float64(now.Sub(g.at)) / g.processors
	g.worked, g.at = worked, now
	return share
}

// median is that of the latencies since the last time.
func (g *gauge) median(h *metrics.Float64Histogram) time.Duration {
	if g.before == nil {
		g.before = make([]uint64, len(h.Counts))
	}
	total := uint64(0)
	for i, count := range h.Counts {
		g.before[i] = count - g.before[i]
		total += g.before[i]
	}
	sum, at := uint64(0), -1
	for i := range h.Counts {
		if sum += g.before[i]; at < 0 && total > 0 && 2*sum >= total {
			at = i
		}
		g.before[i] = h.Counts[i]
	}
	if at < 0 {
		return 0
	}
	return time.Duration(max(h.Buckets[at], 0) * float64(time.Second))
}
