// Package pgtest gives tests a real Postgres: a schema of its own for each test (Schema), so that tests run in
// parallel and need no cleaning, or a whole server for tests that break it (Private).
//
// The server behind Schema is private, does not sync to disk, and is shared by all test binaries of a `go test` run
// and of the next, if that comes soon: see cluster.go. TIDEGATE_TEST_DATABASE_URL names another server instead.
package pgtest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tidegate.dev/controlplane/local"
)

// databaseVariable names a server to use instead of a private one. Its user must be allowed to create schemas.
const databaseVariable = "TIDEGATE_TEST_DATABASE_URL"

// Schema creates an empty schema with a random name and gives a URL of the database whose search_path is that schema
// alone, so that unqualified names land in it. The schema is dropped when the test has ended. Channels of NOTIFY and
// advisory locks are shared by the whole database: put the schema's name into theirs.
func Schema(t testing.TB) (databaseURL, schema string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	server := os.Getenv(databaseVariable)
	if server == "" {
		var err error
		if server, err = defaultCluster().url(ctx); err != nil {
			t.Fatalf("Postgres for tests: %v", err)
		}
	}
	schema = "test_" + randomHex(8)
	if err := execute(ctx, server, "CREATE SCHEMA "+schema); err != nil {
		t.Fatalf("creating the test's schema: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		// A transaction that the test left open would block the drop for ever.
		if err := execute(ctx, server, "SET lock_timeout = '10s'; DROP SCHEMA "+schema+" CASCADE"); err != nil {
			t.Errorf("dropping the test's schema (is a transaction still open?): %v", err)
		}
	})
	return withSearchPath(server, schema), schema
}

// Private starts a server for this test alone, which may kill, freeze and restart it. What was
// committed survives a kill. It is stopped and removed when the test has ended.
func Private(t testing.TB) *local.Postgres {
	t.Helper()
	shared := defaultCluster()
	if err := shared.makeBase(); err != nil {
		t.Fatalf("Postgres for tests: %v", err)
	}
	dir, err := local.TempDir(shared.base, fmt.Sprintf("%s%d-", privatePrefix, os.Getpid()))
	if err != nil {
		t.Fatalf("Postgres for tests: %v", err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("removing the test's Postgres: %v", err)
		}
	})
	config := shared.config(dir)
	config.Detached = false
	postgres, err := local.Start(t.Context(), config)
	if err != nil {
		t.Fatalf("Postgres for tests: %v", err)
	}
	t.Cleanup(func() {
		if err := postgres.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("stopping the test's Postgres: %v", err)
		}
	})
	return postgres
}

// execute runs statements on a connection of their own.
func execute(ctx context.Context, databaseURL, statements string) error {
	connection, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	defer connection.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the statements have succeeded or not
	_, err = connection.PgConn().Exec(ctx, statements).ReadAll()
	return err
}

// withSearchPath adds the run-time parameter to either form of address, URL or "key=value key=value".
func withSearchPath(databaseURL, schema string) string {
	address, err := url.Parse(databaseURL)
	if err != nil || !strings.HasPrefix(address.Scheme, "postgres") {
		return databaseURL + " search_path=" + schema
	}
	query := address.Query()
	query.Set("search_path", schema)
	address.RawQuery = query.Encode()
	return address.String()
}

func randomHex(bytes int) string {
	random := make([]byte, bytes)
	_, _ = rand.Read(random) // It never fails (crypto/rand).
	return hex.EncodeToString(random)
}

// cloneRoot is the folder of go.work above the working directory, which is that of the tested package; empty outside
// of a clone.
func cloneRoot() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}
