package rollout

import (
	"sync"
	"time"
)

// maxClockDrift is how far the store's clock may run from ours between two looks before it counts as set.
const maxClockDrift = 5 * time.Second

// clock notices when the store's clock is set: it compares it with this process's monotonic one, which nobody sets. The zero
// value has seen nothing. It is safe for concurrent use.
type clock struct {
	mu sync.Mutex
	// store and own are one moment by both clocks.
	store, own time.Time
	// total is by how much the store's clock was set.
	total time.Duration
}

// begin takes over what others noticed, unless this one has watched itself.
func (c *clock) begin(total time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own.IsZero() {
		c.total = total
	}
}

// observe looks at the store's clock, which said now at a moment between asked and answered.
func (c *clock) observe(now, asked, answered time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Of answers that cross, the later says no more.
	if !c.own.IsZero() && answered.Before(c.own) {
		return
	}
	if !c.own.IsZero() {
		// Small differences are drift, or the time that the answer took; only a sudden large one is a jump.
		if jump := now.Sub(c.store) - answered.Sub(c.own); jump.Abs() > maxClockDrift+answered.Sub(asked) {
			c.total += jump
		}
	}
	c.store, c.own = now, answered
}

// offset is by how much the store's clock was set by now.
func (c *clock) offset() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.total
}
