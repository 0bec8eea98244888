package keyring_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/local/pgtest"
	"tidegate.dev/controlplane/store"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func openStore(t *testing.T) *store.Store {
	t.Helper()
	url, _ := pgtest.Schema(t)
	s, err := store.Open(t.Context(), store.Config{DatabaseURL: url, MaxConnections: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

func openKeyring(t *testing.T, s *store.Store, file string) *keyring.Keyring {
	t.Helper()
	k, err := keyring.Open(t.Context(), s, file, true)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestTheSameKeysComeBack(t *testing.T) {
	t.Parallel()
	s, file := openStore(t), filepath.Join(t.TempDir(), "master.json")
	first := openKeyring(t, s, file)
	second, err := keyring.Open(t.Context(), s, file, false)
	if err != nil {
		t.Fatal(err)
	}
	if first.Authority().Pin() != second.Authority().Pin() {
		t.Error("the authority changed")
	}
	if string(first.KeyHash("tg_x")) != string(second.KeyHash("tg_x")) || len(first.KeyHash("tg_x")) != 32 {
		t.Error("the keyed hash changed")
	}
	if string(first.KeyHash("tg_x")) == string(first.KeyHash("tg_y")) {
		t.Error("two keys have one hash")
	}
	tickets := func(k *keyring.Keyring, fleet int64) string {
		secret, err := k.SessionTicketSecret(fleet)
		if err != nil || len(secret) != 32 {
			t.Fatalf("a secret of %d bytes, %v", len(secret), err)
		}
		return string(secret)
	}
	if tickets(first, 1) != tickets(second, 1) || tickets(first, 1) == tickets(first, 2) {
		t.Error("the secret of session tickets is not one for each fleet")
	}
	sealed, err := first.Seal([]byte("secret"), keyring.ResourceContext(1, configv1.Kind_KIND_SECRET, "a"))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := second.Unseal(sealed, keyring.ResourceContext(1, configv1.Kind_KIND_SECRET, "a"))
	if err != nil || string(plain) != "secret" {
		t.Errorf("unsealed %q, %v", plain, err)
	}
	for _, elsewhere := range [][]byte{
		keyring.ResourceContext(2, configv1.Kind_KIND_SECRET, "a"),
		keyring.ResourceContext(1, configv1.Kind_KIND_CERTIFICATE, "a"),
		keyring.ResourceContext(1, configv1.Kind_KIND_SECRET, "b"),
	} {
		if _, err := second.Unseal(sealed, elsewhere); err == nil {
			t.Errorf("the sealed value opened in another place, %q", elsewhere)
		}
	}
}

func TestReplicasThatStartTogetherShareTheirKeys(t *testing.T) {
	t.Parallel()
	s, file := openStore(t), filepath.Join(t.TempDir(), "master.json")
	pins := make([]string, 6)
	var group sync.WaitGroup
	for i := range pins {
		group.Go(func() {
			k, err := keyring.Open(t.Context(), s, file, true)
			if err != nil {
				t.Error(err)
				return
			}
			id, _ := k.SigningKey()
			pins[i] = k.Authority().Pin() + id + hex.EncodeToString(k.KeyHashKey())
		})
	}
	group.Wait()
	for _, pin := range pins {
		if pin != pins[0] {
			t.Fatal("replicas have different keys")
		}
	}
}

func TestTheMasterKeyFileIsGuarded(t *testing.T) {
	t.Parallel()
	s, folder := openStore(t), t.TempDir()
	file := filepath.Join(folder, "master.json")
	if _, err := keyring.Open(t.Context(), s, file, false); err == nil {
		t.Fatal("keys appeared though making them was not asked for")
	}
	openKeyring(t, s, file)
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(folder); len(entries) != 1 {
		t.Errorf("something was left beside the file: %v", entries)
	}

	other := filepath.Join(t.TempDir(), "master.json")
	if _, err := keyring.Open(t.Context(), s, other, true); err == nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a new master key was made for a database that has keys: %v", err)
	}
	openKeyring(t, openStore(t), other)
	if _, err := keyring.Open(t.Context(), s, other, false); err == nil || !strings.Contains(err.Error(), "another control plane") {
		t.Errorf("another control plane's master key was taken: %v", err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Open(t.Context(), s, file, false); err == nil || !strings.Contains(err.Error(), "0600") {
		t.Errorf("a file that others may read was taken: %v", err)
	}
	secret := filepath.Join(folder, "broken.json")
	if err := os.WriteFile(secret, []byte(`{"key":"hunter2"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Open(t.Context(), s, secret, false); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a broken file: %v", err)
	}
}

func TestASignatureCoversTheMessageAndItsKind(t *testing.T) {
	t.Parallel()
	k := openKeyring(t, openStore(t), filepath.Join(t.TempDir(), "master.json"))
	state := &agentv1.DesiredState{Fleet: "default", Generation: 7}
	signed, err := k.Sign(state)
	if err != nil {
		t.Fatal(err)
	}
	id, public := k.SigningKey()
	if signed.GetKeyId() != id {
		t.Errorf("key id %q, want %q", signed.GetKeyId(), id)
	}
	if !ed25519.Verify(public, agentv1.SignedBytes("tidegate.agent.v1.DesiredState", signed.GetPayload()), signed.GetSignature()) {
		t.Error("the signature does not verify")
	}
	if ed25519.Verify(public, agentv1.SignedBytes("tidegate.agent.v1.LaneBatch", signed.GetPayload()), signed.GetSignature()) {
		t.Error("the signature verifies as another kind of message")
	}
}

func signingRequest(t *testing.T, template *x509.CertificateRequest) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return request, key
}

func TestAnAgentsCertificateSaysOnlyWhoItIs(t *testing.T) {
	t.Parallel()
	k := openKeyring(t, openStore(t), filepath.Join(t.TempDir(), "master.json"))
	request, _ := signingRequest(t, &x509.CertificateRequest{DNSNames: []string{"admin.example.com"}})
	identity := keyring.Identity{Fleet: "default", AgentID: "0b6b0c1e-58a3-4a3f-9d3e-000000000001"}
	chain, notAfter, err := k.Authority().IssueAgent(request, identity, 1000*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	if life := time.Until(leaf.NotAfter); life > keyring.MaxAgentLifetime || life < keyring.MaxAgentLifetime-time.Minute {
		t.Errorf("it lives %v", life)
	}
	if notAfter.Sub(leaf.NotAfter).Abs() > time.Second {
		t.Errorf("reported end %v, real end %v", notAfter, leaf.NotAfter)
	}
	if got := leaf.URIs[0].String(); got != "tidegate://fleets/default/agents/0b6b0c1e-58a3-4a3f-9d3e-000000000001" {
		t.Errorf("URI %s", got)
	}
	if len(leaf.DNSNames) != 0 {
		t.Errorf("the request's names got in: %v", leaf.DNSNames)
	}
	if parsed, err := keyring.ParseIdentity(leaf); err != nil || parsed != identity {
		t.Errorf("parsed %+v, %v", parsed, err)
	}
	options := x509.VerifyOptions{Roots: k.Authority().Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := leaf.Verify(options); err != nil {
		t.Error(err)
	}
	options.KeyUsages = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if _, err := leaf.Verify(options); err == nil {
		t.Error("an agent may pose as the control plane")
	}
}

// A replica's clock and an agent's may differ by the better part of an hour: each accepts what the other shows.
func TestCertificatesAreGoodByClocksThatDiffer(t *testing.T) {
	t.Parallel()
	k := openKeyring(t, openStore(t), filepath.Join(t.TempDir(), "master.json"))
	request, _ := signingRequest(t, &x509.CertificateRequest{})
	chain, _, err := k.Authority().IssueAgent(request, keyring.Identity{Fleet: "default", AgentID: "0b6b0c1e-58a3-4a3f-9d3e-000000000001"}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	server, err := k.Authority().ServerCertificate([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	shown, err := server.Get(nil)
	if err != nil {
		t.Fatal(err)
	}
	for who, der := range map[string][]byte{"the agent": chain[0], "the control plane": shown.Certificate[0]} {
		leaf, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		for _, skew := range []time.Duration{-55 * time.Minute, 0, 55 * time.Minute} {
			options := x509.VerifyOptions{
				Roots: k.Authority().Pool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}, CurrentTime: time.Now().Add(skew),
			}
			if _, err := leaf.Verify(options); err != nil {
				t.Errorf("what %s shows, by a clock that is %s off: %v", who, skew, err)
			}
		}
	}
}

func TestABadSigningRequestIsRefused(t *testing.T) {
	t.Parallel()
	k := openKeyring(t, openStore(t), filepath.Join(t.TempDir(), "master.json"))
	good, _ := signingRequest(t, &x509.CertificateRequest{})
	tampered := append([]byte{}, good...)
	tampered[len(tampered)-1] ^= 1
	weakKey, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, weakKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, request := range map[string][]byte{"empty": nil, "noise": []byte("noise"), "tampered": tampered, "weak": weak} {
		_, _, err := k.Authority().IssueAgent(request, keyring.Identity{Fleet: "f", AgentID: "a"}, time.Hour)
		if !errors.Is(err, keyring.ErrBadRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnlyAnAgentsCertificateHasAnIdentity(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"tidegate://fleets/default/agents/", "tidegate://fleets//agents/a", "tidegate://fleets/default/agents/a/b",
		"https://fleets/default/agents/a", "tidegate://other/default/agents/a", "tidegate://fleets/default/agents/a?x=1",
		"tidegate://fleets/default/users/a",
	} {
		uri, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if identity, err := keyring.ParseIdentity(&x509.Certificate{URIs: []*url.URL{uri}}); err == nil {
			t.Errorf("%s: %+v", text, identity)
		}
	}
	good, _ := url.Parse("tidegate://fleets/default/agents/a")
	if _, err := keyring.ParseIdentity(&x509.Certificate{URIs: []*url.URL{good}, DNSNames: []string{"x"}}); err == nil {
		t.Error("a certificate with another name has an identity")
	}
}

func TestTheServerCertificateVerifiesByEachHost(t *testing.T) {
	t.Parallel()
	k := openKeyring(t, openStore(t), filepath.Join(t.TempDir(), "master.json"))
	server, err := k.Authority().ServerCertificate([]string{"localhost", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	shown, err := server.Get(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(shown.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, host := range []string{"localhost", "127.0.0.1"} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: k.Authority().Pool(), DNSName: host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	if _, err := k.Authority().ServerCertificate(nil); err == nil {
		t.Error("a certificate without a host was made")
	}
}

func FuzzParseIdentity(f *testing.F) {
	f.Add("tidegate://fleets/default/agents/a")
	f.Add("tidegate://fleets/a%2Fb/agents/c")
	f.Fuzz(func(t *testing.T, text string) {
		uri, err := url.Parse(text)
		if err != nil {
			return
		}
		identity, err := keyring.ParseIdentity(&x509.Certificate{URIs: []*url.URL{uri}})
		if err == nil && identity.URI().String() != uri.String() {
			t.Errorf("%q became %+v", text, identity)
		}
	})
}
