package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"tidegate.dev/controlplane/store/queries"
)

// EvidenceCounts are requests that were alike, by the arm that a coin of probability SharePPM chose. Metric "requests" counts
// all, "upstream_5xx" and "gateway.<reason>" the bad ones; Route "" is the total over all routes.
type EvidenceCounts struct {
	RolloutID          int64
	Metric, Route      string
	SharePPM           int32
	Candidate, Control int64
}

// AddEvidence adds what one agent counted to the sums of its rollouts. Call it in the transaction that moves the agent's
// telemetry cursor, so that each request counts once. Counts of rollouts that the agent holds no candidate of are ignored.
func (tx *Tx) AddEvidence(ctx context.Context, agentID string, counts []EvidenceCounts) error {
	if len(counts) == 0 {
		return nil
	}
	rows := queries.AddEvidenceParams{AgentID: agentID}
	for _, c := range sumOf(counts) {
		rows.Rollouts, rows.Metrics = append(rows.Rollouts, c.RolloutID), append(rows.Metrics, c.Metric)
		rows.Routes, rows.SharesPpm = append(rows.Routes, c.Route), append(rows.SharesPpm, c.SharePPM)
		rows.Candidates, rows.Controls = append(rows.Candidates, c.Candidate), append(rows.Controls, c.Control)
	}
	if _, err := tx.queries.AddEvidence(ctx, rows); err != nil {
		return fmt.Errorf("adding the evidence of agent %s: %w", agentID, translate(err))
	}
	return nil
}

// sumOf adds up what has the same key, for a statement may touch each row once; and it sorts by key, so that agents which
// report at the same time lock the rows in one order.
func sumOf(counts []EvidenceCounts) []EvidenceCounts {
	sums := slices.Clone(counts)
	slices.SortFunc(sums, func(a, b EvidenceCounts) int {
		return cmp.Or(cmp.Compare(a.RolloutID, b.RolloutID), cmp.Compare(a.Metric, b.Metric),
			cmp.Compare(a.Route, b.Route), cmp.Compare(a.SharePPM, b.SharePPM))
	})
	n := 0
	for _, c := range sums[1:] {
		last := &sums[n]
		if c.RolloutID == last.RolloutID && c.Metric == last.Metric && c.Route == last.Route && c.SharePPM == last.SharePPM {
			last.Candidate, last.Control = last.Candidate+c.Candidate, last.Control+c.Control
			continue
		}
		n++
		sums[n] = c
	}
	return sums[:n+1]
}

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
