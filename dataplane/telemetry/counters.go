package telemetry

import (
	"math/bits"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// CellKey says what the requests of a cell have in common.
type CellKey struct {
	Revision int64
	// Arm is 1 for stable and 2 for the candidate.
	Arm uint8
	// RolloutID is empty when no coin was thrown.
	RolloutID string
	// SharePPM is the probability of the candidate, in parts per million, when the coin was thrown.
	SharePPM uint32
	// Route is empty if none matched.
	Route string
	// StatusClass is 1 to 5, 0 when the client went away before an answer.
	StatusClass uint8
	// Reason is why the gateway made the answer; empty when the upstream did.
	Reason string
	// Aged says that the requests were counted as slow, and so as requests, while they ran: [Counters.EachOverdue].
	Aged bool
	// Opening tells arms apart that were opened with the same ArmKey, one after the other: each counts from nothing.
	Opening uint64
}

// retention is how long the cells of an ended arm are still shown to [Counters.Each]. Whoever reads does so every second or
// more often, so that nothing is lost to it.
const retention = 30 * time.Second

// Counters counts requests in cells. Values only grow. It is safe for use by several goroutines.
type Counters struct {
	// Set once.
	reasons []string
	shards  int
	now     func() time.Time

	// Atomic.
	unitsLeftOut atomic.Uint64

	// Guarded by mu.
	mu       sync.Mutex
	arms     []*Arm
	openings uint64
	// units are those of the present coin, and of others for a while; recalled is what a process before counted.
	units    []*Units
	recalled *UnitsMemory
	// past sums up what removed arms had counted, so that metrics never go back.
	past map[metricKey]*[Buckets]uint64
}

// NewCounters makes counters for outcomes whose reasons are named by their index; reason 0 is none and has no name.
func NewCounters(reasons []string) *Counters {
	return &Counters{
		reasons: slices.Clone(reasons),
		shards:  min(1<<bits.Len(uint(runtime.GOMAXPROCS(0)-1)), 16),
		now:     time.Now,
		past:    make(map[metricKey]*[Buckets]uint64),
	}
}

// ArmKey is the part of a [CellKey] that all requests of an arm share.
type ArmKey struct {
	Revision  int64
	Arm       uint8
	RolloutID string
	SharePPM  uint32
}

// Open begins an arm whose routes have the numbers 1 to routes; number 0 stands for requests without a route. The caller
// closes it when its last request has been recorded.
func (c *Counters) Open(key ArmKey, routes int) *Arm {
	return c.open(&Arm{ArmKey: key, counters: c, pages: make([]page, routes/pageSize+1)})
}

func (c *Counters) open(arm *Arm) *Arm {
	arm.watchRunning()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.openings++
	arm.opening = c.openings
	c.arms = append(c.arms, arm)
	return arm
}

// Each calls visit for each cell that has counted anything, with what it counted since it began. The array is the caller's
// only during the call.
func (c *Counters) Each(visit func(key CellKey, requests uint64, buckets *[Buckets]uint64)) {
	sum := new([Buckets]uint64)
	for _, arm := range c.current() {
		for cell := range arm.cells() {
			*sum = [Buckets]uint64{}
			if requests := cell.sum(sum); requests > 0 {
				visit(c.key(arm, cell), requests, sum)
			}
		}
	}
}

func (c *Counters) key(arm *Arm, cell *cell) CellKey {
	return CellKey{
		Revision: arm.Revision, Arm: arm.Arm, RolloutID: arm.RolloutID, SharePPM: arm.SharePPM,
		Route: cell.route, StatusClass: cell.class &^ agedClass, Reason: c.reasons[cell.reason], Aged: cell.class&agedClass != 0,
		Opening: arm.opening,
	}
}

// current removes the arms that ended long enough ago and returns the others.
func (c *Counters) current() []*Arm {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.arms = slices.DeleteFunc(c.arms, func(arm *Arm) bool {
		if arm.ended.IsZero() || now.Sub(arm.ended) < retention {
			return false
		}
		c.fold(arm)
		return true
	})
	return slices.Clone(c.arms)
}

// fold adds an arm's cells to the past. The caller holds mu.
func (c *Counters) fold(arm *Arm) {
	for cell := range arm.cells() {
		key := c.metricKey(arm, cell)
		sum := c.past[key]
		if sum == nil {
			sum = new([Buckets]uint64)
			c.past[key] = sum
		}
		cell.sum(sum)
	}
}
