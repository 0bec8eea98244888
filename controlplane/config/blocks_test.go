package config_test

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"tidegate.dev/controlplane/config"
	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestWhatABlockMaySay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(`consumers/acme {}`)
	for text, want := range map[string]string{
		`blocks/a {"addresses": ["192.0.2.7", "192.0.2.0/24", "2001:db8::/32"], "reason": "r"}`: "",
		`blocks/a {"consumer": "acme", "reason": "r"}`:                                          "",
		`blocks/a {"addresses": ["0.0.0.0/0", "::/0"], "reason": "r", "wide": true}`:            "",
		`blocks/a {"addresses": ["0.0.0.0/0"], "reason": "r"}`:                                  "blocks/a spec.addresses[0] block.wide",
		`blocks/a {"addresses": ["128.0.0.0/1"], "reason": "r"}`:                                "blocks/a spec.addresses[0] block.wide",
		`blocks/a {"addresses": ["2000::/3"], "reason": "r"}`:                                   "blocks/a spec.addresses[0] block.wide",
		`blocks/a {"addresses": ["192.0.2.1/24"], "reason": "r"}`:                               "blocks/a spec.addresses[0] block.address",
		`blocks/a {"addresses": ["example.com"], "reason": "r"}`:                                "blocks/a spec.addresses[0] block.address",
		`blocks/a {"addresses": ["::ffff:192.0.2.0/120"], "reason": "r"}`:                       "blocks/a spec.addresses[0] block.wide",
		`blocks/a {"addresses": ["192.0.2.7"]}`:                                                 "blocks/a spec.reason string.min_len",
		`blocks/a {"reason": "r"}`:                                                              "blocks/a spec block.whom",
		`blocks/a {"addresses": ["192.0.2.7"], "consumer": "acme", "reason": "r"}`:              "blocks/a spec block.whom",
		`blocks/a {"consumer": "nobody", "reason": "r"}`:                                        "blocks/a spec.consumer reference.missing",
		`blocks/a {"consumer": "acme", "reason": "r", "expires_at": "2001-01-01T00:00:00Z"}`:    "blocks/a spec.expires_at expired",
		`blocks/a {"consumer": "acme", "reason": "r", "expires_at": "tomorrow"}`:                "blocks/a spec.expires_at block.expires_at",
	} {
		_, err := b.try(text)
		if want == "" && err == nil {
			continue
		}
		if got := rules(t, err); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	// Who is blocked stays known as long as the block is.
	b.apply(`blocks/a {"consumer": "acme", "reason": "r"}`)
	_, err := b.Delete(t.Context(), actor, fleet, configv1.Kind_KIND_CONSUMER, "acme", config.WriteOptions{})
	if got := rules(t, err); got != "consumers/acme  reference.in_use" {
		t.Errorf("deleting a blocked consumer: %q", got)
	}
	if _, err := b.Delete(t.Context(), actor, fleet, configv1.Kind_KIND_BLOCK, "a", config.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Delete(t.Context(), actor, fleet, configv1.Kind_KIND_CONSUMER, "acme", config.WriteOptions{}); err != nil {
		t.Errorf("deleting the consumer afterwards: %v", err)
	}
}

func TestABlockIsLiftedWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	soon := time.Now().Add(2 * time.Second).UTC().Format(time.RFC3339Nano)
	b.apply(
		fmt.Sprintf(`blocks/short {"addresses": ["192.0.2.7"], "reason": "r", "expires_at": %q}`, soon),
		fmt.Sprintf(`blocks/renewed {"addresses": ["192.0.2.8"], "reason": "r", "expires_at": %q}`, soon),
		fmt.Sprintf(`blocks/long {"addresses": ["192.0.2.9"], "reason": "r", "expires_at": %q}`, time.Now().Add(time.Hour).UTC().Format(time.RFC3339)),
		`blocks/ever {"addresses": ["192.0.2.10"], "reason": "r"}`,
	)
	b.apply(`blocks/renewed {"addresses": ["192.0.2.8"], "reason": "r"}`)
	expiry := config.NewExpiry(b.store, slog.New(slog.DiscardHandler))
	for deadline, lifted := time.Now().Add(time.Minute), 0; lifted == 0; {
		var err error
		if lifted, err = expiry.Lift(t.Context()); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was lifted within a minute")
		}
	}
	if _, err := b.Get(t.Context(), fleet, configv1.Kind_KIND_BLOCK, "short", ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the block whose time is over: %v", err)
	}
	for _, name := range []string{"renewed", "long", "ever"} {
		b.get("blocks", name)
	}
	err := b.store.View(t.Context(), func(tx *store.Tx) error {
		events, err := tx.AuditEvents(t.Context(), store.AuditFilter{Action: "block.expire"}, 10)
		if err == nil && (len(events) != 1 || events[0].Resource != "blocks/short" || events[0].Actor != "tidegate") {
			t.Errorf("audit: %+v", events)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
