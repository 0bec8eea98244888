package telemetry

import (
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// mostUnitMarks bounds what is remembered of units: a mark for each thing that one was counted by. When there are more, only
// every second unit is counted from then on, of those that were counted already too, and so on: a sample that depends on the hash
// alone, and so on no arm.
const mostUnitMarks = 16_384

// MetricRequests is the metric of units that were seen at all.
const MetricRequests = "requests"

// UnitCoin is what must be the same for units to be compared: the coin was thrown for them anew, with a probability.
type UnitCoin struct {
	RolloutID string `json:"rollout_id"`
	// SharePPM is the probability of the candidate among the units whose coin was thrown anew, in parts per million.
	SharePPM uint32 `json:"share_ppm"`
	// SettledPPM is the share of all units that had the candidate before. They keep it, so they have nothing to tell.
	SettledPPM uint32 `json:"settled_ppm"`
}

// UnitsConfig says which units are counted, and how.
type UnitsConfig struct {
	UnitCoin
	// Counter of Counters says which part of the units this agent counts for the fleet: each unit is counted by one agent at
	// most. 0 Counters: none.
	Counter, Counters uint32
	// Apart tells what a unit does on a route that does not count in the total: a route without control, or what is expected
	// there. MetricRequests asks for the route as a whole.
	Apart func(route, metric string) bool
}

// Units counts units of one coin: each once by a metric, in total and by route. It is safe for use by several goroutines.
type Units struct {
	// Set once.
	config  UnitsConfig
	metrics []string

	// Guarded by the mu of the counters that it belongs to.
	ended time.Time

	// Guarded by mu.
	mu     sync.Mutex
	marks  map[uint64]uint32 // what was counted, and by it the place of its unit in the sample
	halved uint
	frozen bool
	cells  map[UnitKey]*UnitCount

	// leftOut is that of the counters.
	leftOut *atomic.Uint64
}

// UnitKey says what units have in common.
type UnitKey struct {
	UnitCoin
	// Arm is 1 for stable and 2 for the candidate.
	Arm uint8
	// Route is empty for all routes together: a unit that was bad on two is bad once.
	Route string
	// Metric is MetricRequests, "upstream_5xx", "gateway." and a reason, or "slower." and a quantile.
	Metric string
}

// UnitCount is how many units there were, and how many of them this agent counts for the fleet.
type UnitCount struct{ All, Owned uint64 }

// The metrics of units by number; those of the gateway's reasons follow.
const (
	unitSeen = iota
	unitUpstream5xx
	unitSlower
	unitReasons = unitSlower + len(Quantiles)
)

func unitMetrics(reasons []string) []string {
	metrics := []string{MetricRequests, "upstream_5xx"}
	for _, q := range Quantiles {
		metrics = append(metrics, "slower."+q.Name)
	}
	for _, reason := range reasons {
		metrics = append(metrics, "gateway."+reason)
	}
	return metrics
}

// OpenUnits begins to count the units of a coin, or goes on with it. Those of another coin are shown for half a minute more.
func (c *Counters) OpenUnits(config UnitsConfig) *Units {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	c.units = slices.DeleteFunc(c.units, func(u *Units) bool { return !u.ended.IsZero() && now.Sub(u.ended) >= retention })
	for _, u := range c.units {
		if u.config.UnitCoin == config.UnitCoin {
			u.ended = time.Time{}
			return u
		}
		if u.ended.IsZero() {
			u.ended = now
		}
	}
	u := &Units{config: config, metrics: unitMetrics(c.reasons), marks: make(map[uint64]uint32), cells: make(map[UnitKey]*UnitCount)}
	u.leftOut = &c.unitsLeftOut
	if recalled := c.recalled; recalled != nil && recalled.UnitCoin == config.UnitCoin {
		u.recall(recalled)
	}
	c.recalled = nil
	c.units = append(c.units, u)
	return u
}

// UnitsOf are the units of a rollout that are counted now; nil: none.
func (c *Counters) UnitsOf(rolloutID string) *Units {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, u := range c.units {
		if u.ended.IsZero() && u.config.RolloutID == rolloutID {
			return u
		}
	}
	return nil
}

// EachUnit calls visit for each count of units, with what was counted since the coin was thrown first.
func (c *Counters) EachUnit(visit func(key UnitKey, count UnitCount)) {
	for _, u := range c.allUnits() {
		for key, count := range u.counts() {
			visit(key, count)
		}
	}
}

// UnitsLeftOut is how many requests were not counted because their unit is outside of the sample.
func (c *Counters) UnitsLeftOut() (requests uint64) { return c.unitsLeftOut.Load() }

func (c *Counters) allUnits() []*Units {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.units)
}

