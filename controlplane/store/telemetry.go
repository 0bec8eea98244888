package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"tidegate.dev/controlplane/store/queries"
)

// HistogramBuckets is the number of buckets of a histogram of durations.
const HistogramBuckets = 96

// Histogram counts durations by bucket.
type Histogram [HistogramBuckets]int64

// TelemetryBoot is one life of an agent's process.
type TelemetryBoot struct{ AgentID, BootID string }

// TelemetryCursor is the last sequence of a boot that was counted; 0: none yet.
type TelemetryCursor struct {
	FleetID  int64
	Sequence int64
}

// LockTelemetryCursors reads what was counted of each boot, and keeps every other replica from counting for it until the
// transaction ends. Boots of agents that were deleted are not in the answer.
func (tx *Tx) LockTelemetryCursors(ctx context.Context, boots []TelemetryBoot) (map[TelemetryBoot]TelemetryCursor, error) {
	var parameters queries.LockTelemetryCursorsParams
	for _, boot := range boots {
		parameters.Agents, parameters.Boots = append(parameters.Agents, boot.AgentID), append(parameters.Boots, boot.BootID)
	}
	if err := tx.queries.AddTelemetryCursors(ctx, queries.AddTelemetryCursorsParams(parameters)); err != nil {
		return nil, fmt.Errorf("adding the telemetry cursors of %d boots: %w", len(boots), translate(err))
	}
	rows, err := tx.queries.LockTelemetryCursors(ctx, parameters)
	if err != nil {
		return nil, fmt.Errorf("locking the telemetry cursors of %d boots: %w", len(boots), translate(err))
	}
	cursors := make(map[TelemetryBoot]TelemetryCursor, len(rows))
	for _, row := range rows {
		cursors[TelemetryBoot{row.AgentID, row.BootID}] = TelemetryCursor{FleetID: row.FleetID, Sequence: row.Sequence}
	}
	return cursors, nil
}

// MoveTelemetryCursors notes what was counted. The caller holds the cursors (LockTelemetryCursors).
func (tx *Tx) MoveTelemetryCursors(ctx context.Context, sequences map[TelemetryBoot]int64) error {
	var parameters queries.MoveTelemetryCursorsParams
	for boot, sequence := range sequences {
		parameters.Agents, parameters.Boots = append(parameters.Agents, boot.AgentID), append(parameters.Boots, boot.BootID)
		parameters.Sequences = append(parameters.Sequences, sequence)
	}
	if err := tx.queries.MoveTelemetryCursors(ctx, parameters); err != nil {
		return fmt.Errorf("moving the telemetry cursors of %d boots: %w", len(sequences), translate(err))
	}
	return nil
}

// TelemetryKey is what requests must have in common to be counted together.
type TelemetryKey struct {
	FleetID     int64
	AgentID     string
	Revision    int64
	Arm         int16
	Route       string
	StatusClass int16
	Reason      string
}

// TelemetryCount is how many requests were alike, and how long they took.
type TelemetryCount struct {
	Requests  int64
	Histogram Histogram
}

// AddTelemetryCounts adds requests to the bucket of five seconds that it is now, by Postgres's clock.
func (tx *Tx) AddTelemetryCounts(ctx context.Context, counts map[TelemetryKey]*TelemetryCount) error {
	if len(counts) == 0 {
		return nil
	}
	var p queries.AddTelemetryCountsParams
	for key, count := range counts {
		p.Fleets, p.Agents = append(p.Fleets, key.FleetID), append(p.Agents, key.AgentID)
		p.Revisions, p.Arms = append(p.Revisions, key.Revision), append(p.Arms, key.Arm)
		p.Routes, p.StatusClasses = append(p.Routes, key.Route), append(p.StatusClasses, key.StatusClass)
		p.Reasons, p.Requests = append(p.Reasons, key.Reason), append(p.Requests, count.Requests)
		p.Buckets = append(p.Buckets, arrayLiteral(count.Histogram[:]))
	}
	if err := tx.queries.AddTelemetryCounts(ctx, p); err != nil {
		return fmt.Errorf("adding telemetry of %d kinds: %w", len(counts), translate(err))
	}
	return nil
}

// arrayLiteral writes numbers as Postgres reads an array.
func arrayLiteral(numbers []int64) string {
	literal := make([]byte, 0, 3*len(numbers))
	for i, number := range numbers {
		literal = append(literal, "{,"[min(i, 1)])
		literal = strconv.AppendInt(literal, number, 10)
	}
	return string(append(literal, '}'))
}

// CandidateHolder says that an agent was given the candidate of a rollout.
type CandidateHolder struct {
	RolloutID int64
	AgentID   string
}

// CandidateHolders returns which of the agents were given the candidate of which of the rollouts.
func (tx *Tx) CandidateHolders(ctx context.Context, rollouts []int64, agents []string) (map[CandidateHolder]bool, error) {
	rows, err := tx.queries.ListMemberships(ctx, queries.ListMembershipsParams{Rollouts: rollouts, Agents: agents})
	if err != nil {
		return nil, fmt.Errorf("reading who is in %d rollouts: %w", len(rollouts), translate(err))
	}
	members := make(map[CandidateHolder]bool, len(rows))
	for _, row := range rows {
		members[CandidateHolder(row)] = true
	}
	return members, nil
}

// EvidenceKey is what counts must have in common to be evidence together.
type EvidenceKey struct {
	RolloutID     int64
	Metric, Route string
	SharePPM      int32
}

// EvidenceArms are requests by arm.
type EvidenceArms struct{ Candidate, Control int64 }

