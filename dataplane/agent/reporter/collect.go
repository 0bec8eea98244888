package reporter

import (
	"maps"
	"slices"
	"strings"
	"time"

	"tidegate.dev/dataplane/telemetry"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

const (
	// cellsPerReport and usesPerReport keep a report well below what one message may be.
	cellsPerReport = 4_000
	usesPerReport  = 4_000
	// mostPending bounds the cells, and the key uses, that are put together while no report can be kept.
	mostPending = 100_000
)

// tally is what a cell counted.
type tally struct {
	requests uint64
	buckets  [telemetry.Buckets]uint64
	slower   telemetry.Slower
	// timed says that slower was counted.
	timed bool
	// overdue are requests that run still and are slow, and aged those of requests that were counted so before.
	overdue telemetry.Slower
	aged    uint64
}

func (t *tally) add(requests uint64, buckets, before *[telemetry.Buckets]uint64) {
	t.requests += requests
	for i := range buckets {
		t.buckets[i] += buckets[i] - before[i]
	}
}

// reading is what a cell had counted when it was last read, and in which round that was.
type reading struct {
	tally
	round uint64
}

// collector takes differences of counters. It is for one goroutine.
type collector struct {
	counters *telemetry.Counters
	uses     *telemetry.KeyUses
	shadows  *telemetry.Shadows
	baseline *telemetry.Baseline
	bootID   string

	last     map[telemetry.CellKey]*reading
	overdue  map[telemetry.CellKey]overdueReading
	round    uint64
	pending  map[telemetry.CellKey]*tally // without the opening
	keys     map[string]int64
	units    unitCollector
	lost     uint64
	since    time.Time
	sequence int64
	// lines are those that were there before what is counted next.
	lines *telemetry.Lines
}

func newCollector(c Config, now time.Time) *collector {
	return &collector{
		counters: c.Counters, uses: c.KeyUses, shadows: c.Shadows, baseline: c.Baseline, bootID: c.BootID, lines: c.Baseline.Lines(),
		last: make(map[telemetry.CellKey]*reading), overdue: make(map[telemetry.CellKey]overdueReading), pending: make(map[telemetry.CellKey]*tally), keys: make(map[string]int64),
		units: newUnitCollector(), since: now,
	}
}

// collect adds what was counted since the last call to what is pending.
func (c *collector) collect(now time.Time) {
	c.round++
	c.counters.Each(func(key telemetry.CellKey, requests uint64, buckets *[telemetry.Buckets]uint64) {
		before := c.last[key]
		if before == nil {
			before = new(reading)
			c.last[key] = before
		}
		before.round = c.round
		if requests > before.requests {
			c.keep(key, requests-before.requests, buckets, &before.buckets)
			before.requests, before.buckets = requests, *buckets
		}
	})
	c.collectOverdue()
	c.units.collect(c.counters)
	maps.DeleteFunc(c.last, func(_ telemetry.CellKey, r *reading) bool { return r.round != c.round })
	c.baseline.Update(now)
	c.lines = c.baseline.Lines()
	if c.uses == nil {
		return
	}
	for _, use := range c.uses.Drain() {
		if _, have := c.keys[use.Key]; have || len(c.keys) < mostPending {
			c.keys[use.Key] = use.LastUsed
		}
	}
}

func (c *collector) keep(key telemetry.CellKey, requests uint64, buckets, before *[telemetry.Buckets]uint64) {
	slower, timed := c.lines.Count(key, buckets, before)
	sum := c.sum(key)
	if sum == nil {
		return
	}
	sum.add(requests, buckets, before)
	if key.Aged {
		sum.aged += requests
	}
	sum.timed = sum.timed || timed
	for i, n := range slower {
		sum.slower[i] += n
	}
}

// sum is what is pending of a cell; nil: there is no room for it.
func (c *collector) sum(key telemetry.CellKey) *tally {
	key.Opening, key.Aged = 0, false
	sum := c.pending[key]
	if sum == nil {
		if len(c.pending) >= mostPending {
			c.lost++
			return nil
		}
		sum = new(tally)
		c.pending[key] = sum
	}
	return sum
}

// overdueReading is which requests were slow while they ran when that was last read, and in which round that was.
type overdueReading struct {
	slower telemetry.Slower
	round  uint64
}

// collectOverdue adds the requests that became slow since the last call, and have not ended.
func (c *collector) collectOverdue() {
	c.counters.EachOverdue(func(key telemetry.CellKey, slower telemetry.Slower) {
		fresh := slower.Since(c.overdue[key].slower)
		c.overdue[key] = overdueReading{slower, c.round}
		if fresh == (telemetry.Slower{}) {
			return
		}
		if sum := c.sum(key); sum != nil {
			for i, n := range fresh {
				sum.overdue[i] += n
			}
		}
	})
	maps.DeleteFunc(c.overdue, func(_ telemetry.CellKey, r overdueReading) bool { return r.round != c.round })
}

// cut makes reports of what is pending; none if there is nothing to tell.
func (c *collector) cut(now time.Time) []*agentv1.ReportTelemetryRequest {
	cells := make([]*agentv1.Cell, 0, len(c.pending))
	for key, sum := range c.pending {
		cells = append(cells, cellOf(key, sum))
	}
	uses := make([]*agentv1.KeyUse, 0, len(c.keys))
	for key, at := range c.keys {
		uses = append(uses, &agentv1.KeyUse{Key: key, LastUsed: at})
	}
	shadows := c.shadowReports()
	units, leftOut := c.units.cut()
	var reports []*agentv1.ReportTelemetryRequest
	for len(cells) > 0 || len(uses) > 0 || c.lost > 0 || len(shadows) > 0 || len(units) > 0 || leftOut > 0 {
		n, m, k := min(len(cells), cellsPerReport), min(len(uses), usesPerReport), min(len(units), cellsPerReport)
		c.sequence++
		reports = append(reports, &agentv1.ReportTelemetryRequest{
			BootId: c.bootID, Sequence: c.sequence,
			StartUnixMs: c.since.UnixMilli(), DurationMs: uint32(now.Sub(c.since).Milliseconds()),
			Cells: cells[:n], KeyUses: uses[:m], LostCells: c.lost, Shadows: shadows,
			Units: units[:k], UnitsLeftOut: leftOut,
		})
		cells, uses, c.lost, shadows, units, leftOut = cells[n:], uses[m:], 0, nil, units[k:], 0
	}
	clear(c.pending)
	clear(c.keys)
	c.since = now
	return reports
}

// shadowReports is what candidates decided beside live requests.
func (c *collector) shadowReports() []*agentv1.ShadowReport {
	if c.shadows == nil {
		return nil
	}
	var reports []*agentv1.ShadowReport
	for _, shadow := range c.shadows.Drain() {
		report := &agentv1.ShadowReport{RolloutId: shadow.RolloutID, Sampled: shadow.Sampled}
		for difference, count := range shadow.Differences {
			report.Differences = append(report.Differences, &agentv1.ShadowDifference{
				StableRoute: difference.StableRoute, StableDecision: difference.StableDecision,
				CandidateRoute: difference.CandidateRoute, CandidateDecision: difference.CandidateDecision,
				Requests: count.Requests, Example: strings.ToValidUTF8(count.Example, "?"),
			})
		}
		reports = append(reports, report)
	}
	return reports
}

func cellOf(key telemetry.CellKey, sum *tally) *agentv1.Cell {
	cell := &agentv1.Cell{
		Revision: key.Revision, Arm: agentv1.Arm(key.Arm), RolloutId: key.RolloutID, SharePpm: key.SharePPM,
		Route: key.Route, StatusClass: uint32(key.StatusClass), Reason: key.Reason, Requests: sum.requests,
	}
	if sum.timed {
		cell.Slower = sum.slower[:]
	}
	if sum.overdue != (telemetry.Slower{}) {
		cell.SlowerRunning = sum.overdue[:]
	}
	cell.CountedRunning = sum.aged
	used := 0
	for _, count := range sum.buckets {
		if count > 0 {
			used++
		}
	}
	cell.Buckets, cell.BucketCounts = slices.Grow(cell.Buckets, used), slices.Grow(cell.BucketCounts, used)
	for i, count := range sum.buckets {
		if count > 0 {
			cell.Buckets, cell.BucketCounts = append(cell.Buckets, uint32(i)), append(cell.BucketCounts, count)
		}
	}
	return cell
}
