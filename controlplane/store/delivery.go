package store

import (
	"context"
	"fmt"

	configv1 "tidegate.dev/proto/tidegate/config/v1"

	"tidegate.dev/controlplane/store/queries"
)

// RevisionReference names a revision, the root over its content, and how far an agent must hold the fast lane to serve it.
type RevisionReference struct {
	Number       int64
	Root         []byte
	LaneSequence int64
}

// Delivery is what the agents of a fleet should serve, read at one moment.
type Delivery struct {
	FleetID           int64
	Fleet             string
	Epoch, Generation int64
	// LaneSequence is how far the fast lane reaches.
	LaneSequence int64
	// Stable has the number 0 before anything has proved itself.
	Stable RevisionReference
	// Rollout is the one that runs or waits; nil: none.
	Rollout *DeliveredRollout
	// Draining are the agents that should take nothing new.
	Draining map[string]bool
	// Agents is how many agents the fleet has, connected or not.
	Agents int64
}

// DeliveredRollout is the part of an active rollout that concerns agents.
type DeliveredRollout struct {
	ID        int64
	Candidate RevisionReference
	SharePPM  int32
	// Strategy is the encoded strategy (configv1.Strategy) of its publish.
	Strategy []byte
	// Expectations are those of its change, encoded (configv1.Expectations).
	Expectations []byte
	// JudgedAgents is what alpha was divided over when the rollout began; 0: not said.
	JudgedAgents int32
	// Members are the agents that hold the candidate.
	Members map[string]bool
	// Joined is in which step each of them began to.
	Joined map[string]int32
}

// Delivery reads what the agents of a fleet should serve. Run it in a View, so that all is of one moment.
func (tx *Tx) Delivery(ctx context.Context, fleetID int64) (*Delivery, error) {
	row, err := tx.queries.GetDelivery(ctx, fleetID)
	if err != nil {
		return nil, fmt.Errorf("reading what fleet %d should serve: %w", fleetID, translate(err))
	}
	draining, err := tx.queries.ListDraining(ctx, fleetID)
	if err != nil {
		return nil, fmt.Errorf("reading the draining agents of fleet %d: %w", fleetID, translate(err))
	}
	delivery := &Delivery{
		FleetID: fleetID, Fleet: row.Fleet, Epoch: row.Epoch, Generation: row.Generation, LaneSequence: row.LaneSequence,
		Stable:   RevisionReference{Number: row.StableRevision, Root: row.StableRoot, LaneSequence: valueOf(row.StableLaneSequence)},
		Draining: setOf(draining), Agents: row.Agents,
	}
	if row.RolloutID == nil || row.CandidateRoot == nil {
		return delivery, nil
	}
	members, err := tx.queries.ListMembers(ctx, *row.RolloutID)
	if err != nil {
		return nil, fmt.Errorf("reading the members of rollout %d: %w", *row.RolloutID, translate(err))
	}
	delivery.Rollout = &DeliveredRollout{
		ID: *row.RolloutID,
		Candidate: RevisionReference{
			Number: valueOf(row.CandidateRevision), Root: row.CandidateRoot, LaneSequence: valueOf(row.CandidateLaneSequence),
		},
		SharePPM: valueOf(row.CandidateSharePpm), Strategy: row.Spec, Expectations: row.Expectations, JudgedAgents: valueOf(row.JudgedAgents),
		Members: make(map[string]bool, len(members)), Joined: make(map[string]int32, len(members)),
	}
	for _, member := range members {
		delivery.Rollout.Members[member.AgentID], delivery.Rollout.Joined[member.AgentID] = true, member.Step
	}
	return delivery, nil
}

func valueOf[T any](pointer *T) (value T) {
	if pointer != nil {
		value = *pointer
	}
	return value
}

func setOf(names []string) map[string]bool {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set
}

// RevisionRoots returns the roots of those of the numbers that are revisions of the fleet.
func (tx *Tx) RevisionRoots(ctx context.Context, fleetID int64, numbers []int64) (map[int64][]byte, error) {
	rows, err := tx.queries.ListRevisionRoots(ctx, queries.ListRevisionRootsParams{FleetID: fleetID, Numbers: numbers})
	if err != nil {
		return nil, fmt.Errorf("reading the roots of revisions: %w", translate(err))
	}
	roots := make(map[int64][]byte, len(rows))
	for _, row := range rows {
		roots[row.Number] = row.Root
	}
	return roots, nil
}

// ContentUpsert is a resource as it was encoded at its publish.
type ContentUpsert struct {
	Kind configv1.Kind
	Name string
	Body []byte
}

// ContentDelete names a resource that is gone.
type ContentDelete struct {
	Kind configv1.Kind
	Name string
}

// ContentDelta returns what leads from the content of one revision to that of another, earlier or later. From 0 it is the
// whole content.
func (tx *Tx) ContentDelta(ctx context.Context, fleetID, from, to int64) ([]ContentUpsert, []ContentDelete, error) {
	upsertRows, err := tx.queries.ListContentUpserts(ctx, queries.ListContentUpsertsParams{FleetID: fleetID, FromRevision: from, ToRevision: to})
	if err != nil {
		return nil, nil, fmt.Errorf("reading what revision %d has over %d: %w", to, from, translate(err))
	}
	deleteRows, err := tx.queries.ListContentDeletes(ctx, queries.ListContentDeletesParams{FleetID: fleetID, FromRevision: from, ToRevision: to})
	if err != nil {
		return nil, nil, fmt.Errorf("reading what revision %d lacks of %d: %w", to, from, translate(err))
	}
	upserts := make([]ContentUpsert, len(upsertRows))
	for i, row := range upsertRows {
		upserts[i] = ContentUpsert{Kind: configv1.Kind(row.Kind), Name: row.Name, Body: row.Body}
	}
	deletes := make([]ContentDelete, len(deleteRows))
	for i, row := range deleteRows {
		deletes[i] = ContentDelete{Kind: configv1.Kind(row.Kind), Name: row.Name}
	}
	return upserts, deletes, nil
}

// LaneChange is the present state of a resource of the fast lane.
type LaneChange struct {
	Sequence int64
	Kind     configv1.Kind
	Name     string
	// Owner is the consumer of a key.
	Owner string
	// Body is the encoded spec, sealed for certificates and secrets; nil: deleted.
	Body []byte
	// KeyHash is the keyed hash of a key.
	KeyHash []byte
}

// LaneChanges returns, in order, up to limit resources of the fast lane that changed after a sequence, each with its present
// state. fromNothing leaves out what was deleted, for a reader that holds nothing.
func (tx *Tx) LaneChanges(ctx context.Context, fleetID, after int64, fromNothing bool, limit int) ([]LaneChange, error) {
	rows, err := tx.queries.ListLane(ctx, queries.ListLaneParams{
		FleetID: fleetID, After: after, FromNothing: fromNothing, PageSize: int32(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("reading the fast lane after %d: %w", after, translate(err))
	}
	changes := make([]LaneChange, len(rows))
	for i, row := range rows {
		changes[i] = LaneChange{
			Sequence: row.Sequence, Kind: configv1.Kind(row.Kind), Name: row.Name, Owner: row.Owner, Body: row.Body, KeyHash: row.KeyHash,
		}
	}
	return changes, nil
}
