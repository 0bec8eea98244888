package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate.dev/controlplane/store/queries"
)

// Fleet is a set of agents that serve one line of revisions.
type Fleet struct {
	ID              int64
	Name            string
	DefaultStrategy string
	CreatedAt       time.Time
	// Policy is an encoded FleetPolicy.
	Policy []byte
}

// Head is where a fleet stands.
type Head struct {
	FleetID int64
	// Revision is what an edit starts from. 0: nothing was published yet.
	Revision int64
	// Stable is the revision that has proved itself. 0: none yet.
	Stable int64
	// Last is the highest revision number given out.
	Last int64
	// Epoch and Generation order the states that agents should serve.
	Epoch, Generation int64
	// LaneSequence is the last change of the fast lane.
	LaneSequence int64
}

// CreateFleet makes a fleet with nothing in it. ErrExists: the name is taken.
func (tx *Tx) CreateFleet(ctx context.Context, name string) (Fleet, error) {
	row, err := tx.queries.InsertFleet(ctx, name)
	if err != nil {
		return Fleet{}, fmt.Errorf("creating fleet %q: %w", name, translate(err))
	}
	if err := tx.queries.InsertHead(ctx, row.ID); err != nil {
		return Fleet{}, fmt.Errorf("creating the head of fleet %q: %w", name, translate(err))
	}
	if err := tx.queries.InsertLaneHead(ctx, row.ID); err != nil {
		return Fleet{}, fmt.Errorf("creating the lane of fleet %q: %w", name, translate(err))
	}
	return Fleet(row), nil
}

// FleetByName returns ErrNotFound if there is none.
func (tx *Tx) FleetByName(ctx context.Context, name string) (Fleet, error) {
	row, err := tx.queries.GetFleetByName(ctx, name)
	if err != nil {
		return Fleet{}, fmt.Errorf("reading fleet %q: %w", name, translate(err))
	}
	return Fleet(row), nil
}

// FleetByID returns ErrNotFound if there is none.
func (tx *Tx) FleetByID(ctx context.Context, id int64) (Fleet, error) {
	row, err := tx.queries.GetFleetByID(ctx, id)
	if err != nil {
		return Fleet{}, fmt.Errorf("reading fleet %d: %w", id, translate(err))
	}
	return Fleet(row), nil
}

// Fleets returns up to limit fleets by name, beginning behind the name after ("" for the first).
func (tx *Tx) Fleets(ctx context.Context, after string, limit int) ([]Fleet, error) {
	rows, err := tx.queries.ListFleets(ctx, queries.ListFleetsParams{After: after, PageSize: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("listing fleets: %w", translate(err))
	}
	fleets := make([]Fleet, len(rows))
	for i, row := range rows {
		fleets[i] = Fleet(row)
	}
	return fleets, nil
}

// SetDefaultStrategy names the strategy that a publish takes when it names none.
func (tx *Tx) SetDefaultStrategy(ctx context.Context, fleetID int64, name string) error {
	if err := tx.queries.SetDefaultStrategy(ctx, queries.SetDefaultStrategyParams{ID: fleetID, DefaultStrategy: name}); err != nil {
		return fmt.Errorf("setting the default strategy of fleet %d: %w", fleetID, translate(err))
	}
	return nil
}

// SetFleetPolicy says what a fleet asks of those who change it: an encoded FleetPolicy.
func (tx *Tx) SetFleetPolicy(ctx context.Context, fleetID int64, policy []byte) error {
	if err := tx.queries.SetFleetPolicy(ctx, queries.SetFleetPolicyParams{ID: fleetID, Policy: notNull(policy)}); err != nil {
		return fmt.Errorf("setting the policy of fleet %d: %w", fleetID, translate(err))
	}
	return nil
}

// Head reads where a fleet stands, without a lock.
func (tx *Tx) Head(ctx context.Context, fleetID int64) (Head, error) {
	row, err := tx.queries.GetHead(ctx, fleetID)
	if err != nil {
		return Head{}, fmt.Errorf("reading the head of fleet %d: %w", fleetID, translate(err))
	}
	return headOf(row), nil
}

// LockHead reads where a fleet stands and keeps everybody else from changing it until the transaction ends.
func (tx *Tx) LockHead(ctx context.Context, fleetID int64) (Head, error) {
	// Two statements: the second sees what the transaction that we waited for has committed.
	if _, err := tx.queries.LockHead(ctx, fleetID); err != nil {
		return Head{}, fmt.Errorf("locking the head of fleet %d: %w", fleetID, translate(err))
	}
	return tx.Head(ctx, fleetID)
}

// RaiseGeneration says that what agents should serve changed, and wakes those who wait for it (topic heads). The caller holds
// the fleet's head (LockHead).
func (tx *Tx) RaiseGeneration(ctx context.Context, fleetID int64) (generation int64, err error) {
	generation, err = tx.queries.RaiseGeneration(ctx, fleetID)
	if err != nil {
		return 0, fmt.Errorf("raising the generation of fleet %d: %w", fleetID, translate(err))
	}
	return generation, tx.NotifyHeads(ctx, fleetID)
}

// SetStable says which revision has proved itself. The caller holds the fleet's head and raises the generation.
func (tx *Tx) SetStable(ctx context.Context, fleetID, revision int64) error {
	parameters := queries.SetStableRevisionParams{FleetID: fleetID, StableRevision: revision}
	if err := tx.queries.SetStableRevision(ctx, parameters); err != nil {
		return fmt.Errorf("setting the stable revision of fleet %d: %w", fleetID, translate(err))
	}
	return nil
}

// RaiseEpoch opens a new epoch, in which agents accept generations and lane sequences that are lower than what they have seen:
// what an operator does after the database was restored from a backup.
func (tx *Tx) RaiseEpoch(ctx context.Context, fleetID int64) (epoch int64, err error) {
	epoch, err = tx.queries.RaiseEpoch(ctx, fleetID)
	if err != nil {
		return 0, fmt.Errorf("opening a new epoch of fleet %d: %w", fleetID, translate(err))
	}
	return epoch, tx.NotifyHeads(ctx, fleetID)
}

// NotifyHeads wakes those who wait for a change of what agents of the fleet should serve, when the transaction commits.
func (tx *Tx) NotifyHeads(ctx context.Context, fleetID int64) error {
	return tx.notify(ctx, topicHeads, fleetID)
}

// NotifyRollouts wakes those who wait for a rollout or a command for one, when the transaction commits.
func (tx *Tx) NotifyRollouts(ctx context.Context, fleetID int64) error {
	return tx.notify(ctx, topicRollouts, fleetID)
}

// Heads reads where every fleet stands.
func (tx *Tx) Heads(ctx context.Context) ([]Head, error) {
	return headsOf(ctx, tx.queries)
}

func allHeads(ctx context.Context, connection *pgx.Conn) ([]Head, error) {
	return headsOf(ctx, queries.New(connection))
}

func headsOf(ctx context.Context, q *queries.Queries) ([]Head, error) {
	rows, err := q.ListHeads(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the heads: %w", translate(err))
	}
	heads := make([]Head, len(rows))
	for i, row := range rows {
		heads[i] = headOf(queries.GetHeadRow(row))
	}
	return heads, nil
}

func headOf(row queries.GetHeadRow) Head {
	return Head{
		FleetID:      row.FleetID,
		Revision:     row.HeadRevision,
		Stable:       row.StableRevision,
		Last:         row.LastRevision,
		Epoch:        row.Epoch,
		Generation:   row.Generation,
		LaneSequence: row.LaneSequence,
	}
}
