package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"tidegate.dev/controlplane/config"
	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func wellFormed(secret string) bool {
	_, ok := configv1.ParseAPIKey(secret)
	return ok
}

func TestKeyIsShownOnceAndKeptAsHash(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(`consumers/acme {}`)
	key, secret, err := b.CreateKey(t.Context(), actor, fleet, "acme", &configv1.Key{Scopes: []string{"read"}, Description: "for tests"})
	if err != nil {
		t.Fatal(err)
	}
	if !wellFormed(secret) || len(secret) != 3+43+6 || secret[3:11] != key.ID {
		t.Errorf("a key of id %s and length %d is not of the promised form", key.ID, len(secret))
	}
	if key.State != config.KeyActive || key.Consumer != "acme" || key.Sequence != 2 || key.ETag != `"s2"` || key.Spec.GetScopes()[0] != "read" {
		t.Errorf("key %+v", key)
	}
	var stored []store.LaneChange
	err = b.store.View(t.Context(), func(tx *store.Tx) error {
		stored, err = tx.LaneChanges(t.Context(), b.fleet.ID, 1, false, 10)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(stored) != 1 || len(stored[0].KeyHash) != 32 || stored[0].Owner != "acme" || strings.Contains(fmt.Sprintf("%q", stored[0].Body), secret[11:]) {
		t.Errorf("stored %+v", stored)
	}
	if _, _, err := b.CreateKey(t.Context(), actor, fleet, "nobody", nil); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a key for nobody: %v, want ErrNotFound", err)
	}
	if _, _, err := b.CreateKey(t.Context(), actor, fleet, "acme", &configv1.Key{ExpiresAt: "2001-01-01T00:00:00Z"}); rules(t, err) != "keys spec.expires_at expired" {
		t.Errorf("a key that has expired: %v", err)
	}
}

func TestRevokedKeyIsGone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(`consumers/acme {}`, `consumers/other {}`)
	key, _, err := b.CreateKey(t.Context(), actor, fleet, "acme", &configv1.Key{Description: "lost"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.RevokeKey(t.Context(), actor, fleet, "other", key.ID, "", ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("through another consumer: %v, want ErrNotFound", err)
	}
	revoked, err := b.RevokeKey(t.Context(), actor, fleet, "acme", key.ID, "leaked", key.ETag)
	if err != nil {
		t.Fatal(err)
	}
	if revoked.State != config.KeyRevoked || revoked.RevokedAt == nil || revoked.Spec.GetDescription() != "lost" || !revoked.CreatedAt.Equal(key.CreatedAt) {
		t.Errorf("revoked %+v", revoked)
	}
	if _, err := b.RevokeKey(t.Context(), actor, fleet, "acme", key.ID, "", ""); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("revoking again: %v, want ErrNotFound", err)
	}
	keys, _, err := b.Keys(t.Context(), fleet, "acme", config.ListOptions{})
	if err != nil || len(keys) != 0 {
		t.Errorf("keys afterwards: %v, %v", keys, err)
	}
	if again, err := b.Key(t.Context(), fleet, "acme", key.ID); err != nil || again.State != config.KeyRevoked {
		t.Errorf("the key afterwards: %+v, %v", again, err)
	}
}

func TestRotatedKeyLivesForTheOverlap(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(`consumers/acme {}`)
	old, _, err := b.CreateKey(t.Context(), actor, fleet, "acme", &configv1.Key{Scopes: []string{"read"}})
	if err != nil {
		t.Fatal(err)
	}
	successor, secret, err := b.RotateKey(t.Context(), actor, fleet, "acme", old.ID, time.Hour, "")
	if err != nil {
		t.Fatal(err)
	}
	if !wellFormed(secret) || successor.ID == old.ID || successor.Spec.GetScopes()[0] != "read" || successor.Spec.GetExpiresAt() != "" {
		t.Errorf("successor %+v", successor)
	}
	if old, err = b.Key(t.Context(), fleet, "acme", old.ID); err != nil {
		t.Fatal(err)
	}
	ends, err := time.Parse(time.RFC3339, old.Spec.GetExpiresAt())
	if err != nil || old.State != config.KeyActive || time.Until(ends) > time.Hour+time.Minute || time.Until(ends) < 50*time.Minute {
		t.Errorf("the old key is %s until %q (%v)", old.State, old.Spec.GetExpiresAt(), err)
	}
	if _, _, err = b.RotateKey(t.Context(), actor, fleet, "acme", successor.ID, 0, ""); err != nil {
		t.Fatal(err)
	}
	if successor, err = b.Key(t.Context(), fleet, "-", successor.ID); err != nil || successor.State != config.KeyExpired {
		t.Errorf("rotated without overlap: %s, %v; want expired", successor.State, err)
	}
}

func TestConsumerTakesItsKeysAlong(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(`consumers/acme {}`, `consumers/other {}`)
	for _, consumer := range []string{"acme", "acme", "other"} {
		if _, _, err := b.CreateKey(t.Context(), actor, fleet, consumer, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Delete(t.Context(), actor, fleet, configv1.Kind_KIND_CONSUMER, "acme", config.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	b.apply(`consumers/acme {}`)
	all, _, err := b.Keys(t.Context(), fleet, config.AnyConsumer, config.ListOptions{})
	if err != nil || len(all) != 1 || all[0].Consumer != "other" {
		t.Errorf("keys that are left: %+v, %v; want that of other", all, err)
	}
}

// pair makes a self-signed certificate.
func pair(t *testing.T, name string, notAfter time.Time) (certificatePEM, keyPEM string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: notAfter.Add(-24 * time.Hour), NotAfter: notAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}))
}

func certificate(certificatePEM, keyPEM string) config.Resource {
	return config.Resource{
		Kind: configv1.Kind_KIND_CERTIFICATE, Name: "shop",
		Spec: &configv1.Certificate{CertificatePem: certificatePEM, PrivateKeyPem: keyPEM},
	}
}

func TestCertificateAndKeyBelongTogether(t *testing.T) {
	t.Parallel()
	later := time.Now().Add(24 * time.Hour)
	cert, key := pair(t, "a.example", later)
	_, otherKey := pair(t, "b.example", later)
	old, oldKey := pair(t, "c.example", time.Now().Add(-time.Hour))
	cases := []struct{ name, certificate, key, want string }{
		{"no certificate", "", key, "certificates/shop spec.certificate_pem required"},
		{"no PEM", "hello", key, "certificates/shop spec.certificate_pem pem"},
		{"a key for a certificate", key, key, "certificates/shop spec.certificate_pem pem"},
		{"no key", cert, "", "certificates/shop spec.private_key_pem certificate.key"},
		{"another's key", cert, otherKey, "certificates/shop spec.private_key_pem certificate.key"},
		{"one that has expired", old, oldKey, "certificates/shop spec.certificate_pem expired"},
	}
	b := newBench(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := b.Upsert(t.Context(), actor, fleet, certificate(c.certificate, c.key), config.WriteOptions{})
			if got := rules(t, err); got != c.want {
				t.Errorf("violations %q, want %q", got, c.want)
			}
		})
	}
}

