// Package storetest gives tests a migrated store on a real Postgres, in a schema of its own, so that they run in parallel.
package storetest

import (
	"testing"

	"tidegate.dev/controlplane/local/pgtest"
	"tidegate.dev/controlplane/store"
)

// Open returns an empty, migrated store. It is closed, and its schema removed, when the test has ended.
func Open(t testing.TB) *store.Store {
	t.Helper()
	s := OpenUnmigrated(t)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatalf("migrating the test's schema: %v", err)
	}
	return s
}

// OpenUnmigrated returns a store on an empty schema.
func OpenUnmigrated(t testing.TB) *store.Store {
	t.Helper()
	databaseURL, _ := pgtest.Schema(t)
	s, err := store.Open(t.Context(), store.Config{DatabaseURL: databaseURL, MaxConnections: 8})
	if err != nil {
		t.Fatalf("opening the test's store: %v", err)
	}
	t.Cleanup(s.Close)
	return s
}

// Fleet creates a fleet.
func Fleet(t testing.TB, s *store.Store, name string) store.Fleet {
	t.Helper()
	var fleet store.Fleet
	err := s.InTx(t.Context(), func(tx *store.Tx) error {
		var err error
		fleet, err = tx.CreateFleet(t.Context(), name)
		return err
	})
	if err != nil {
		t.Fatalf("creating fleet %q: %v", name, err)
	}
	return fleet
}
