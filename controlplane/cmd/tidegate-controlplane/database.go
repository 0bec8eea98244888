package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tidegate.dev/controlplane/store"
)

// connectPause is how long to wait between two attempts to reach Postgres.
const connectPause = time.Second

// openStore waits for Postgres up to the deadline: it may be starting at the same time as we are. What waiting does not mend,
// such as a wrong password, ends it at once.
func openStore(ctx context.Context, f *flags, log *slog.Logger) (*store.Store, error) {
	ctx, cancel := context.WithTimeout(ctx, f.DatabaseTimeout)
	defer cancel()
	for {
		opened, err := store.Open(ctx, store.Config{DatabaseURL: f.DatabaseURL})
		if err == nil {
			return opened, nil
		}
		if !errors.Is(err, store.ErrUnavailable) || ctx.Err() != nil {
			return nil, fmt.Errorf("opening the database (waited up to --database-timeout %s): %w", f.DatabaseTimeout, err)
		}
		log.Warn("Postgres does not answer yet", "error", err, "retry_in", connectPause.String())
		select {
		case <-time.After(connectPause):
		case <-ctx.Done():
			return nil, fmt.Errorf("the database did not answer within --database-timeout %s: %w", f.DatabaseTimeout, err)
		}
	}
}

// prepare makes what every installation has: the schema, and the fleet "default".
func prepare(ctx context.Context, f *flags, opened *store.Store) error {
	if f.Migrate {
		if err := opened.Migrate(ctx); err != nil {
			return err
		}
	}
	err := opened.InTx(ctx, func(tx *store.Tx) error {
		if _, err := tx.FleetByName(ctx, defaultFleet); !errors.Is(err, store.ErrNotFound) {
			return err
		}
		_, err := tx.CreateFleet(ctx, defaultFleet)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrExists) { // another replica was faster
		return fmt.Errorf("making the first fleet (has the database been migrated?): %w", err)
	}
	return nil
}

// defaultFleet is there from the first start.
const defaultFleet = "default"

const (
	forgetEvery = time.Hour
	// rememberRequests is how long an Idempotency-Key gives the answer of its first time.
	rememberRequests = 48 * time.Hour
)

// forgetRequests removes what idempotency keys have remembered for long enough.
func forgetRequests(ctx context.Context, opened *store.Store, log *slog.Logger) error {
	ticker := time.NewTicker(forgetEvery)
	defer ticker.Stop()
	for {
		err := opened.InTx(ctx, func(tx *store.Tx) error {
			_, err := tx.ForgetRequests(ctx, rememberRequests)
			return err
		})
		if err != nil && ctx.Err() == nil {
			log.Warn("removing old idempotency keys", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}
