package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidegate.dev/controlplane/store/queries"
)

// SaveRollout writes where a rollout stands, by compare-and-set on its version and only while the lease holds, both checked in
// the statement itself. ErrStale: somebody else changed it, or leads now; nothing was written. Fields that are fixed when it is
// queued are left alone.
func (tx *Tx) SaveRollout(ctx context.Context, lease Lease, r Rollout) error {
	_, err := tx.queries.SaveRollout(ctx, queries.SaveRolloutParams{
		ID: r.ID, Version: r.Version, Leader: lease.Name, Holder: lease.Holder, Token: lease.Token,
		State: r.State, Reason: r.Reason, StableRevision: r.StableRevision, Step: r.Step,
		CandidateAgents: r.CandidateAgents, CandidateSharePpm: r.CandidateSharePpm,
		StartedAt: r.StartedAt, StepAt: r.StepAt, ServingAt: r.ServingAt, PausedAt: r.PausedAt, EndedAt: r.EndedAt,
		DialsAt: r.DialsAt, DialsEpoch: r.DialsEpoch, DialsGeneration: r.DialsGeneration,
		Promoted: r.Promoted, Extensions: r.Extensions, BaseRequests: r.BaseRequests,
		JudgedAgents: r.JudgedAgents, JudgedRoutes: r.JudgedRoutes, ClockOffsetMs: r.ClockOffsetMs,
	})
	if err = translate(err); errors.Is(err, ErrNotFound) {
		err = ErrStale
	}
	if err != nil {
		return fmt.Errorf("saving rollout %d: %w", r.ID, err)
	}
	return nil
}

// RolloutParts are what belongs to a rollout and changes with it.
type RolloutParts struct {
	// Members are added, or their boot and loss changed.
	Members  []CohortMember
	Verdicts []RolloutVerdict
	Events   []RolloutEvent
	// Answers deal with commands: by id, the result.
	Answers map[int64]string
	// Reading is what the sums had come to; nil: it is not kept this time.
	Reading *Reading
}

// SaveRolloutParts writes what belongs to a rollout. Call it after SaveRollout in the same transaction, which fences it.
func (tx *Tx) SaveRolloutParts(ctx context.Context, rolloutID int64, parts RolloutParts) error {
	if err := tx.saveRolloutMembers(ctx, rolloutID, parts.Members); err != nil {
		return err
	}
	for _, verdict := range parts.Verdicts {
		if err := tx.saveVerdict(ctx, rolloutID, verdict); err != nil {
			return err
		}
	}
	for _, event := range parts.Events {
		event.RolloutID = rolloutID
		if err := tx.addRolloutEvent(ctx, event); err != nil {
			return err
		}
	}
	if parts.Reading != nil {
		if err := tx.saveReading(ctx, rolloutID, *parts.Reading); err != nil {
			return err
		}
	}
	for id, result := range parts.Answers {
		answer := queries.FinishRolloutCommandParams{ID: id, Result: result}
		if _, err := tx.queries.FinishRolloutCommand(ctx, answer); err != nil {
			return fmt.Errorf("answering rollout command %d: %w", id, translate(err))
		}
	}
	return nil
}

func (tx *Tx) saveRolloutMembers(ctx context.Context, rolloutID int64, members []CohortMember) error {
	if len(members) == 0 {
		return nil
	}
	rows := queries.SaveRolloutMembersParams{RolloutID: rolloutID}
	for _, member := range members {
		lost := time.Unix(0, 0) // the statement takes it as never
		if member.LostSince != nil {
			lost = *member.LostSince
		}
		rows.Agents, rows.Names = append(rows.Agents, member.AgentID), append(rows.Names, member.Name)
		rows.Steps, rows.BootIds = append(rows.Steps, member.Step), append(rows.BootIds, member.BootID)
		rows.LostSince = append(rows.LostSince, lost)
	}
	if err := tx.queries.SaveRolloutMembers(ctx, rows); err != nil {
		return fmt.Errorf("saving %d members of rollout %d: %w", len(members), rolloutID, translate(err))
	}
	return nil
}

func (tx *Tx) saveVerdict(ctx context.Context, rolloutID int64, v RolloutVerdict) error {
	err := tx.queries.SaveVerdict(ctx, queries.SaveVerdictParams{
		RolloutID: rolloutID, Metric: v.Metric, Route: v.Route,
		CandidateBad: v.CandidateBad, CandidateTotal: v.CandidateTotal, ControlBad: v.ControlBad, ControlTotal: v.ControlTotal,
		LogEvidence: v.LogEvidence, LogPeak: v.LogPeak, LogThreshold: v.LogThreshold,
		RatioLower: v.RatioLower, RatioUpper: v.RatioUpper, Verdict: v.Verdict, Explanation: v.Explanation,
	})
	if err != nil {
		return fmt.Errorf("saving the verdict of %s on %q: %w", v.Metric, v.Route, translate(err))
	}
	return nil
}
