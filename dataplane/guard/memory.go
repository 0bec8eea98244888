package guard

import (
	"time"

	"tidegate.dev/proto/evidence"
)

// Memory is what a guard saw of a candidate, to be kept where it outlives the process: alpha is spent once a rollout, so the
// evidence must not begin anew.
type Memory struct {
	RolloutID string `json:"rollout_id"`
	Root      string `json:"root"`
	// Watched is how long the candidate has been watched.
	Watched time.Duration          `json:"watched"`
	Total   ScopeMemory            `json:"total"`
	Routes  map[string]ScopeMemory `json:"routes,omitempty"`
}

// ScopeMemory is that of one route, or of all of them.
type ScopeMemory struct {
	Requests evidence.Tally          `json:"requests"`
	Metrics  map[string]MetricMemory `json:"metrics,omitempty"`
}

// MetricMemory is that of one comparison.
type MetricMemory struct {
	Bad     evidence.Tally `json:"bad"`
	LogPeak float64        `json:"log_peak"`
}

// Version changes whenever there is something new to remember.
func (g *Guard) Version() uint64 { return g.looks }

// Remember returns what was seen so far; ok is false if nothing was watched yet. It shares nothing with the guard.
func (g *Guard) Remember(now time.Time) (memory Memory, ok bool) {
	if g.candidate.RolloutID == "" {
		return Memory{}, false
	}
	memory = Memory{
		RolloutID: g.candidate.RolloutID, Root: g.candidate.Root, Watched: now.Sub(g.since),
		Total: g.total.remember(), Routes: make(map[string]ScopeMemory, len(g.routes)),
	}
	for name, route := range g.routes {
		memory.Routes[name] = route.remember()
	}
	return memory, true
}

// Recall hands over what a process before remembered. It is added to what is seen of the candidate that it is of, once that is
// watched, and forgotten when another is.
func (g *Guard) Recall(memory Memory, now time.Time) {
	g.recalled = &memory
	g.restore(now)
}

func (g *Guard) restore(now time.Time) {
	memory := g.recalled
	if memory == nil || g.candidate.RolloutID == "" {
		return
	}
	g.recalled = nil
	if memory.RolloutID != g.candidate.RolloutID || memory.Root != g.candidate.Root {
		return
	}
	if before := now.Add(-memory.Watched); before.Before(g.since) {
		g.since = before
	}
	g.total.recall(memory.Total)
	for name, kept := range memory.Routes {
		if route := g.route(name); route != nil {
			route.recall(kept)
		}
	}
}

func (s *scope) remember() ScopeMemory {
	memory := ScopeMemory{Requests: copyOf(s.requests), Metrics: make(map[string]MetricMemory, len(s.metrics))}
	for metric, c := range s.metrics {
		memory.Metrics[metric] = MetricMemory{Bad: copyOf(c.bad), LogPeak: c.peak}
	}
	return memory
}

// recall adds what was remembered. All of it is judged at the next look.
func (s *scope) recall(memory ScopeMemory) {
	s.requests.Merge(memory.Requests)
	for metric, kept := range memory.Metrics {
		c := s.comparison(metric)
		c.bad.Merge(kept.Bad)
		c.peak, c.changed = max(c.peak, kept.LogPeak), true
	}
}

func copyOf(tally evidence.Tally) evidence.Tally { return append(evidence.Tally(nil), tally...) }
