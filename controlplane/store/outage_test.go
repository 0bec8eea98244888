package store_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tidegate.dev/controlplane/local/pgtest"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/store/storetest"
)

// Postgres dies and comes back: what runs meanwhile fails quickly and says why, what was committed is there, and waiters are
// signalled again.
func TestDatabaseThatDiesAndComesBack(t *testing.T) {
	t.Parallel()
	postgres := pgtest.Private(t)
	s, err := store.Open(t.Context(), store.Config{DatabaseURL: postgres.URL()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	fleet := storetest.Fleet(t, s, "default")
	watcher := store.NewWatcher(s, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	var running errgroup.Group
	running.Go(func() error { return watcher.Run(ctx) })
	defer func() {
		stop()
		_ = running.Wait() // Run ends without an error
	}()
	heads, cancel := watcher.Heads(fleet.ID)
	defer cancel()
	await(t, heads, "the first look")

	cutInTheMiddle(t, s, fleet, postgres.Kill)
	if err := postgres.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	await(t, heads, "the connection is back")
	untilItWorks(t, func(ctx context.Context) error {
		return s.View(ctx, func(tx *store.Tx) error {
			head, err := tx.Head(ctx, fleet.ID)
			if err == nil && head.Generation != 0 {
				t.Errorf("generation %d of a transaction that was cut", head.Generation)
			}
			return err
		})
	})
}

// cutInTheMiddle kills the server within a transaction.
func cutInTheMiddle(t *testing.T, s *store.Store, fleet store.Fleet, kill func() error) {
	t.Helper()
	began := time.Now()
	err := s.InTx(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.LockHead(t.Context(), fleet.ID); err != nil {
			return err
		}
		if _, err := tx.RaiseGeneration(t.Context(), fleet.ID); err != nil {
			return err
		}
		return kill()
	})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a transaction that was cut: %v, want ErrUnavailable", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it took %s to notice", took)
	}
	if err := s.Ping(t.Context()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("asking a dead server: %v, want ErrUnavailable", err)
	}
}

func untilItWorks(t *testing.T, try func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Second, fmt.Errorf("gave up"))
	defer cancel()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil || !errors.Is(err, store.ErrUnavailable) {
			t.Fatalf("after the restart: %v", err)
		}
	}
}