// AddEvidenceSums adds counts of many agents to the evidence of their rollouts. The caller has checked that those agents are
// in those rollouts (CandidateHolders).
func (tx *Tx) AddEvidenceSums(ctx context.Context, sums map[EvidenceKey]EvidenceArms) error {
	if len(sums) == 0 {
		return nil
	}
	var p queries.AddEvidenceSumsParams
	for key, arms := range sums {
		p.Rollouts, p.Metrics = append(p.Rollouts, key.RolloutID), append(p.Metrics, key.Metric)
		p.Routes, p.SharesPpm = append(p.Routes, key.Route), append(p.SharesPpm, key.SharePPM)
		p.Candidates, p.Controls = append(p.Candidates, arms.Candidate), append(p.Controls, arms.Control)
	}
	if err := tx.queries.AddEvidenceSums(ctx, p); err != nil {
		return fmt.Errorf("adding %d sums of evidence: %w", len(sums), translate(err))
	}
	return tx.addRouteTotals(ctx, sums)
}

// TrafficOf counts the requests of a fleet's last time: those of each of the routes, and all.
func (tx *Tx) TrafficOf(ctx context.Context, fleetID int64, routes []string, last time.Duration) (of map[string]int64, all int64, err error) {
	rows, err := tx.queries.TrafficOfRoutes(ctx, queries.TrafficOfRoutesParams{FleetID: fleetID, Routes: routes, Seconds: last.Seconds()})
	if err != nil {
		return nil, 0, fmt.Errorf("counting the requests of %d routes: %w", len(routes), translate(err))
	}
	of = make(map[string]int64, len(rows))
	for _, row := range rows {
		all += row.Requests
		if row.Route != "" {
			of[row.Route] = row.Requests
		}
	}
	return of, all, nil
}

// FleetKey is an API key of a fleet, by its id.
type FleetKey struct {
	FleetID int64
	Key     string
}

// AddKeyUses notes when keys were used last, in seconds since 1970. Keys that the fleet does not have are ignored.
func (tx *Tx) AddKeyUses(ctx context.Context, lastUsed map[FleetKey]int64) error {
	if len(lastUsed) == 0 {
		return nil
	}
	var p queries.AddKeyUsesParams
	for key, second := range lastUsed {
		p.Fleets, p.Keys, p.LastUsed = append(p.Fleets, key.FleetID), append(p.Keys, key.Key), append(p.LastUsed, second)
	}
	if err := tx.queries.AddKeyUses(ctx, p); err != nil {
		return fmt.Errorf("noting the use of %d keys: %w", len(lastUsed), translate(err))
	}
	return nil
}

// TelemetryQuery chooses and groups telemetry. What is not kept apart (By…) is added up; filters that are zero choose all.
type TelemetryQuery struct {
	FleetID      int64
	Since, Until time.Time
	Step         time.Duration // the length of a point
	Limit        int           // of points in the answer

	ByAgent, ByRevision, ByArm, ByRoute, ByStatusClass, ByReason bool

	Agent    string
	Revision int64
	Arm      int16
	Route    string
}

// TelemetryPoint is what was counted in one step, of one group. Its key holds what was kept apart.
type TelemetryPoint struct {
	Time time.Time
	Key  TelemetryKey
	TelemetryCount
}

// QueryTelemetry answers points sorted by group, then by time.
func (tx *Tx) QueryTelemetry(ctx context.Context, q TelemetryQuery) ([]TelemetryPoint, error) {
	rows, err := tx.queries.QueryTelemetry(ctx, queries.QueryTelemetryParams{
		FleetID: q.FleetID, Since: q.Since, Until: q.Until, StepSeconds: q.Step.Seconds(), RowLimit: int32(q.Limit),
		ByAgent: q.ByAgent, ByRevision: q.ByRevision, ByArm: q.ByArm, ByRoute: q.ByRoute, ByStatusClass: q.ByStatusClass,
		ByReason: q.ByReason, Agent: q.Agent, Revision: q.Revision, Arm: q.Arm, Route: q.Route,
	})
	if err != nil {
		return nil, fmt.Errorf("querying telemetry: %w", translate(err))
	}
	points := make([]TelemetryPoint, len(rows))
	for i, row := range rows {
		points[i] = TelemetryPoint{Time: row.Time, Key: TelemetryKey{
			FleetID: q.FleetID, AgentID: row.Agent, Revision: row.Revision, Arm: row.Arm, Route: row.Route,
			StatusClass: row.StatusClass, Reason: row.Reason,
		}}
		points[i].Requests = row.Requests
		copy(points[i].Histogram[:], row.Buckets)
	}
	return points, nil
}

// DeleteOldTelemetry forgets some of what a fleet's agents counted longer ago than keep. Call it again until it deletes
// nothing.
func (tx *Tx) DeleteOldTelemetry(ctx context.Context, fleetID int64, keep time.Duration) (deleted int64, err error) {
	deleted, err = tx.queries.DeleteOldTelemetry(ctx, queries.DeleteOldTelemetryParams{FleetID: fleetID, KeepSeconds: keep.Seconds()})
	if err != nil {
		return 0, fmt.Errorf("deleting old telemetry of fleet %d: %w", fleetID, translate(err))
	}
	return deleted, nil
}

// DeleteOldTelemetryCursors forgets boots that nothing was heard of for a month.
func (tx *Tx) DeleteOldTelemetryCursors(ctx context.Context) error {
	if _, err := tx.queries.DeleteOldTelemetryCursors(ctx); err != nil {
		return fmt.Errorf("deleting old telemetry cursors: %w", translate(err))
	}
	return nil
}
