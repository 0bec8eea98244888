package rollout

import "time"

// maxClockDrift is how far the store's clock may run from ours between two looks before it counts as set.
const maxClockDrift = 5 * time.Second

// clock notices when the store's clock is set: it compares it with this process's monotonic one, which nobody sets. The zero
// value has seen nothing.
type clock struct {
	// store and own are one moment by both clocks.
	store, own time.Time
}

// jump says by how much the store's clock was set since the first look, as far as that was not followed yet; 0 if it was not.
// now was read between asked and answered.
func (c *clock) jump(now, asked, answered time.Time) time.Duration {
	if c.own.IsZero() {
		c.store, c.own = now, answered
		return 0
	}
	jumped := now.Sub(c.store) - answered.Sub(c.own)
	if jumped.Abs() <= maxClockDrift+answered.Sub(asked) {
		// Small differences are drift, and are not kept: only a sudden one is a jump.
		c.store, c.own = now, answered
		return 0
	}
	return jumped
}

// follow says that times were moved by the jump.
func (c *clock) follow(jump time.Duration) { c.store = c.store.Add(jump) }
