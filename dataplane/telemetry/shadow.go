package telemetry

import "sync"

// ShadowDifference is one way in which a candidate decides otherwise than stable: the route, and what was decided.
type ShadowDifference struct {
	StableRoute, StableDecision       string
	CandidateRoute, CandidateDecision string
}

// ShadowReport is what was sampled beside one rollout since it was last asked.
type ShadowReport struct {
	RolloutID string
	// Sampled is by the route that the candidate finds.
	Sampled     map[string]uint64
	Differences map[ShadowDifference]*ShadowCount
}

// ShadowCount is how many samples there were, and one of them.
type ShadowCount struct {
	Requests uint64
	Example  string
}

// mostShadowDifferences bounds the differences that are kept apart between two drains; the rest is counted together.
const mostShadowDifferences = 256

// otherDifferences is what is counted together.
var otherDifferences = ShadowDifference{StableDecision: "other", CandidateDecision: "other"}

// Shadows counts what candidates decide beside live requests. It is safe for use by several goroutines.
type Shadows struct {
	// Guarded by mu.
	mu      sync.Mutex
	reports map[string]*ShadowReport
}

// NewShadows makes an empty count.
func NewShadows() *Shadows { return &Shadows{reports: make(map[string]*ShadowReport)} }

// mostShadowRoutes bounds the routes whose samples are kept apart between two drains.
const mostShadowRoutes = 1000

// Record counts a sample on the route that the candidate finds. The example is that of the first with its difference, and is not made for others.
func (s *Shadows) Record(rolloutID, route string, difference ShadowDifference, example func() string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	report := s.reports[rolloutID]
	if report == nil {
		report = &ShadowReport{
			RolloutID: rolloutID, Sampled: make(map[string]uint64), Differences: make(map[ShadowDifference]*ShadowCount),
		}
		s.reports[rolloutID] = report
	}
	if _, known := report.Sampled[route]; !known && len(report.Sampled) >= mostShadowRoutes {
		route = ""
	}
	report.Sampled[route]++
	if difference == (ShadowDifference{}) {
		return
	}
	count := report.Differences[difference]
	if count == nil && len(report.Differences) >= mostShadowDifferences {
		difference = otherDifferences
		count = report.Differences[difference]
	}
	if count == nil {
		count = &ShadowCount{Example: example()}
		report.Differences[difference] = count
	}
	count.Requests++
}

// Drain returns what was counted since the last call.
func (s *Shadows) Drain() []*ShadowReport {
	s.mu.Lock()
	defer s.mu.Unlock()
	drained := make([]*ShadowReport, 0, len(s.reports))
	for _, report := range s.reports {
		drained = append(drained, report)
	}
	clear(s.reports)
	return drained
}
