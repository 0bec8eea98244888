package storetest

import (
	"context"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate.dev/controlplane/local/pgtest"
	"tidegate.dev/controlplane/store"
)

// OpenWithClock is Open with a clock of Postgres that the test can set: every statement of the store, and every default of its tables,
// reads that one. set moves it ahead of the real one by so much, or behind it.
func OpenWithClock(t testing.TB) (s *store.Store, set func(ahead time.Duration)) {
	t.Helper()
	databaseURL, schema := pgtest.Schema(t)
	address, err := url.Parse(databaseURL)
	if err != nil {
		t.Fatalf("reading the address of the tests' Postgres: %v", err)
	}
	// What stands before pg_catalog in the search path is found first.
	query := address.Query()
	query.Set("search_path", schema+",pg_catalog")
	address.RawQuery = query.Encode()
	execute := func(ctx context.Context, statements string) {
		t.Helper()
		connection, err := pgx.Connect(ctx, address.String())
		if err == nil {
			_, err = connection.PgConn().Exec(ctx, statements).ReadAll()
			_ = connection.Close(ctx)
		}
		if err != nil {
			t.Fatalf("setting the clock: %v", err)
		}
	}
	execute(t.Context(), `
		CREATE TABLE clock_set (ahead interval NOT NULL);
		INSERT INTO clock_set VALUES ('0');
		CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS
			'SELECT pg_catalog.clock_timestamp() + ahead FROM `+schema+`.clock_set';
		CREATE FUNCTION now() RETURNS timestamptz LANGUAGE sql STABLE AS
			'SELECT pg_catalog.now() + ahead FROM `+schema+`.clock_set';`)
	s, err = store.Open(t.Context(), store.Config{DatabaseURL: address.String(), MaxConnections: 8})
	if err != nil {
		t.Fatalf("opening the test's store: %v", err)
	}
	t.Cleanup(s.Close)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatalf("migrating the test's schema: %v", err)
	}
	return s, func(ahead time.Duration) {
		t.Helper()
		execute(t.Context(), fmt.Sprintf("UPDATE clock_set SET ahead = make_interval(secs => %f)", ahead.Seconds()))
	}
}