func (u *Units) counts() map[UnitKey]UnitCount {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := make(map[UnitKey]UnitCount, len(u.cells))
	for key, count := range u.cells {
		all[key] = *count
	}
	return all
}

// FreezeUnits ends the counting of units for good: another process goes on with it.
func (c *Counters) FreezeUnits() {
	for _, u := range c.allUnits() {
		u.mu.Lock()
		u.frozen = true
		u.mu.Unlock()
	}
}

// count counts a unit by metrics, each once in total and once on the route.
func (u *Units) count(unit Unit, arm uint8, route string, metrics ...int) {
	if unit.IsNone() || unit.Below(u.config.SettledPPM) {
		return
	}
	apart := route != "" && u.config.Apart != nil
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.frozen {
		return
	}
	if !u.samples(unit.sample) {
		u.leftOut.Add(1)
		return
	}
	for _, metric := range metrics {
		if route != "" {
			u.mark(unit, arm, route, metric)
		}
		if apart && (u.config.Apart(route, MetricRequests) || u.config.Apart(route, u.metrics[metric])) {
			continue
		}
		u.mark(unit, arm, "", metric)
	}
}

// mark counts a unit by one metric in one scope, unless it was. The caller holds mu.
func (u *Units) mark(unit Unit, arm uint8, route string, metric int) {
	once := unit.once(route, metric)
	if _, counted := u.marks[once]; counted {
		return
	}
	u.marks[once] = unit.sample
	key := UnitKey{UnitCoin: u.config.UnitCoin, Arm: arm, Route: route, Metric: u.metrics[metric]}
	cell := u.cells[key]
	if cell == nil {
		cell = new(UnitCount)
		u.cells[key] = cell
	}
	cell.All++
	if u.config.Counters > 0 && unit.owner%u.config.Counters == u.config.Counter {
		cell.Owned++
	}
	for len(u.marks) > mostUnitMarks {
		u.halve()
	}
}

// samples tells whether a unit belongs to the sample that is counted.
func (u *Units) samples(sample uint32) bool { return sample <= math.MaxUint32>>u.halved }

// halve counts half of the units from now on. What was counted of the others stays, and they are never counted again.
func (u *Units) halve() {
	u.halved++
	for once, sample := range u.marks {
		if !u.samples(sample) {
			delete(u.marks, once)
		}
	}
}

// UnitsMemory is which units were counted, to be kept where it outlives the process: none is counted twice.
type UnitsMemory struct {
	UnitCoin
	// Halved is how often the sample was halved.
	Halved uint `json:"halved"`
	// Marks are what was counted, in 12 bytes each.
	Marks []byte `json:"marks"`
}

// unitMark is the size of one of the marks of a memory.
const unitMark = 12

// RememberUnits returns which units were counted by the present coin; nil: there is none.
func (c *Counters) RememberUnits() *UnitsMemory {
	for _, u := range c.allUnits() {
		if c.UnitsOf(u.config.RolloutID) == u {
			return u.remember()
		}
	}
	return nil
}

// RecallUnits hands over what a process before remembered, for when its coin is thrown again.
func (c *Counters) RecallUnits(memory *UnitsMemory) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recalled = memory
}

func (u *Units) remember() *UnitsMemory {
	u.mu.Lock()
	defer u.mu.Unlock()
	memory := &UnitsMemory{UnitCoin: u.config.UnitCoin, Halved: u.halved, Marks: make([]byte, 0, unitMark*len(u.marks))}
	for once, sample := range u.marks {
		memory.Marks = binary.LittleEndian.AppendUint64(memory.Marks, once)
		memory.Marks = binary.LittleEndian.AppendUint32(memory.Marks, sample)
	}
	return memory
}

func (u *Units) recall(memory *UnitsMemory) {
	u.halved = min(memory.Halved, 31)
	for marks := memory.Marks; len(marks) >= unitMark; marks = marks[unitMark:] {
		u.marks[binary.LittleEndian.Uint64(marks)] = binary.LittleEndian.Uint32(marks[8:])
	}
	for len(u.marks) > mostUnitMarks {
		u.halve()
	}
}
