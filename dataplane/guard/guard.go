// Package guard judges a candidate by this agent's own traffic, many times a second: from counters that are there already
// it compares the candidate with the control group of the same moment, and says when the candidate must go. It needs no
// control plane for that.
//
// It knows what was counted and the mathematics of package evidence. It knows neither streams nor the proxy, does not act,
// and is told what time it is.
package guard

import (
	"fmt"
	"time"

	"tidegate.dev/dataplane/telemetry"
	"tidegate.dev/proto/evidence"
)

// maxRoutes bounds how many routes are compared one by one: those that have traffic first. The total over all routes is
// always compared.
const maxRoutes = 256

// Candidate says what is judged, and how strictly.
type Candidate struct {
	// RolloutID names the rollout whose coin sends requests to the candidate.
	RolloutID string
	// Root names the candidate's content. Evidence that was kept is of a rollout and a content, since a number may come to mean
	// another rollout after a restore from a backup.
	Root string
	// Tolerance is how many times the control's share of bad requests the candidate may have, from 1 to 100; 0: 1.1.
	Tolerance float64
	// Threshold is the evidence at which the comparison of one metric fails, above 1: one divided by its level. The totals
	// over all routes get half of the level, the single routes share the other half. Without a threshold nothing but the
	// absolute gate fails.
	Threshold float64
	// Routes is how many routes there are to compare one by one.
	Routes int
	// NewRoutes are the routes that only the candidate has. They have no control, so they are left out of the total and
	// held against an absolute gate.
	NewRoutes map[string]bool
	// Sticky says that it is units that are counted, and not requests.
	Sticky bool
	// Expected is what the change means to bring about. It is left out of the total, and held against the share it names.
	Expected []Expected
}

// Expected is a share of a route's requests, from 0 to 1, that the gateway may answer by itself for a reason.
type Expected struct {
	Route, Reason string
	Share         float64
}

// expects is the share of a route's requests that may be bad by a metric; 0: nothing is expected.
func (c Candidate) expects(route, metric string) evidence.Expected {
	for _, e := range c.Expected {
		if e.Route == route && gatewayPrefix+e.Reason == metric {
			return evidence.Expected(e.Share)
		}
	}
	return 0
}

// Finding is why a candidate must go.
type Finding struct {
	RolloutID string
	// Metric is "upstream_5xx", "gateway.<reason>", "slower.<quantile>" or, of the absolute gate, "bad". Route is empty for the total.
	Metric, Route string
	// Explanation is a line for people.
	Explanation string
	Decision    evidence.Decision
	// After is how long the candidate was watched.
	After time.Duration
}

// Guard watches one candidate at a time. It is for one goroutine.
type Guard struct {
	counters *telemetry.Counters
	baseline *telemetry.Baseline

	candidate Candidate
	resting   bool
	test      *evidence.Test
	since     time.Time
	seen      map[telemetry.CellKey]*reading
	overdue   map[telemetry.CellKey]telemetry.Slower
	units     map[telemetry.UnitKey]uint64
	// lines are those that were there before what is counted next.
	lines  *telemetry.Lines
	total  *scope
	routes map[string]*scope
	found  *Finding
	// recalled is what a process before had seen, until the candidate that it is of is watched.
	recalled *Memory
	looks    uint64 // that counted anything
}

// reading is what a cell had counted when it was last read.
type reading struct {
	requests uint64
	buckets  [telemetry.Buckets]uint64
}

// New makes a guard that watches nothing yet. Somebody else keeps the baseline up to date.
func New(counters *telemetry.Counters, baseline *telemetry.Baseline) *Guard {
	return &Guard{counters: counters, baseline: baseline}
}

// Watch begins to judge a candidate. Of the same rollout the evidence is kept, since it is spent once and not once a step.
func (g *Guard) Watch(candidate Candidate, now time.Time) error {
	test, err := evidence.NewTest(evidence.Config{Tolerance: candidate.Tolerance})
	if err != nil {
		return fmt.Errorf("watching the candidate of rollout %q: %w", candidate.RolloutID, err)
	}
	if candidate.RolloutID != g.candidate.RolloutID {
		g.since, g.found = now, nil
		g.seen, g.overdue = make(map[telemetry.CellKey]*reading), make(map[telemetry.CellKey]telemetry.Slower)
		g.units = make(map[telemetry.UnitKey]uint64)
		g.total, g.routes = newScope(""), make(map[string]*scope)
		g.lines = g.baseline.Lines()
	}
	g.candidate, g.test, g.resting = candidate, test, false
	g.restore(now)
	return nil
}

