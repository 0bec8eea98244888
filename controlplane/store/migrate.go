package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"tidegate.dev/migrations"
)

// lockTries is how often a replica asks for the migration lock, a moment apart, before it gives up: about two minutes.
const (
	lockTries = 600
	lockPause = 200 * time.Millisecond
)

// Migrate brings the schema to the newest version. Replicas that start at once take turns under an advisory lock that carries
// the schema's name; the second finds nothing to do.
func (s *Store) Migrate(ctx context.Context) (err error) {
	database := s.migrationDatabase()
	defer func() { err = errors.Join(err, database.Close()) }()
	release, err := s.lockMigrations(ctx, database)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()

	provider, err := goose.NewProvider(goose.DialectPostgres, database, migrations.FS,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrating schema %q: %w", s.schema, err)
	}
	return nil
}

// migrationDatabase is outside of the pool, since migrations may take longer than any request.
func (s *Store) migrationDatabase() *sql.DB {
	config := s.connectionConfig()
	for _, parameter := range []string{"statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"} {
		config.RuntimeParams[parameter] = "0"
	}
	return stdlib.OpenDB(*config)
}

// lockMigrations asks again and again instead of waiting in Postgres: a session that waits in a statement holds a snapshot,
// which would keep CREATE INDEX CONCURRENTLY of the holder waiting in turn.
func (s *Store) lockMigrations(ctx context.Context, database *sql.DB) (release func() error, err error) {
	connection, err := database.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connecting to migrate: %w", translate(err))
	}
	name := "tidegate migrations of " + s.schema
	for range lockTries {
		var held bool
		row := connection.QueryRowContext(ctx, "SELECT pg_try_advisory_lock(hashtextextended($1, 0))", name)
		if err := row.Scan(&held); err != nil {
			return nil, errors.Join(fmt.Errorf("locking the migrations: %w", translate(err)), connection.Close())
		}
		if held {
			// The lock belongs to the session and ends with it.
			return connection.Close, nil
		}
		if err := sleep(ctx, lockPause); err != nil {
			return nil, errors.Join(err, connection.Close())
		}
	}
	return nil, errors.Join(fmt.Errorf("locking the migrations: %w: another replica holds them", ErrBusy), connection.Close())
}
