package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tidegate.dev/controlplane/store/queries"
)

// UnitsPrefix begins the metrics that count units of a sticky coin. They are kept apart from those of requests, since the agents
// have left out of their totals what has no control.
const UnitsPrefix = "units."

// EvidenceSum is what all agents counted of one metric, on one route, at one share.
type EvidenceSum struct {
	Metric, Route      string
	SharePpm           int32
	Candidate, Control int64
	// InStable: the control could serve the route too. True of the total.
	InStable bool
	// Units: it is units that were counted, not requests.
	Units bool
}

// Evidence is what is read of a rollout's sums: however many routes there are, those of the ones that matter.
type Evidence struct {
	// Sums are the totals, and those of single routes.
	Sums []EvidenceSum
	// NewRoutes are the sums of all routes together that only the candidate has. Their route is empty.
	NewRoutes []EvidenceSum
}

// Evidence returns the sums of a rollout: the totals, and of single routes those that were judged before, those that are named, and
// with the most bad requests so many that the control could serve, and so many that only the candidate has.
func (tx *Tx) Evidence(ctx context.Context, rollout Rollout, named []string, most int) (Evidence, error) {
	rows, err := tx.queries.ListEvidence(ctx, queries.ListEvidenceParams{
		FleetID: rollout.FleetID, RolloutID: rollout.ID, Stable: rollout.StableRevision, Candidate: rollout.Revision,
		Most: int32(most), Named: append([]string{}, named...),
	})
	if err != nil {
		return Evidence{}, fmt.Errorf("reading the evidence of rollout %d: %w", rollout.ID, translate(err))
	}
	fresh, err := tx.queries.SumEvidenceOfNewRoutes(ctx, queries.SumEvidenceOfNewRoutesParams{
		FleetID: rollout.FleetID, RolloutID: rollout.ID, Stable: rollout.StableRevision, Candidate: rollout.Revision,
	})
	if err != nil {
		return Evidence{}, fmt.Errorf("adding up the evidence of the new routes of rollout %d: %w", rollout.ID, translate(err))
	}
	var read Evidence
	for _, row := range rows {
		read.Sums = append(read.Sums, sumOf(row))
	}
	for _, row := range fresh {
		read.NewRoutes = append(read.NewRoutes, sumOf(queries.ListEvidenceRow{
			Metric: row.Metric, SharePpm: row.SharePpm, Candidate: row.Candidate, Control: row.Control,
		}))
	}
	return read, nil
}

func sumOf(row queries.ListEvidenceRow) EvidenceSum {
	metric, units := strings.CutPrefix(row.Metric, UnitsPrefix)
	return EvidenceSum{
		Metric: metric, Route: row.Route, SharePpm: row.SharePpm, Candidate: row.Candidate, Control: row.Control, InStable: row.InStable,
		Units: units,
	}
}

// ranks says whether the requests that a metric counts make a route matter. Slower than the median or than p95 is every busy one.
func ranks(metric string) bool {
	switch strings.TrimPrefix(metric, UnitsPrefix) {
	case "requests", "slower.p50", "slower.p95":
		return false
	}
	return true
}

// addRouteTotals counts the bad requests of single routes, by which Evidence chooses.
func (tx *Tx) addRouteTotals(ctx context.Context, sums map[EvidenceKey]EvidenceArms) error {
	type route struct {
		rollout int64
		name    string
	}
	bad := map[route]int64{}
	for key, arms := range sums {
		if key.Route != "" && ranks(key.Metric) {
			bad[route{key.RolloutID, key.Route}] += arms.Candidate + arms.Control
		}
	}
	var p queries.AddRouteTotalsParams
	for of, requests := range bad {
		if requests > 0 {
			p.Rollouts, p.Routes, p.Bad = append(p.Rollouts, of.rollout), append(p.Routes, of.name), append(p.Bad, requests)
		}
	}
	if len(p.Bad) == 0 {
		return nil
	}
	if err := tx.queries.AddRouteTotals(ctx, p); err != nil {
		return fmt.Errorf("adding the bad requests of %d routes: %w", len(p.Bad), translate(err))
	}
	return nil
}

// RolloutVerdict is what the judge said last of one comparison, and the counts that it had read. Logarithms are natural;
// RatioUpper is 0 while nothing bounds the ratio.
type RolloutVerdict struct {
	RolloutID                          int64
	Metric, Route                      string
	CandidateBad, CandidateTotal       int64
	ControlBad, ControlTotal           int64
	LogEvidence, LogPeak, LogThreshold float64
	RatioLower, RatioUpper             float64
	Verdict, Explanation               string
	At                                 time.Time
}

// RolloutVerdicts returns the verdicts of a rollout, the totals first.
func (tx *Tx) RolloutVerdicts(ctx context.Context, rolloutID int64) ([]RolloutVerdict, error) {
	rows, err := tx.queries.ListVerdicts(ctx, rolloutID)
	if err != nil {
		return nil, fmt.Errorf("reading the verdicts of rollout %d: %w", rolloutID, translate(err))
	}
	verdicts := make([]RolloutVerdict, len(rows))
	for i, row := range rows {
		verdicts[i] = RolloutVerdict(row)
	}
	return verdicts, nil
}
