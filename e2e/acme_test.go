package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// issuance is what the API says of a certificate that is obtained.
type issuance struct {
	State    string    `json:"state"`
	NotAfter time.Time `json:"not_after"`
	Issuance struct {
		State     string    `json:"state"`
		Error     string    `json:"error"`
		Failures  int       `json:"failures"`
		RenewTime time.Time `json:"renew_time"`
		Issuer    string    `json:"issuer"`
	} `json:"issuance"`
}

const shopCertificate = "/v1/fleets/default/certificates/shop"

func awaitIssuance(t *testing.T, s *harness.Stack, state string) issuance {
	t.Helper()
	var is issuance
	harness.Eventually(t, 20*time.Second, "the certificate is "+state, func() error {
		is = issuance{}
		if r := s.Admin(http.MethodGet, shopCertificate, nil, &is); is.Issuance.State != state {
			return fmt.Errorf("%d %s", r.Status, r.Body)
		}
		return nil
	})
	return is
}

// shown is the certificate that an agent shows for a name to somebody who trusts the roots.
func shown(t *testing.T, agent harness.Agent, name string, roots *x509.CertPool) (*x509.Certificate, error) {
	t.Helper()
	dialer := &tls.Dialer{Config: &tls.Config{ServerName: name, RootCAs: roots}}
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(agent.TLS, "https://"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0], nil
}

