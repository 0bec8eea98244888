package config_test

import (
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/config"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestWhatIsWrongWithACertificateToObtainIsNamed(t *testing.T) {
	t.Parallel()
	cert, key := pair(t, "a.example", time.Now().Add(24*time.Hour))
	cases := []struct {
		name string
		spec *configv1.Certificate
		want string
	}{
		{
			"both ways", &configv1.Certificate{CertificatePem: cert, PrivateKeyPem: key, ServerNames: []string{"a.example"}, Acme: &configv1.Acme{}},
			"certificates/shop spec.acme certificate.acme\ncertificates/shop spec.private_key_pem certificate.acme",
		},
		{"no name", &configv1.Certificate{Acme: &configv1.Acme{}}, "certificates/shop spec.server_names required"},
		{"a wildcard", obtain("*.example.com"), "certificates/shop spec.server_names[0] certificate.acme"},
		{"an address", obtain("192.0.2.7"), "certificates/shop spec.server_names[0] certificate.acme"},
		{"a name without a domain", obtain("a.example", "localhost"), "certificates/shop spec.server_names[1] certificate.acme"},
		{"a name with a port", obtain("a.example:80"), "certificates/shop spec.server_names[0] certificate.acme"},
		{"a name twice", obtain("a.example", "A.example"), "certificates/shop spec.server_names[1] duplicate"},
		{
			"a directory without TLS", with(obtain("a.example"), func(a *configv1.Acme) { a.Directory = "http://ca.example/dir" }),
			"certificates/shop spec.acme.directory acme.directory",
		},
		{
			"a strange email", with(obtain("a.example"), func(a *configv1.Acme) { a.Email = "nobody" }),
			"certificates/shop spec.acme.email acme.email",
		},
		{
			"no PEM", with(obtain("a.example"), func(a *configv1.Acme) { a.CaPem = "hello" }),
			"certificates/shop spec.acme.ca_pem pem",
		},
	}
	b := newBench(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := b.Upsert(t.Context(), actor, fleet, shop(c.spec), config.WriteOptions{})
			if got := rules(t, err); got != c.want {
				t.Errorf("violations %q, want %q", got, c.want)
			}
		})
	}
}

func obtain(names ...string) *configv1.Certificate {
	return &configv1.Certificate{ServerNames: names, Acme: &configv1.Acme{}}
}

func with(spec *configv1.Certificate, change func(*configv1.Acme)) *configv1.Certificate {
	change(spec.Acme)
	return spec
}

func shop(spec *configv1.Certificate) config.Resource {
	return config.Resource{Kind: configv1.Kind_KIND_CERTIFICATE, Name: "shop", Spec: spec}
}

func (b *bench) put(spec *configv1.Certificate) config.Resource {
	b.t.Helper()
	written, err := b.Upsert(b.t.Context(), actor, fleet, shop(spec), config.WriteOptions{})
	if err != nil {
		b.t.Fatal(err)
	}
	return written.Resource
}

// issued says whether the fast lane holds something that was obtained, or given before, for the certificate.
func (b *bench) issued() bool {
	b.t.Helper()
	key := revision.Key{Kind: configv1.Kind_KIND_ISSUED_CERTIFICATE, Name: "shop"}
	var found map[revision.Key]store.LaneVersion
	err := b.store.View(b.t.Context(), func(tx *store.Tx) (err error) {
		found, err = tx.Lane(b.t.Context(), b.fleet.ID, []revision.Key{key})
		return err
	})
	if err != nil {
		b.t.Fatal(err)
	}
	version, ok := found[key]
	return ok && !version.Deleted
}

func TestACertificateIsGivenOrObtainedAndMayChange(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	obtained := b.put(obtain("a.example"))
	if obtained.State != config.StatePending || obtained.Issuance == nil || obtained.Issuance.State != store.ACMEPending {
		t.Errorf("state %q, issuance %+v", obtained.State, obtained.Issuance)
	}
	if b.issued() {
		t.Error("something was obtained already")
	}

	later := time.Now().Add(24 * time.Hour).Truncate(time.Second)
	cert, key := pair(t, "a.example", later)
	given := b.put(&configv1.Certificate{CertificatePem: cert, PrivateKeyPem: key})
	if given.State != config.StateServing || given.Issuance != nil {
		t.Errorf("state %q, issuance %+v", given.State, given.Issuance)
	}

	// What was given stays until the first is obtained, and its end is known.
	again := b.put(obtain("a.example"))
	if !b.issued() || again.State != config.StateServing || !again.NotAfter.Equal(later) {
		t.Errorf("issued %v, state %q until %v", b.issued(), again.State, again.NotAfter)
	}
	if proto.Equal(again.Spec, given.Spec) || again.Spec.(*configv1.Certificate).GetPrivateKeyPem() != "" {
		t.Errorf("spec %v", again.Spec)
	}
	if _, err := b.Delete(t.Context(), actor, fleet, configv1.Kind_KIND_CERTIFICATE, "shop", config.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if b.issued() {
		t.Error("the key outlived the certificate")
	}
	if claimed(t, b) {
		t.Error("a deleted certificate is still obtained")
	}
}

// claimed says whether there is anything to obtain.
func claimed(t *testing.T, b *bench) bool {
	t.Helper()
	err := b.store.InTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.ClaimACME(t.Context(), "test", time.Minute)
		return err
	})
	return err == nil
}

func TestOnlyWhatIsObtainedIsObtainedAnew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	cert, key := pair(t, "a.example", time.Now().Add(24*time.Hour))
	b.put(&configv1.Certificate{CertificatePem: cert, PrivateKeyPem: key})
	_, err := b.RenewCertificate(t.Context(), fleet, "shop")
	if got := rules(t, err); got != "certificates/shop spec.acme certificate.acme" {
		t.Errorf("violations %q", got)
	}
	if _, err := b.RenewCertificate(t.Context(), fleet, "other"); !errors.Is(err, store.ErrNotFound) {
		t.Error(err)
	}
	b.put(obtain("a.example"))
	if found, err := b.RenewCertificate(t.Context(), fleet, "shop"); err != nil || found.Issuance.DueAt.After(time.Now().Add(time.Second)) {
		t.Errorf("%+v, %v", found.Issuance, err)
	}
}
