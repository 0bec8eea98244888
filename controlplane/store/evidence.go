package store

import (
	"context"
	"fmt"
	"time"

	"tidegate.dev/controlplane/store/queries"
)

// EvidenceSum is what all agents counted of one metric, on one route, at one share.
type EvidenceSum struct {
	Metric, Route      string
	SharePpm           int32
	Candidate, Control int64
	// InStable: the control could serve the route too. True of the total.
	InStable bool
}

// Evidence returns the sums of a rollout: the totals, and of single routes those on which any request was bad.
func (tx *Tx) Evidence(ctx context.Context, rollout Rollout) ([]EvidenceSum, error) {
	rows, err := tx.queries.ListEvidence(ctx, queries.ListEvidenceParams{
		FleetID: rollout.FleetID, RolloutID: rollout.ID, Stable: rollout.StableRevision,
	})
	if err != nil {
		return nil, fmt.Errorf("reading the evidence of rollout %d: %w", rollout.ID, translate(err))
	}
	sums := make([]EvidenceSum, len(rows))
	for i, row := range rows {
		sums[i] = EvidenceSum(row)
	}
	return sums, nil
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
