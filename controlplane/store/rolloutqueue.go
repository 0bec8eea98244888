package store

import (
	"context"
	"fmt"

	"tidegate.dev/controlplane/store/queries"
)

// QueuedRollout is what a publish asks the rollouts' controller for.
type QueuedRollout struct {
	FleetID int64
	// Revision is to reach traffic; Stable is what it replaces, as things stand.
	Revision, Stable int64
	// Strategy is a name and Spec the encoded strategy at the moment of the publish, which is what counts.
	Strategy string
	Spec     []byte
	Author   string
	// Expectations are those of the change, encoded.
	Expectations []byte
	// Supersede ends the rollout that runs instead of waiting for it.
	Supersede bool
}

// QueueRollout asks for a rollout, and wakes the controller (topic rollouts). The queue has one place: a rollout that waits in
// it is superseded, since the new revision stands on its revision and carries its changes.
func (tx *Tx) QueueRollout(ctx context.Context, rollout QueuedRollout) (id int64, err error) {
	reason := fmt.Sprintf("revision %d carries its changes", rollout.Revision)
	if err := tx.supersedeQueued(ctx, rollout.FleetID, reason, rollout.Author, RevisionSuperseded); err != nil {
		return 0, err
	}
	id, err = tx.queries.InsertQueuedRollout(ctx, queries.InsertQueuedRolloutParams{
		FleetID: rollout.FleetID, Revision: rollout.Revision, StableRevision: rollout.Stable,
		Strategy: rollout.Strategy, Spec: rollout.Spec, Author: rollout.Author,
		Expectations: notNull(rollout.Expectations), Supersede: rollout.Supersede,
	})
	if err != nil {
		return 0, fmt.Errorf("queueing a rollout of revision %d: %w", rollout.Revision, translate(err))
	}
	created := RolloutEvent{
		RolloutID: id, Type: "created", Actor: rollout.Author,
		Message: fmt.Sprintf("revision %d by strategy %s", rollout.Revision, rollout.Strategy),
	}
	if err := tx.addRolloutEvent(ctx, created); err != nil {
		return 0, err
	}
	return id, tx.NotifyRollouts(ctx, rollout.FleetID)
}

// RolloutsOfRevisions returns the last rollout of each revision that had one.
func (tx *Tx) RolloutsOfRevisions(ctx context.Context, fleetID int64, revisions []int64) (map[int64]int64, error) {
	rows, err := tx.queries.ListRolloutsOfRevisions(ctx, queries.ListRolloutsOfRevisionsParams{FleetID: fleetID, Revisions: revisions})
	if err != nil {
		return nil, fmt.Errorf("reading the rollouts of %d revisions: %w", len(revisions), translate(err))
	}
	rollouts := make(map[int64]int64, len(rows))
	for _, row := range rows {
		rollouts[row.Revision] = row.ID
	}
	return rollouts, nil
}