func TestPrivatePartsAreSealedAndNeverShown(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	later := time.Now().Add(24 * time.Hour)
	cert, key := pair(t, "a.example", later)
	const value = "a-very-secret-value"
	secret := config.Resource{Kind: configv1.Kind_KIND_SECRET, Name: "token", Spec: &configv1.Secret{Value: value}}
	set := b.draft()
	if _, err := b.EditChangeSet(t.Context(), actor, fleet, set.ID, []config.Edit{{Resource: secret}, {Resource: certificate(cert, key)}}, ""); err != nil {
		t.Fatal(err)
	}
	diff, err := b.DiffChangeSet(t.Context(), fleet, set.ID)
	if err != nil {
		t.Fatal(err)
	}
	draft, err := b.ChangeSet(t.Context(), fleet, set.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.PublishChangeSet(t.Context(), actor, fleet, set.ID, "", "", config.PublishOptions{}); err != nil {
		t.Fatal(err)
	}
	shop := b.get("certificates", "shop")
	for what, shown := range map[string]any{"diff": diff, "draft": draft, "certificate": shop, "secret": b.get("secrets", "token")} {
		if text := fmt.Sprintf("%+v", shown); strings.Contains(text, value) || strings.Contains(text, "PRIVATE KEY") {
			t.Errorf("%s shows a private part", what)
		}
	}
	if !shop.NotAfter.Equal(later.Truncate(time.Second)) {
		t.Errorf("the certificate ends %s, want %s", shop.NotAfter, later)
	}
	// What was read can be written back.
	if same, err := b.Upsert(t.Context(), actor, fleet, shop, config.WriteOptions{}); err != nil || same.Resource.ETag != shop.ETag {
		t.Errorf("writing back what was read: %+v, %v; want no change", same.Resource, err)
	}
	checkSealed(t, b, value)
}

// checkSealed: what lies in the database is opened with the keyring alone, and only in its place.
func checkSealed(t *testing.T, b *bench, value string) {
	t.Helper()
	var stored []store.LaneChange
	err := b.store.View(t.Context(), func(tx *store.Tx) error {
		var err error
		stored, err = tx.LaneChanges(t.Context(), b.fleet.ID, 0, true, 10)
		return err
	})
	if err != nil || len(stored) != 2 {
		t.Fatalf("stored %d, %v; want 2", len(stored), err)
	}
	for _, change := range stored {
		if body := string(change.Body); strings.Contains(body, value) || strings.Contains(body, "PRIVATE KEY") || strings.Contains(body, "a.example") {
			t.Errorf("%s/%s is not sealed", change.Kind.Collection(), change.Name)
		}
		if len(keyring.ResourceContext(b.fleet.ID, change.Kind, change.Name)) == 0 {
			t.Error("no context")
		}
	}
}
