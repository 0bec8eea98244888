package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"tidegate.dev/controlplane/store/queries"
)

// HistogramBuckets is the number of buckets of a histogram of durations.
const HistogramBuckets = 96

// Histogram counts durations by bucket.
type Histogram [HistogramBuckets]int64

// TelemetryBoot is one life of an agent's process.
type TelemetryBoot struct{ AgentID, BootID string }

// TelemetryCursor is the last sequence of a boot that was counted (0: none yet), and what it counted in a minute.
type TelemetryCursor struct {
	FleetID  int64
	Sequence int64
	// Minute is when the minute began that Cells are of; nil: there are none. Cells is an encoded report, whose form is the
	// caller's business.
	Minute *time.Time
	Cells  []byte
	// Now is the minute that it is, by Postgres's clock.
	Now time.Time
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
		cursors[TelemetryBoot{row.AgentID, row.BootID}] = TelemetryCursor{
			FleetID: row.FleetID, Sequence: row.Sequence, Minute: row.WindowAt, Cells: row.WindowCells, Now: row.Minute,
		}
	}
	return cursors, nil
}

// MoveTelemetryCursors notes what was counted. The caller holds the cursors (LockTelemetryCursors).
func (tx *Tx) MoveTelemetryCursors(ctx context.Context, cursors map[TelemetryBoot]TelemetryCursor) error {
	var p queries.MoveTelemetryCursorsParams
	for boot, cursor := range cursors {
		p.Agents, p.Boots = append(p.Agents, boot.AgentID), append(p.Boots, boot.BootID)
		p.Sequences, p.Cells = append(p.Sequences, cursor.Sequence), append(p.Cells, cursor.Cells)
		p.WindowsAt = append(p.WindowsAt, *cursor.Minute)
	}
	if err := tx.queries.MoveTelemetryCursors(ctx, p); err != nil {
		return fmt.Errorf("moving the telemetry cursors of %d boots: %w", len(cursors), translate(err))
	}
	return nil
}

// AddTelemetryMinutes keeps minutes that are over, as the cursors of those boots had them. The caller holds the cursors.
func (tx *Tx) AddTelemetryMinutes(ctx context.Context, over map[TelemetryBoot]TelemetryCursor) error {
	if len(over) == 0 {
		return nil
	}
	var p queries.AddTelemetryMinutesParams
	for boot, cursor := range over {
		p.Fleets, p.Agents, p.Boots = append(p.Fleets, cursor.FleetID), append(p.Agents, boot.AgentID), append(p.Boots, boot.BootID)
		p.At, p.Cells = append(p.At, *cursor.Minute), append(p.Cells, cursor.Cells)
	}
	if err := tx.queries.AddTelemetryMinutes(ctx, p); err != nil {
		return fmt.Errorf("keeping a minute of %d agents: %w", len(over), translate(err))
	}
	return nil
}

// TelemetryMinute is what one agent counted in a minute, in the form of its cursor.
type TelemetryMinute struct {
	AgentID string
	At      time.Time
	Cells   []byte
}

