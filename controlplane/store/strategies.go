package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidegate.dev/controlplane/store/queries"
)

// StoredStrategy is a strategy that somebody made for a fleet. Body is the encoded configv1.Strategy.
type StoredStrategy struct {
	FleetID   int64
	Name      string
	Body      []byte
	Version   int64 // raised by every change
	UpdatedAt time.Time
}

// Strategy returns a stored strategy of the fleet, or ErrNotFound.
func (tx *Tx) Strategy(ctx context.Context, fleetID int64, name string) (StoredStrategy, error) {
	row, err := tx.queries.GetStrategy(ctx, queries.GetStrategyParams{FleetID: fleetID, Name: name})
	if err != nil {
		return StoredStrategy{}, fmt.Errorf("reading strategy %q: %w", name, translate(err))
	}
	return StoredStrategy(row), nil
}

// Strategies lists the stored strategies of a fleet by name.
func (tx *Tx) Strategies(ctx context.Context, fleetID int64) ([]StoredStrategy, error) {
	rows, err := tx.queries.ListStrategies(ctx, fleetID)
	if err != nil {
		return nil, fmt.Errorf("listing strategies: %w", translate(err))
	}
	strategies := make([]StoredStrategy, len(rows))
	for i, row := range rows {
		strategies[i] = StoredStrategy(row)
	}
	return strategies, nil
}

// PutStrategy creates or changes a strategy. version is what the caller read: 0 for whatever is there or not; ErrStale, if it
// is another one now.
func (tx *Tx) PutStrategy(ctx context.Context, fleetID int64, name string, body []byte, version int64) (StoredStrategy, error) {
	row, err := tx.queries.UpdateStrategy(ctx, queries.UpdateStrategyParams{
		FleetID: fleetID, Name: name, Body: body, Version: version,
	})
	err = translate(err)
	if errors.Is(err, ErrNotFound) {
		if version != 0 {
			return StoredStrategy{}, fmt.Errorf("changing strategy %q: %w", name, ErrStale)
		}
		row, err = tx.queries.InsertStrategy(ctx, queries.InsertStrategyParams{FleetID: fleetID, Name: name, Body: body})
		if err = translate(err); errors.Is(err, ErrNotFound) {
			err = ErrStale // another made it between the two statements
		}
	}
	if err != nil {
		return StoredStrategy{}, fmt.Errorf("writing strategy %q: %w", name, err)
	}
	return StoredStrategy(row), nil
}

// DeleteStrategy removes a stored strategy; rollouts keep their copy. version as in PutStrategy.
func (tx *Tx) DeleteStrategy(ctx context.Context, fleetID int64, name string, version int64) error {
	deleted, err := tx.queries.DeleteStrategy(ctx, queries.DeleteStrategyParams{FleetID: fleetID, Name: name, Version: version})
	if err == nil && deleted == 0 {
		err = ErrNotFound
		if _, found := tx.Strategy(ctx, fleetID, name); found == nil {
			err = ErrStale
		}
	}
	if err != nil {
		return fmt.Errorf("deleting strategy %q: %w", name, translate(err))
	}
	return nil
}