// A certificate with two names is proved by way of one agent, and shown by all.
func TestACertificateIsObtainedByACME(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{})
	a := newAuthority(t, s.Ready.Agents[1], 60)
	names := []string{"shop.example", "www.shop.example"}
	if r := s.Admin(http.MethodPut, shopCertificate, a.certificate("shop", "default", "", names...), nil); r.Status != http.StatusOK {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	is := awaitIssuance(t, s, "issued")
	if left := time.Until(is.NotAfter); left < 89*24*time.Hour || is.State != "serving" || is.Issuance.Issuer == "" {
		t.Errorf("%+v", is)
	}
	roots := a.roots()
	for _, agent := range s.Ready.Agents {
		for _, name := range names {
			harness.Eventually(t, 10*time.Second, agent.Name+" shows it", func() error {
				_, err := shown(t, agent, name, roots)
				return err
			})
		}
		if _, err := shown(t, agent, "other.example", roots); err == nil {
			t.Errorf("%s shows it for another name", agent.Name)
		}
		if r := mustGet(t, agent.Proxy+"/.well-known/acme-challenge/unknown"); r.Status == http.StatusOK {
			t.Errorf("%s answers a challenge that there is not: %q", agent.Name, r.Body)
		}
	}
	if out := s.MustCLI("get", "certificates"); !strings.Contains(out, "issued") || !strings.Contains(out, "in 89d") {
		t.Errorf("the list of certificates does not say how it stands: %s", out)
	}
	harness.Eventually(t, 15*time.Second, "metrics", func() error {
		r, err := harness.Get(t.Context(), s.Ready.Ops+"/metrics")
		if err != nil || !strings.Contains(r.Body, `tidegate_acme_certificate_state{certificate="shop",fleet="default",state="issued"} 1`) {
			return fmt.Errorf("no state of the certificate, %w", errors.Join(err))
		}
		return nil
	})
	// Another is proved by TLS, where port 80 leads nowhere.
	tlsOnly := a.certificate("tls-only", "default", "tls-alpn-01", "tls.example")
	if r := s.Admin(http.MethodPut, "/v1/fleets/default/certificates/tls-only", tlsOnly, nil); r.Status != http.StatusOK {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	for _, agent := range s.Ready.Agents {
		harness.Eventually(t, 20*time.Second, agent.Name+" shows it", func() error {
			_, err := shown(t, agent, "tls.example", roots)
			return err
		})
	}
	// What was read can be written back, and changes nothing.
	etag := s.Admin(http.MethodGet, shopCertificate, nil, nil).Header.Get("ETag")
	if again := s.Admin(http.MethodPut, shopCertificate, a.certificate("shop", "default", "", names...), nil); again.Header.Get("ETag") != etag {
		t.Errorf("ETag %s became %s", etag, again.Header.Get("ETag"))
	}
	if n := a.orders.Load(); n > 4 { // for two certificates; a nonce may have been refused
		t.Errorf("%d orders", n)
	}
}

// A certificate is renewed in time; without its authority the last one stays, and the reason is told; deleted, it is gone.
func TestACertificateIsRenewedKeptAndForgotten(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 2})
	a := newAuthority(t, s.Ready.Agents[0], 12)
	if r := s.Admin(http.MethodPut, shopCertificate, a.certificate("shop", "short", "", "shop.example"), nil); r.Status != http.StatusOK {
		t.Fatalf("%d %s", r.Status, r.Body)
	}
	awaitIssuance(t, s, "issued")
	roots := a.roots()
	var first, second *x509.Certificate
	var err error
	harness.Eventually(t, 10*time.Second, "an agent shows it", func() error {
		first, err = shown(t, s.Ready.Agents[0], "shop.example", roots)
		return err
	})
	harness.Eventually(t, 30*time.Second, "the agents show another certificate", func() error {
		for _, agent := range s.Ready.Agents {
			if second, err = shown(t, agent, "shop.example", roots); err != nil {
				return err
			}
			if second.SerialNumber.Cmp(first.SerialNumber) == 0 {
				return errors.New("it is still the first")
			}
		}
		return nil
	})

	a.down.Store(true)
	s.MustCLI("certificate", "renew", "shop")
	failed := awaitIssuance(t, s, "failed")
	if failed.Issuance.Failures != 1 || !strings.Contains(failed.Issuance.Error, "Is the directory "+a.server.URL+"/dir up") || failed.State != "serving" {
		t.Errorf("%+v", failed)
	}
	dialer := &tls.Dialer{Config: &tls.Config{ServerName: "shop.example", InsecureSkipVerify: true}} // it may have expired by now
	conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.Ready.Agents[0].TLS, "https://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if kept := conn.(*tls.Conn).ConnectionState().PeerCertificates[0]; kept.SerialNumber.Cmp(second.SerialNumber) != 0 {
		t.Errorf("another certificate is shown: %s, %v", kept.SerialNumber, kept.DNSNames)
	}

	a.down.Store(false)
	orders := a.orders.Load()
	s.MustCLI("delete", "certificate", "shop")
	for _, agent := range s.Ready.Agents {
		harness.Eventually(t, 10*time.Second, agent.Name+" forgets it", func() error {
			conn, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(agent.TLS, "https://"))
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			if names := conn.(*tls.Conn).ConnectionState().PeerCertificates[0].DNSNames; len(names) == 1 && names[0] == "shop.example" {
				return errors.New("it is still shown")
			}
			return nil
		})
	}
	if n := a.orders.Load(); n != orders {
		t.Errorf("%d orders after it was deleted", n-orders)
	}
}

// What is wrong is refused with the field's name; a directory that cannot be reached is told in words.
func TestACMESettingsAreChecked(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	for text, wants := range map[string][]string{
		`{server_names: ["*.shop.example"], acme: {}}`:                               {"server_names[0]", "wildcard"},
		`{server_names: [shop.example], acme: {directory: "http://ca.example/dir"}}`: {"acme.directory", "https"},
		`{server_names: [shop.example]}`:                                             {"certificate_pem"},
		`{acme: {email: nobody}}`:                                                    {"acme.email"},
	} {
		out, code := s.CLIWithInput("fleet: default\ncertificates:\n  - {name: shop, "+text[1:]+"\n", "apply", "-f", "-")
		for _, want := range wants {
			if code == 0 || !strings.Contains(out, want) {
				t.Errorf("%s: exit %d, %q is missing: %s", text, code, want, out)
			}
		}
	}
	s.Apply(`
fleet: default
certificates:
  - name: shop
    server_names: [shop.example]
    acme: {directory: "https://127.0.0.1:1/dir", email: ops@shop.example}
`)
	failed := awaitIssuance(t, s, "failed")
	if failed.State != "pending" || !strings.Contains(failed.Issuance.Error, "https://127.0.0.1:1/dir") {
		t.Errorf("%+v", failed)
	}
}
