package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate.dev/controlplane/store/queries"
)

// How often a transaction is run that Postgres rolled back for the sake of another, and the longest pause between.
const (
	maxAttempts  = 5
	maxRetryWait = 100 * time.Millisecond
)

// Tx is one transaction. It belongs to one goroutine and ends with the function that received it.
type Tx struct {
	store   *Store
	tx      pgx.Tx
	queries *queries.Queries
}

// contextKey carries the running *Tx, see withTx.
type contextKey struct{}

// withTx returns a context in which InTx and View of this store join tx.
func withTx(ctx context.Context, tx *Tx) context.Context {
	return context.WithValue(ctx, contextKey{}, tx)
}

func (s *Store) running(ctx context.Context) *Tx {
	if tx, ok := ctx.Value(contextKey{}).(*Tx); ok && tx.store == s {
		return tx
	}
	return nil
}

// InTx runs effect in a transaction (READ COMMITTED) and commits it when effect returns nil. What Postgres rolled back for
// the sake of another transaction (a deadlock, a serialization failure) is run again a few times, so effect must have no
// effects besides tx. Any error rolls everything back and is returned, typed as in this package's Err values.
//
// If ctx carries a running transaction (see [Store.Once]), effect joins it behind a savepoint: its error undoes what effect
// did and nothing else; what it did is committed with the rest.
func (s *Store) InTx(ctx context.Context, effect func(*Tx) error) error {
	if outer := s.running(ctx); outer != nil {
		return outer.savepoint(ctx, effect)
	}
	return s.run(ctx, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, effect)
}

// View runs reads on one consistent snapshot (REPEATABLE READ, read only). If ctx carries a running transaction, read joins
// it and sees what it wrote.
func (s *Store) View(ctx context.Context, read func(*Tx) error) error {
	if outer := s.running(ctx); outer != nil {
		return read(outer)
	}
	return s.run(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, read)
}

func (s *Store) run(ctx context.Context, options pgx.TxOptions, effect func(*Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := s.attempt(ctx, options, effect)
		if err == nil || !mayRetry(err) || attempt == maxAttempts {
			return err
		}
		if waitErr := pause(ctx, attempt); waitErr != nil {
			return errors.Join(err, waitErr)
		}
	}
}

func (s *Store) attempt(ctx context.Context, options pgx.TxOptions, effect func(*Tx) error) error {
	begun, err := s.pool.BeginTx(ctx, options)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", translate(err))
	}
	// After a commit this does nothing; otherwise also when effect panics.
	defer rollback(ctx, begun)
	if err := effect(&Tx{store: s, tx: begun, queries: queries.New(begun)}); err != nil {
		return translate(err)
	}
	if err := begun.Commit(ctx); err != nil {
		return fmt.Errorf("committing: %w", translate(err))
	}
	return nil
}

// savepoint runs effect within tx so that its error undoes only what it did.
func (tx *Tx) savepoint(ctx context.Context, effect func(*Tx) error) error {
	begun, err := tx.tx.Begin(ctx)
	if err != nil {
		return fmt.Errorf("setting a savepoint: %w", translate(err))
	}
	defer rollback(ctx, begun)
	if err := effect(&Tx{store: tx.store, tx: begun, queries: queries.New(begun)}); err != nil {
		return translate(err)
	}
	if err := begun.Commit(ctx); err != nil {
		return fmt.Errorf("releasing a savepoint: %w", translate(err))
	}
	return nil
}

// rollback ends a transaction even when its context has ended; it does nothing after a commit.
func rollback(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	_ = tx.Rollback(ctx) // a connection that cannot roll back is closed by the pool, and Postgres rolls back
}

func pause(ctx context.Context, attempt int) error {
	longest := min(maxRetryWait, time.Millisecond<<(2*attempt))
	return sleep(ctx, rand.N(longest)+time.Millisecond)
}

// sleep waits for d, or returns why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// isCut says whether a connection ended in the middle.
func isCut(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// notify announces a change of a fleet on a topic. It is sent when the transaction commits, and only then.
func (tx *Tx) notify(ctx context.Context, topic string, fleetID int64) error {
	_, err := tx.tx.Exec(ctx, "SELECT pg_notify($1, $2)", tx.store.channel(topic), fmt.Sprint(fleetID))
	if err != nil {
		return fmt.Errorf("notifying %s of fleet %d: %w", topic, fleetID, translate(err))
	}
	return nil
}

// analyzeFrom is how many rows at once change a table so much that Postgres plans its queries wrongly.
const analyzeFrom = 500

// analyze renews the statistics of tables after a write of many rows. Postgres does so by itself, but up to a minute later, and
// until then it may look through a whole index where a few entries are asked for.
func (tx *Tx) analyze(ctx context.Context, rows int, tables string) error {
	if rows < analyzeFrom {
		return nil
	}
	if _, err := tx.tx.Exec(ctx, "ANALYZE "+tables); err != nil {
		return fmt.Errorf("renewing the statistics of %s: %w", tables, translate(err))
	}
	return nil
}
