package telemetry

import (
	"context"
	"log/slog"
	"time"

	"tidegate.dev/controlplane/store"
)

const (
	retentionInterval = 10 * time.Minute
	// keepMinutesAtMost bounds how long agents are kept apart, since that grows with their number.
	keepMinutesAtMost = 72 * time.Hour
	fleetPage         = 100
)

// Retention forgets old telemetry. Several replicas may do so at once; they only do it sooner. The evidence of rollouts is
// kept for ever.
type Retention struct {
	store *store.Store
	keep  time.Duration
	log   *slog.Logger
}

// NewRetention returns what forgets counts that are older than keep, and those that keep agents apart after three days at most. It
// begins with Run.
func NewRetention(s *store.Store, keep time.Duration, log *slog.Logger) *Retention {
	return &Retention{store: s, keep: keep, log: log}
}

// Run forgets now and every ten minutes until ctx ends.
func (r *Retention) Run(ctx context.Context) error {
	for {
		deleted, err := r.Forget(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			r.log.Warn("forgetting old telemetry failed; it is tried again", "error", err, "retry_in", retentionInterval)
		case deleted > 0:
			r.log.Info("old telemetry was forgotten", "rows", deleted)
		}
		if !sleep(ctx, retentionInterval) {
			return nil
		}
	}
}

// Forget deletes what is too old, in many short transactions, and says how many rows that were.
func (r *Retention) Forget(ctx context.Context) (deleted int64, err error) {
	err = r.store.InTx(ctx, func(tx *store.Tx) error { return tx.DeleteOldTelemetryCursors(ctx) })
	for after, more := "", true; more && err == nil; {
		var fleets []store.Fleet
		err = r.store.View(ctx, func(tx *store.Tx) (err error) {
			fleets, err = tx.Fleets(ctx, after, fleetPage)
			return err
		})
		for _, fleet := range fleets {
			after = fleet.Name
			rows, err := r.forget(ctx, fleet.ID)
			deleted += rows
			if err != nil {
				return deleted, err
			}
		}
		more = len(fleets) == fleetPage
	}
	return deleted, err
}

func (r *Retention) forget(ctx context.Context, fleetID int64) (deleted int64, err error) {
	for {
		var rows int64
		err := r.store.InTx(ctx, func(tx *store.Tx) (err error) {
			rows, err = tx.DeleteOldTelemetry(ctx, fleetID, r.keep, min(r.keep, keepMinutesAtMost))
			return err
		})
		deleted += rows
		if err != nil || rows == 0 {
			return deleted, err
		}
	}
}
