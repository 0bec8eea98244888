package store_test

import (
	"strings"
	"testing"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/store/storetest"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Whoever asked something of a rollout that a newer one took out of the queue must not wait for an answer that never comes.
func TestCommandsForASupersededRolloutAreAnswered(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	f := storetest.Fleet(t, s, "edge")
	queue := func(tx *store.Tx, revision int64) int64 {
		id, err := tx.QueueRollout(t.Context(), store.QueuedRollout{
			FleetID: f.ID, Revision: revision, Strategy: "s", Spec: []byte{}, Author: "ada",
		})
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	for _, name := range []string{"orders", "users"} {
		commit(t, s, f, upsert(t, service(name), &configv1.Service{Url: "http://127.0.0.1"}, nil))
	}
	err := s.InTx(t.Context(), func(tx *store.Tx) error {
		former := queue(tx, 1)
		command, err := tx.AskRollout(t.Context(), f.ID, store.RolloutCommand{RolloutID: former, Command: "abort", Actor: "bob"})
		if err != nil {
			return err
		}
		queue(tx, 2)
		answered, err := tx.RolloutCommandByID(t.Context(), command)
		if err != nil {
			return err
		}
		if answered.DoneAt == nil || !strings.Contains(answered.Result, store.RolloutSuperseded) {
			t.Errorf("the command is answered at %v with %q", answered.DoneAt, answered.Result)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
