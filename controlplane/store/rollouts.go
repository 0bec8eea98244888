package store

import (
	"context"
	"fmt"
	"time"

	"tidegate.dev/controlplane/store/queries"
)

// States of a rollout. Those of the second group have ended.
const (
	RolloutQueued           = "queued"
	RolloutRunning          = "running"
	RolloutPaused           = "paused"
	RolloutAwaitingApproval = "awaiting_approval"
	RolloutHeld             = "held"

	RolloutCompleted  = "completed"
	RolloutRolledBack = "rolled_back"
	RolloutAborted    = "aborted"
	RolloutSuperseded = "superseded"
)

// Rollout is one revision's way to traffic.
type Rollout struct {
	ID       int64
	FleetID  int64
	Revision int64
	// StableRevision is what it replaces. It is fixed when the rollout starts.
	StableRevision int64
	Strategy       string
	Spec           []byte // the encoded configv1.Strategy of its publish, defaults applied
	State          string
	Reason         string
	Author         string
	Step           int32 // from 0
	// The dials.
	CandidateAgents   int32
	CandidateSharePpm int32
	// Version rises with every change; Fence is the token of the leader that made the last.
	Version   int64
	Fence     int64
	CreatedAt time.Time
	StartedAt *time.Time
	// StepAt is when the step's dials were set, ServingAt when its agents had acknowledged serving it, PausedAt since when
	// its clock stands.
	StepAt    *time.Time
	ServingAt *time.Time
	PausedAt  *time.Time
	// DialsAt is when what agents should serve changed last, and to which (epoch, generation) of the fleet.
	DialsAt         *time.Time
	DialsEpoch      int64
	DialsGeneration int64
	Promoted        bool  // a person waived the bake time of the step
	Extensions      int32 // of the step, for want of requests
	BaseRequests    int64 // candidate requests at this share before the step's clock began
	JudgedAgents    int32 // what alpha was divided over, fixed when it starts
	JudgedRoutes    int32
	ClockOffsetMs   int64 // how far Postgres's clock had been set when these times were written
	EndedAt         *time.Time
	// Expectations are those of the change, as they were at publish: encoded configv1.Expectations.
	Expectations []byte
	// Supersede: it does not wait in the queue for the rollout that runs, it ends it.
	Supersede bool
}

// supersedeQueued takes the rollout out of the queue, if there is one, answers the commands that waited for it, and gives its
// revision a state. actor is who caused it; empty if nobody did.
func (tx *Tx) supersedeQueued(ctx context.Context, fleetID int64, why, actor, revisionState string) error {
	rows, err := tx.queries.SupersedeQueuedRollout(ctx, queries.SupersedeQueuedRolloutParams{FleetID: fleetID, Reason: why})
	if err != nil {
		return fmt.Errorf("superseding the queued rollout: %w", translate(err))
	}
	for _, row := range rows {
		if err := tx.endedRollout(ctx, RolloutEvent{RolloutID: row.ID, Type: RolloutSuperseded, Message: why, Actor: actor}); err != nil {
			return err
		}
		if err := tx.SetRevisionState(ctx, fleetID, row.Revision, revisionState); err != nil {
			return err
		}
	}
	return nil
}

// endedRollout writes the last event of a rollout and answers the commands that can no longer be carried out.
func (tx *Tx) endedRollout(ctx context.Context, event RolloutEvent) error {
	if err := tx.addRolloutEvent(ctx, event); err != nil {
		return err
	}
	result := queries.FinishRolloutCommandsParams{RolloutID: event.RolloutID, Result: "the rollout has ended: " + event.Type}
	if err := tx.queries.FinishRolloutCommands(ctx, result); err != nil {
		return fmt.Errorf("answering the commands of rollout %d: %w", event.RolloutID, translate(err))
	}
	return nil
}

// RolloutByID returns a rollout of the fleet, or ErrNotFound.
func (tx *Tx) RolloutByID(ctx context.Context, fleetID, id int64) (Rollout, error) {
	row, err := tx.queries.GetRollout(ctx, queries.GetRolloutParams{FleetID: fleetID, ID: id})
	if err != nil {
		return Rollout{}, fmt.Errorf("reading rollout %d: %w", id, translate(err))
	}
	return Rollout(row), nil
}

// RolloutFilter chooses rollouts of a list; the zero value of a field chooses all.
type RolloutFilter struct {
	Before   int64 // only lower ids
	State    string
	Revision int64
}

// Rollouts lists up to limit rollouts of a fleet, the newest first.
func (tx *Tx) Rollouts(ctx context.Context, fleetID int64, filter RolloutFilter, limit int) ([]Rollout, error) {
	rows, err := tx.queries.ListRollouts(ctx, queries.ListRolloutsParams{
		FleetID: fleetID, Before: filter.Before, State: filter.State, Revision: filter.Revision, PageSize: int32(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("listing rollouts: %w", translate(err))
	}
	return rolloutsOf(rows), nil
}

// EndedRollouts lists up to limit rollouts of a fleet that had begun and ended within the last time, the newest first; before as
// that of RolloutFilter.
func (tx *Tx) EndedRollouts(ctx context.Context, fleetID int64, within time.Duration, before int64, limit int) ([]Rollout, error) {
	rows, err := tx.queries.ListEndedRollouts(ctx, queries.ListEndedRolloutsParams{
		FleetID: fleetID, Seconds: within.Seconds(), Before: before, PageSize: int32(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("listing ended rollouts: %w", translate(err))
	}
	return rolloutsOf(rows), nil
}

// OpenRollouts returns the active rollout of a fleet and the queued one, in this order, as far as there are any.
func (tx *Tx) OpenRollouts(ctx context.Context, fleetID int64) ([]Rollout, error) {
	rows, err := tx.queries.ListOpenRollouts(ctx, fleetID)
	if err != nil {
		return nil, fmt.Errorf("reading the open rollouts of fleet %d: %w", fleetID, translate(err))
	}
	return rolloutsOf(rows), nil
}

// FleetsWithOpenRollouts returns the fleets that have an active or a queued rollout.
func (tx *Tx) FleetsWithOpenRollouts(ctx context.Context) ([]int64, error) {
	fleets, err := tx.queries.ListFleetsWithOpenRollouts(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking for open rollouts: %w", translate(err))
	}
	return fleets, nil
}

// RoutesOfTwo counts the routes that at least one of two revisions has, up to a limit that bounds its cost.
func (tx *Tx) RoutesOfTwo(ctx context.Context, fleetID, one, other int64, limit int) (int64, error) {
	count, err := tx.queries.CountRoutesOfTwo(ctx, queries.CountRoutesOfTwoParams{FleetID: fleetID, One: one, Other: other, UpTo: int32(limit)})
	if err != nil {
		return 0, fmt.Errorf("counting the routes of revisions %d and %d: %w", one, other, translate(err))
	}
	return count, nil
}

func rolloutsOf(rows []queries.Rollout) []Rollout {
	rollouts := make([]Rollout, len(rows))
	for i, row := range rows {
		rollouts[i] = Rollout(row)
	}
	return rollouts
}

// moveQueuedTo gives the queued rollout another revision.
func (tx *Tx) moveQueuedTo(ctx context.Context, id, revision int64, why string) error {
	moved, err := tx.queries.MoveQueuedRollout(ctx, queries.MoveQueuedRolloutParams{ID: id, Revision: revision, Reason: why})
	if err == nil && moved == 0 {
		err = ErrStale
	}
	if err != nil {
		return fmt.Errorf("moving the queued rollout %d to revision %d: %w", id, revision, translate(err))
	}
	return nil
}
