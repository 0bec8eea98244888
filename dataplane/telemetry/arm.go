package telemetry

import (
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Arm counts the requests that one snapshot decided under one probability.
type Arm struct {
	ArmKey

	// Set once.
	counters *Counters
	opening  uint64
	pages    []page
	running  *runningSet // nil: no coin chose the arm
	units    *Units      // nil: the coin was thrown for the request

	// Guarded by mu: the making of pages and cells.
	mu sync.Mutex

	// ended is guarded by counters.mu.
	ended time.Time
}

const pageSize = 256

// page has a slot for each of its routes. Pages and slots are made when first needed, so that an arm of 100,000 routes costs
// what is used of it.
type page struct {
	slots atomic.Pointer[[pageSize]slot]
}

// slot lists the cells of one route: few, so a search is shorter than a hash. The list is never changed, only replaced.
type slot struct {
	cells atomic.Pointer[[]*cell]
}

type cell struct {
	route  string
	class  uint8
	reason uint8
	shards []shard
}

// shard is one of the copies of a cell, so that processors do not wait for each other's cache lines.
type shard struct {
	buckets [Buckets]atomic.Uint64
}

// Record counts one request: the route's number and name, the class of the status (0 to 5), the index of the reason, and how
// long it took.
func (a *Arm) Record(number uint32, route string, class, reason uint8, took time.Duration) {
	cell := a.find(number, class, reason)
	if cell == nil {
		cell = a.make(number, route, class, reason)
	}
	at := 0
	if len(cell.shards) > 1 {
		at = int(rand.Uint32()) & (len(cell.shards) - 1)
	}
	cell.shards[at].buckets[Bucket(took)].Add(1)
}

func (a *Arm) find(number uint32, class, reason uint8) *cell {
	slots := a.pages[number/pageSize].slots.Load()
	if slots == nil {
		return nil
	}
	return slots[number%pageSize].find(class, reason)
}

func (s *slot) find(class, reason uint8) *cell {
	cells := s.cells.Load()
	if cells == nil {
		return nil
	}
	for _, c := range *cells {
		if c.class == class && c.reason == reason {
			return c
		}
	}
	return nil
}

func (a *Arm) make(number uint32, route string, class, reason uint8) *cell {
	a.mu.Lock()
	defer a.mu.Unlock()
	page := &a.pages[number/pageSize]
	slots := page.slots.Load()
	if slots == nil {
		slots = new([pageSize]slot)
		page.slots.Store(slots)
	}
	slot := &slots[number%pageSize]
	if made := slot.find(class, reason); made != nil {
		return made
	}
	made := &cell{route: route, class: class, reason: reason, shards: make([]shard, a.counters.shards)}
	var cells []*cell
	if old := slot.cells.Load(); old != nil {
		cells = slices.Clone(*old)
	}
	cells = append(cells, made)
	slot.cells.Store(&cells)
	return made
}

// Close ends the arm: nothing will be recorded any more. Its cells are shown for half a minute more, so that every reader
// gets their last values.
func (a *Arm) Close() {
	a.counters.mu.Lock()
	defer a.counters.mu.Unlock()
	a.ended = a.counters.now()
}

// cells visits every cell.
func (a *Arm) cells() func(yield func(*cell) bool) {
	return func(yield func(*cell) bool) {
		for i := range a.pages {
			slots := a.pages[i].slots.Load()
			if slots == nil {
				continue
			}
			for n := range slots {
				cells := slots[n].cells.Load()
				if cells == nil {
					continue
				}
				for _, c := range *cells {
					if !yield(c) {
						return
					}
				}
			}
		}
	}
}

// sum adds the cell's buckets to into and returns the number of requests that it counted.
func (c *cell) sum(into *[Buckets]uint64) (requests uint64) {
	for s := range c.shards {
		for i := range c.shards[s].buckets {
			count := c.shards[s].buckets[i].Load()
			into[i] += count
			requests += count
		}
	}
	return requests
}