// Rest ends the watch. What was seen is kept until another rollout's candidate is watched: one that was suspended goes on where
// it stood.
func (g *Guard) Rest() { g.resting = true }

// Look reads the counters and judges. It returns a finding when the candidate must go, and the same one ever after; nil:
// nothing speaks against it, or nothing is watched.
func (g *Guard) Look(now time.Time) *Finding {
	if g.candidate.RolloutID == "" || g.resting {
		return nil
	}
	if g.found != nil {
		return g.found
	}
	g.counters.Each(g.count)
	g.counters.EachOverdue(g.countOverdue)
	g.counters.EachUnit(g.countUnits)
	g.lines = g.baseline.Lines()
	if g.found = g.judge(g.total); g.found == nil {
		for _, route := range g.routes {
			if g.found = g.judge(route); g.found != nil {
				break
			}
		}
	}
	if g.found != nil {
		g.found.RolloutID, g.found.After = g.candidate.RolloutID, now.Sub(g.since)
	}
	return g.found
}

// count adds what a cell counted since the last look to the comparisons that it belongs to.
func (g *Guard) count(key telemetry.CellKey, requests uint64, buckets *[telemetry.Buckets]uint64) {
	if key.RolloutID != g.candidate.RolloutID {
		return
	}
	before := g.seen[key]
	if before == nil {
		before = new(reading)
		g.seen[key] = before
	}
	if requests <= before.requests {
		return
	}
	g.looks++
	slower, _ := g.lines.Count(key, buckets, &before.buckets)
	fresh := requests - before.requests
	before.requests, before.buckets = requests, *buckets
	metric := metricOf(key)
	expected := metric != "" && g.candidate.expects(key.Route, metric) > 0
	if !g.candidate.NewRoutes[key.Route] {
		inTotal := metric
		if expected {
			inTotal = ""
		}
		g.total.add(key, inTotal, fresh, slower)
	}
	if route := g.route(key.Route); route != nil {
		route.add(key, metric, fresh, slower)
	}
}

// countOverdue adds the requests that became slow since the last look, and have not ended.
func (g *Guard) countOverdue(key telemetry.CellKey, slower telemetry.Slower) {
	fresh := slower.Since(g.overdue[key])
	if key.RolloutID != g.candidate.RolloutID || fresh == (telemetry.Slower{}) {
		return
	}
	g.looks++
	g.overdue[key] = slower
	if !g.candidate.NewRoutes[key.Route] {
		g.total.addOverdue(key, fresh)
	}
	if route := g.route(key.Route); route != nil {
		route.addOverdue(key, fresh)
	}
}

// countUnits adds the units that were counted since the last look. They were counted apart for the total and for each route.
func (g *Guard) countUnits(key telemetry.UnitKey, count telemetry.UnitCount) {
	fresh := count.All - g.units[key]
	if key.RolloutID != g.candidate.RolloutID || fresh == 0 {
		return
	}
	g.looks++
	g.units[key] = count.All
	s := g.total
	if key.Route != "" {
		s = g.route(key.Route)
	}
	if s != nil {
		s.addUnits(key, fresh)
	}
}

func (g *Guard) route(name string) *scope {
	if name == "" {
		return nil
	}
	s := g.routes[name]
	if s == nil && len(g.routes) < g.candidate.mostRoutes() {
		s = newScope(name)
		g.routes[name] = s
	}
	return s
}

func (g *Guard) judge(s *scope) *Finding {
	if found := s.judgeExpected(g.candidate); found != nil {
		return found
	}
	if g.candidate.NewRoutes[s.route] {
		return s.judgeAlone(g.candidate)
	}
	level := 1 / g.candidate.Threshold / 2
	if s.route != "" {
		level /= float64(g.candidate.mostRoutes())
	}
	return s.compare(g.candidate, g.test, level)
}

// mostRoutes is how many routes are compared at most, and so share their part of the level. New routes are held against a
// gate that spends nothing.
func (c Candidate) mostRoutes() int { return min(max(c.Routes, 1)+len(c.NewRoutes), maxRoutes) }
