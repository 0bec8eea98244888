package store_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/store/storetest"
)

func TestReplicasThatMigrateAtOnceTakeTurns(t *testing.T) {
	t.Parallel()
	s := storetest.OpenUnmigrated(t)
	var replicas errgroup.Group
	for range 3 {
		replicas.Go(func() error { return s.Migrate(t.Context()) })
	}
	if err := replicas.Wait(); err != nil {
		t.Fatal(err)
	}
	storetest.Fleet(t, s, "default")
}

func TestFleetIsCreatedOnce(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	fleet := storetest.Fleet(t, s, "default")
	err := s.InTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.CreateFleet(t.Context(), "default")
		return err
	})
	if !errors.Is(err, store.ErrExists) {
		t.Errorf("creating it again: %v, want ErrExists", err)
	}
	err = s.View(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.FleetByName(t.Context(), "other"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("reading one that is not there: %v, want ErrNotFound", err)
		}
		head, err := tx.Head(t.Context(), fleet.ID)
		if want := (store.Head{FleetID: fleet.ID, Epoch: 1}); head != want {
			t.Errorf("head %+v, want %+v", head, want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestFailedTransactionLeavesNothing(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	refused := errors.New("refused")
	err := s.InTx(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.CreateFleet(t.Context(), "default"); err != nil {
			return err
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Fatalf("got %v, want the error of the function", err)
	}
	storetest.Fleet(t, s, "default")
}

func TestDeadlockIsRunAgain(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	one, two := storetest.Fleet(t, s, "one"), storetest.Fleet(t, s, "two")
	// Each holds its first lock before either asks for its second. Only the first attempts meet.
	var both sync.WaitGroup
	both.Add(2)
	lockInOrder := func(first, second store.Fleet) error {
		attempts := 0
		return s.InTx(t.Context(), func(tx *store.Tx) error {
			attempts++
			if _, err := tx.LockHead(t.Context(), first.ID); err != nil {
				return err
			}
			if attempts == 1 {
				both.Done()
				both.Wait()
			}
			_, err := tx.LockHead(t.Context(), second.ID)
			return err
		})
	}
	var lockers errgroup.Group
	lockers.Go(func() error { return lockInOrder(one, two) })
	lockers.Go(func() error { return lockInOrder(two, one) })
	if err := lockers.Wait(); err != nil {
		t.Fatal(err)
	}
}

func TestWatcherSignalsWhatCommitted(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	watched, other := storetest.Fleet(t, s, "watched"), storetest.Fleet(t, s, "other")
	watcher := store.NewWatcher(s, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(t.Context())
	var running errgroup.Group
	running.Go(func() error { return watcher.Run(ctx) })
	defer func() {
		stop()
		if err := running.Wait(); err != nil {
			t.Error(err)
		}
	}()

	heads, cancelHeads := watcher.Heads(watched.ID)
	defer cancelHeads()
	rollouts, cancelRollouts := watcher.Rollouts()
	defer cancelRollouts()
	await(t, heads, "everybody is signalled when the watcher begins")
	await(t, rollouts, "everybody is signalled when the watcher begins")

	raise := func(fleet store.Fleet) {
		t.Helper()
		err := s.InTx(t.Context(), func(tx *store.Tx) error {
			if _, err := tx.LockHead(t.Context(), fleet.ID); err != nil {
				return err
			}
			_, err := tx.RaiseGeneration(t.Context(), fleet.ID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	raise(watched)
	await(t, heads, "a head that was raised")
	raise(other)
	// Rollouts of all fleets share a topic, and a poll that sees any head change signals it.
	await(t, rollouts, "a head of any fleet that was raised")
}

func await(t *testing.T, signals <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-signals:
	case <-time.After(5 * time.Second):
		t.Fatalf("no signal: %s", what)
	}
}

func TestRequestHasOneEffect(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	request := store.Request{Actor: "token/ada", Key: "k1", Hash: []byte("create default")}
	effects := 0
	create := func(ctx context.Context) (store.Answer, error) {
		effects++
		err := s.InTx(ctx, func(tx *store.Tx) error {
			_, err := tx.CreateFleet(ctx, "default")
			return err
		})
		return store.Answer{Body: []byte("made"), Headers: map[string]string{"ETag": `"1"`}}, err
	}
	for repetition := range 3 {
		answer, replayed, err := s.Once(t.Context(), request, create)
		if err != nil {
			t.Fatal(err)
		}
		if string(answer.Body) != "made" || answer.Headers["ETag"] != `"1"` || replayed != (repetition > 0) {
			t.Errorf("repetition %d: answer %+v, replayed %v", repetition, answer, replayed)
		}
	}
	if effects != 1 {
		t.Errorf("%d effects, want 1", effects)
	}
	other := request
	other.Hash = []byte("create another")
	if _, _, err := s.Once(t.Context(), other, create); !errors.Is(err, store.ErrOtherRequest) {
		t.Errorf("the same key with another request: %v, want ErrOtherRequest", err)
	}
	request.Key = "k2"
	if _, _, err := s.Once(t.Context(), request, create); !errors.Is(err, store.ErrExists) {
		t.Errorf("another key: %v, want the effect's own error", err)
	}
}

func TestRepetitionWaitsForTheFirst(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	request := store.Request{Actor: "token/ada", Key: "k", Hash: []byte("h")}
	var group errgroup.Group
	replays := make(chan bool, 8)
	for range cap(replays) {
		group.Go(func() error {
			_, replayed, err := s.Once(t.Context(), request, func(ctx context.Context) (store.Answer, error) {
				return store.Answer{Body: []byte("made")}, s.InTx(ctx, func(tx *store.Tx) error {
					_, err := tx.CreateFleet(ctx, "default")
					return err
				})
			})
			replays <- replayed
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	close(replays)
	effects := 0
	for replayed := range replays {
		if !replayed {
			effects++
		}
	}
	if effects != 1 {
		t.Errorf("%d effects, want 1", effects)
	}
}