// TelemetryMinutes reads up to limit minutes of an agent, or (with an empty id) of all agents of a fleet, in no order. An id that
// is none has none.
func (tx *Tx) TelemetryMinutes(ctx context.Context, fleetID int64, agentID string, since, until time.Time, limit int) ([]TelemetryMinute, error) {
	if agentID != "" && uuid.Validate(agentID) != nil {
		return nil, nil //nolint:nilerr // no agent has such an id, which is an answer
	}
	rows, err := tx.queries.ListTelemetryMinutes(ctx, queries.ListTelemetryMinutesParams{
		FleetID: fleetID, Agent: agentID, Since: since, Until: until, RowLimit: int32(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("reading what agents counted: %w", translate(err))
	}
	minutes := make([]TelemetryMinute, len(rows))
	for i, row := range rows {
		minutes[i] = TelemetryMinute(row)
	}
	return minutes, nil
}

// TelemetryKey is what requests must have in common to be counted together.
type TelemetryKey struct {
	FleetID     int64
	AgentID     string // empty: all agents together
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

// AddTelemetryCounts adds requests of all agents together to the bucket of five seconds that it is now, by Postgres's clock. The
// keys name no agent.
func (tx *Tx) AddTelemetryCounts(ctx context.Context, counts map[TelemetryKey]*TelemetryCount) error {
	if len(counts) == 0 {
		return nil
	}
	var p queries.AddTelemetryCountsParams
	for key, count := range counts {
		p.Fleets, p.Revisions, p.Arms = append(p.Fleets, key.FleetID), append(p.Revisions, key.Revision), append(p.Arms, key.Arm)
		p.Routes, p.StatusClasses = append(p.Routes, key.Route), append(p.StatusClasses, key.StatusClass)
		p.Reasons, p.Requests = append(p.Reasons, key.Reason), append(p.Requests, count.Requests)
		p.Buckets = append(p.Buckets, arrayLiteral(count.Histogram[:]))
	}
	if err := tx.queries.AddTelemetryCounts(ctx, p); err != nil {
		return fmt.Errorf("adding telemetry of %d kinds: %w", len(counts), translate(err))
	}
	return nil
}

// TrafficKey is a route of a fleet; the empty route stands for all requests of the fleet.
type TrafficKey struct {
	FleetID int64
	Route   string
}

// AddTelemetryTraffic adds requests to the hour that it is now, by Postgres's clock.
func (tx *Tx) AddTelemetryTraffic(ctx context.Context, requests map[TrafficKey]int64) error {
	if len(requests) == 0 {
		return nil
	}
	var p queries.AddTelemetryTrafficParams
	for key, count := range requests {
		p.Fleets, p.Routes, p.Requests = append(p.Fleets, key.FleetID), append(p.Routes, key.Route), append(p.Requests, count)
	}
	if err := tx.queries.AddTelemetryTraffic(ctx, p); err != nil {
		return fmt.Errorf("adding the traffic of %d routes: %w", len(requests), translate(err))
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

// TrafficOf counts the requests of a fleet's last time, in whole hours: those of each of the routes, and all.
func (tx *Tx) TrafficOf(ctx context.Context, fleetID int64, routes []string, last time.Duration) (of map[string]int64, all int64, err error) {
	rows, err := tx.queries.TrafficOfRoutes(ctx, queries.TrafficOfRoutesParams{FleetID: fleetID, Routes: append([]string{""}, routes...), Seconds: last.Seconds()})
	if err != nil {
		return nil, 0, fmt.Errorf("counting the requests of %d routes: %w", len(routes), translate(err))
	}
	of = make(map[string]int64, len(rows))
	for _, row := range rows {
		if row.Route == "" {
			all = row.Requests
			continue
		}
		of[row.Route] = row.Requests
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

// TelemetryQuery chooses and groups telemetry of all agents together. What is not kept apart (By…) is added up; filters that are zero choose all.
type TelemetryQuery struct {
	FleetID      int64
	Since, Until time.Time
	Step         time.Duration // the length of a point
	Limit        int           // of points in the answer

	ByRevision, ByArm, ByRoute, ByStatusClass, ByReason bool

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
		ByRevision: q.ByRevision, ByArm: q.ByArm, ByRoute: q.ByRoute, ByStatusClass: q.ByStatusClass,
		ByReason: q.ByReason, Revision: q.Revision, Arm: q.Arm, Route: q.Route,
	})
	if err != nil {
		return nil, fmt.Errorf("querying telemetry: %w", translate(err))
	}
	points := make([]TelemetryPoint, len(rows))
	for i, row := range rows {
		points[i] = TelemetryPoint{Time: row.Time, Key: TelemetryKey{
			FleetID: q.FleetID, Revision: row.Revision, Arm: row.Arm, Route: row.Route,
			StatusClass: row.StatusClass, Reason: row.Reason,
		}}
		points[i].Requests = row.Requests
		copy(points[i].Histogram[:], row.Buckets)
	}
	return points, nil
}

// DeleteOldTelemetry forgets some of what a fleet's agents counted together longer ago than keep, and one by one longer ago than
// keepMinutes. Call it again until it deletes nothing.
func (tx *Tx) DeleteOldTelemetry(ctx context.Context, fleetID int64, keep, keepMinutes time.Duration) (deleted int64, err error) {
	for _, one := range []func() (int64, error){
		func() (int64, error) {
			return tx.queries.DeleteOldTelemetry(ctx, queries.DeleteOldTelemetryParams{FleetID: fleetID, KeepSeconds: keep.Seconds()})
		},
		func() (int64, error) {
			return tx.queries.DeleteOldTelemetryTraffic(ctx, queries.DeleteOldTelemetryTrafficParams{FleetID: fleetID, KeepSeconds: keep.Seconds()})
		},
		func() (int64, error) {
			return tx.queries.DeleteOldTelemetryMinutes(ctx, queries.DeleteOldTelemetryMinutesParams{FleetID: fleetID, KeepSeconds: keepMinutes.Seconds()})
		},
	} {
		rows, err := one()
		if err != nil {
			return 0, fmt.Errorf("deleting old telemetry of fleet %d: %w", fleetID, translate(err))
		}
		deleted += rows
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
