package config_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tidegate.dev/controlplane/config"
	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// A whole request is one transaction with the record of its Idempotency-Key, whatever rooms it passes.
func TestWriteHasOneEffectForOneIdempotencyKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	request := store.Request{Actor: actor, Key: "k", Hash: []byte("hash of the request")}
	write := func(ctx context.Context) (store.Answer, error) {
		written, err := b.Create(ctx, actor, fleet, parse(t, ordersService), config.WriteOptions{})
		if err != nil {
			return store.Answer{}, err
		}
		// What was written is seen by whoever reads within the same request.
		if _, err := b.Get(ctx, fleet, configv1.Kind_KIND_SERVICE, "orders", ""); err != nil {
			return store.Answer{}, err
		}
		return store.Answer{Body: fmt.Appendf(nil, "revision %d", written.Published.Revision)}, nil
	}
	for repetition := range 2 {
		answer, replayed, err := b.store.Once(t.Context(), request, write)
		if err != nil || string(answer.Body) != "revision 1" || replayed != (repetition == 1) {
			t.Errorf("repetition %d: %q, replayed %v, %v", repetition, answer.Body, replayed, err)
		}
	}
	request.Key = "another"
	failing := func(ctx context.Context) (store.Answer, error) {
		if _, err := b.Upsert(ctx, actor, fleet, parse(t, `services/other {"url":"http://o"}`), config.WriteOptions{}); err != nil {
			return store.Answer{}, err
		}
		return write(ctx)
	}
	if _, _, err := b.store.Once(t.Context(), request, failing); !errors.Is(err, store.ErrExists) {
		t.Fatalf("a request that fails: %v, want ErrExists", err)
	}
	if _, err := b.Get(t.Context(), fleet, configv1.Kind_KIND_SERVICE, "other", ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the first half of it: %v, want ErrNotFound", err)
	}
}

func TestKeyNeverWaitsForPublish(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(`consumers/acme {}`)
	err := b.store.InTx(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.LockHead(t.Context(), b.fleet.ID); err != nil {
			return err
		}
		// Another connection, while the head is held as a publish holds it.
		key, _, err := b.CreateKey(t.Context(), actor, fleet, "acme", nil)
		if err != nil {
			return err
		}
		_, err = b.RevokeKey(t.Context(), actor, fleet, "acme", key.ID, "", "")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestConnectedAgentMustKnowThePlugin(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	connect := func(name string, types ...string) {
		t.Helper()
		id := fmt.Sprintf("00000000-0000-0000-0000-00000000000%d", len(name))
		err := b.store.InTx(t.Context(), func(tx *store.Tx) error {
			if err := tx.AddAgent(t.Context(), store.AgentIdentity{ID: id, FleetID: b.fleet.ID, Name: name}, nil, tomorrow()); err != nil {
				return err
			}
			_, err := tx.BeginAgentSession(t.Context(), store.AgentHello{ID: id, PluginTypes: types})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	connect("new", "key-auth", "rate-limit")
	connect("older", "key-auth")
	_, err := b.try(`plugins/limit {"type":"rate-limit","config":{"requests":1,"per":"1s"}}`)
	if got := rules(t, err); got != "plugins/limit spec.type capability" || !strings.Contains(err.Error(), "older") {
		t.Errorf("violations %q: %v", got, err)
	}
	b.apply(`plugins/auth {"type":"key-auth"}`)
}

func TestTakingMostRoutesAwayWarns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	texts := []string{ordersService}
	for i := range 20 {
		texts = append(texts, fmt.Sprintf(`routes/r%d {"service":"orders","match":{"paths":["/%d"]}}`, i, i))
	}
	b.apply(texts...)
	cut, err := b.Apply(t.Context(), actor, fleet, config.ApplyOptions{
		Resources: b.resources(texts[:6]...), PruneKinds: []configv1.Kind{configv1.Kind_KIND_ROUTE}, ValidateOnly: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(cut.Warnings) != 1 || cut.Warnings[0].Message != "deletes 15 of the 20 routes" {
		t.Errorf("warnings %v", cut.Warnings)
	}
}

func tomorrow() time.Time { return time.Now().Add(24 * time.Hour) }
