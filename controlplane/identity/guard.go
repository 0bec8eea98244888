package identity

import (
	"container/list"
	"net/netip"
	"sync"
	"time"
)

const (
	// A source may fail this often at once; then it gets one more try each refillEvery, until it has been quiet for
	// long enough.
	freeFailures = 10
	refillEvery  = 6 * time.Second
	// maxSources bounds the memory. When it is full, the source that failed longest ago is forgotten.
	maxSources = 4096
)

// guard slows down guessing: it counts failures by source address, in a bucket that refills. Memory is bounded, and an IPv6
// source is its /64, since one host has all of those addresses.
type guard struct {
	now func() time.Time

	mu      sync.Mutex
	sources map[netip.Prefix]*list.Element
	oldest  *list.List // of *failures, the one that failed longest ago in front
}

type failures struct {
	source netip.Prefix
	count  float64 // of failures not yet forgiven
	at     time.Time
}

func newGuard(now func() time.Time) *guard {
	return &guard{now: now, sources: make(map[netip.Prefix]*list.Element), oldest: list.New()}
}

// retryAfter is how long the source must wait; 0 if it may try now.
func (g *guard) retryAfter(source netip.Addr) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	element, known := g.sources[network(source)]
	if !known {
		return 0
	}
	count := element.Value.(*failures).remaining(g.now())
	if count <= freeFailures-1 {
		return 0
	}
	return time.Duration((count - (freeFailures - 1)) * float64(refillEvery))
}

// failed counts one failure of the source.
func (g *guard) failed(source netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, key := g.now(), network(source)
	element, known := g.sources[key]
	if !known {
		if g.oldest.Len() >= maxSources {
			delete(g.sources, g.oldest.Remove(g.oldest.Front()).(*failures).source)
		}
		element = g.oldest.PushBack(&failures{source: key, at: now})
		g.sources[key] = element
	}
	f := element.Value.(*failures)
	f.count, f.at = f.remaining(now)+1, now
	g.oldest.MoveToBack(element)
}

func (f *failures) remaining(now time.Time) float64 {
	return max(0, f.count-float64(now.Sub(f.at))/float64(refillEvery))
}

func network(source netip.Addr) netip.Prefix {
	source = source.Unmap()
	bits := 32
	if source.Is6() {
		bits = 64
	}
	prefix, err := source.WithZone("").Prefix(bits)
	if err != nil { // not an address: all of those share one bucket
		return netip.Prefix{}
	}
	return prefix
}
