package reporter

import (
	"tidegate.dev/dataplane/telemetry"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// unitCollector takes differences of the counts of units that this agent reports.
type unitCollector struct {
	last    map[telemetry.UnitKey]uint64
	pending map[telemetry.UnitKey]uint64
	// leftOut are requests whose units are outside of the sample: what was read last, and what is pending.
	leftOutBefore, leftOut uint64
}

func newUnitCollector() unitCollector {
	return unitCollector{last: make(map[telemetry.UnitKey]uint64), pending: make(map[telemetry.UnitKey]uint64)}
}

// collect adds what was counted since the last call to what is pending.
func (c *unitCollector) collect(counters *telemetry.Counters) {
	now := make(map[telemetry.UnitKey]uint64)
	counters.EachUnit(func(key telemetry.UnitKey, count telemetry.UnitCount) {
		now[key] = count.Owned
		if fresh := count.Owned - c.last[key]; fresh > 0 {
			c.pending[key] += fresh
		}
	})
	c.last = now
	leftOut := counters.UnitsLeftOut()
	c.leftOut += leftOut - c.leftOutBefore
	c.leftOutBefore = leftOut
}

// cut gives away what is pending.
func (c *unitCollector) cut() (units []*agentv1.UnitCount, leftOut uint64) {
	for key, n := range c.pending {
		units = append(units, &agentv1.UnitCount{
			RolloutId: key.RolloutID, Arm: agentv1.Arm(key.Arm), SharePpm: key.SharePPM, Route: key.Route, Metric: key.Metric, Units: n,
		})
	}
	clear(c.pending)
	leftOut, c.leftOut = c.leftOut, 0
	return units, leftOut
}
