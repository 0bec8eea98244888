package e2e_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// signer is an authority, or a certificate that one made.
type signer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newSigner(t *testing.T, parent *signer, template *x509.Certificate) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	from, by := template, key
	if parent != nil {
		from, by = parent.certificate, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, from, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{parsed, key}
}

func newRootSigner(t *testing.T) *signer {
	return newSigner(t, nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
}

func (s *signer) certificatePEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.certificate.Raw}))
}

func (s *signer) keyPEM(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(s.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func (s *signer) pair() tls.Certificate {
	return tls.Certificate{Certificate: [][]byte{s.certificate.Raw}, PrivateKey: s.key}
}

// headersOf is an upstream that shows what it was sent.
func headersOf(t *testing.T) *httptest.Server {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _ = json.NewEncoder(w).Encode(r.Header) }))
	t.Cleanup(up.Close)
	return up
}

// tlsAnswer is what became of a request, and what the upstream saw of it.
type tlsAnswer struct {
	status  int
	seen    http.Header
	resumed bool
}

// overTLS asks over a connection that is opened for a name, and keeps nothing of it but what the client keeps of sessions.
func overTLS(t *testing.T, agent harness.Agent, config *tls.Config, host string) (tlsAnswer, error) {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(agent.TLS, "https://"), config)
	if err != nil {
		return tlsAnswer{}, err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(conn, "GET /orders/7 HTTP/1.1\r\nHost: "+host+"\r\nX-Forwarded-Client-Cert: Hash=spoofed\r\n\r\n"); err != nil {
		return tlsAnswer{}, err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return tlsAnswer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	what := tlsAnswer{status: response.StatusCode, seen: http.Header{}, resumed: conn.ConnectionState().DidResume}
	if what.status == http.StatusOK {
		err = json.NewDecoder(response.Body).Decode(&what.seen)
	}
	return what, err
}

// TestClientsProveWhoTheyAre pushes certificates that ask clients for theirs, and changes them while connections come.
func TestClientsProveWhoTheyAre(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 2})
	up := headersOf(t)
	s.Apply(ordersAt(up.URL))
	authority := newRootSigner(t)
	shop := newSigner(t, authority, &x509.Certificate{DNSNames: []string{"shop.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	open := newSigner(t, authority, &x509.Certificate{DNSNames: []string{"open.example"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	alice := newSigner(t, authority, &x509.Certificate{
		Subject: pkix.Name{CommonName: "alice"}, URIs: []*url.URL{{Scheme: "spiffe", Host: "acme", Path: "/alice"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}).pair()
	mallory := newSigner(t, newRootSigner(t), &x509.Certificate{
		Subject: pkix.Name{CommonName: "mallory"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}).pair()
	push := func(name string, of *signer, auth map[string]any) {
		t.Helper()
		spec := map[string]any{"certificate_pem": of.certificatePEM(), "private_key_pem": of.keyPEM(t)}
		if auth != nil {
			spec["client_auth"] = auth
		}
		if r := s.Admin(http.MethodPut, "/v1/fleets/default/certificates/"+name, map[string]any{"name": name, "spec": spec}, nil); r.Status != http.StatusOK {
			t.Fatalf("pushing a certificate: %d %s", r.Status, r.Body)
		}
	}
	push("open", open, nil)
	push("shop", shop, map[string]any{"ca_pem": authority.certificatePEM(), "mode": "request"})
	roots := x509.NewCertPool()
	roots.AddCert(authority.certificate)
	config := func(name string, client *tls.Certificate) *tls.Config {
		c := &tls.Config{ServerName: name, RootCAs: roots}
		if client != nil {
			c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return client, nil }
		}
		return c
	}
	for _, agent := range s.Ready.Agents {
		harness.Eventually(t, 10*time.Second, "the certificate is pushed", func() error {
			_, err := overTLS(t, agent, config("shop.example", nil), "shop.example")
			return err
		})
		got, err := overTLS(t, agent, config("shop.example", &alice), "shop.example")
		if proved := got.seen.Get("X-Forwarded-Client-Cert"); err != nil || !strings.Contains(proved, `;Subject="CN=alice";URI=spiffe://acme/alice`) {
			t.Errorf("with a certificate: %q, %v", proved, err)
		}
		if got, err := overTLS(t, agent, config("shop.example", nil), "shop.example"); err != nil || got.seen.Get("X-Forwarded-Client-Cert") != "" {
			t.Errorf("without one: %v, %v", got.seen, err)
		}
		if _, err := overTLS(t, agent, config("shop.example", &mallory), "shop.example"); err == nil {
			t.Error("a certificate of another authority is taken")
		}
	}
	push("shop", shop, map[string]any{"ca_pem": authority.certificatePEM()})
	agent := s.Ready.Agents[0]
	harness.Eventually(t, 10*time.Second, "a certificate is required", func() error {
		if _, err := overTLS(t, agent, config("shop.example", nil), "shop.example"); err == nil {
			return fmt.Errorf("a client without one is served")
		}
		return nil
	})
	if got, err := overTLS(t, agent, config("open.example", &alice), "shop.example"); err != nil || got.status != http.StatusMisdirectedRequest {
		t.Errorf("over a connection for another name: %d, %v", got.status, err)
	}
	resumesAnywhere(t, s, config("open.example", nil))
}

// resumesAnywhere opens a session with one agent and takes it up with the other.
func resumesAnywhere(t *testing.T, s *harness.Stack, config *tls.Config) {
	t.Helper()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for i, agent := range s.Ready.Agents {
		got, err := overTLS(t, agent, config, "open.example")
		if err != nil || got.resumed != (i > 0) {
			t.Errorf("with agent %d the session is resumed: %v, %v", i, got.resumed, err)
		}
	}
}

// TestABalancerNamesItsClients has an agent expect the PROXY protocol.
func TestABalancerNamesItsClients(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	agent := s.StartAgent(t, "balanced", "--proxy-protocol", "required", "--trusted-proxies", "127.0.0.0/8", "--max-client-connections", "2")
	up := headersOf(t)
	s.Apply(strings.Replace(ordersAt(up.URL), "fleet: default", "fleet: balanced", 1))
	ask := func(header string) (http.Header, net.Conn, error) {
		conn, err := net.Dial("tcp", strings.TrimPrefix(agent.Proxy, "http://"))
		if err != nil {
			return nil, nil, err
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = io.WriteString(conn, header+"GET /orders/7 HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			return nil, conn, err
		}
		defer func() { _ = response.Body.Close() }()
		seen := http.Header{}
		return seen, conn, json.NewDecoder(response.Body).Decode(&seen)
	}
	const named = "PROXY TCP4 192.0.2.7 198.51.100.2 4711 443\r\n"
	for range 2 {
		seen, _, err := ask(named)
		// The client is no trusted proxy, so what it says of others is not believed.
		if err != nil || seen.Get("X-Forwarded-For") != "192.0.2.7" {
			t.Errorf("the upstream is told of %q, %v", seen.Get("X-Forwarded-For"), err)
		}
	}
	if _, _, err := ask(named); err == nil {
		t.Error("a third connection of the client is served")
	}
	if _, _, err := ask("PROXY TCP4 192.0.2.8 198.51.100.2 4711 443\r\n"); err != nil {
		t.Error("another client's first connection:", err)
	}
	for what, header := range map[string]string{"nothing": "", "a header that is none": "PROXY TCP4 nobody\r\n"} {
		if _, _, err := ask(header); err == nil {
			t.Errorf("with %s in front a request is served", what)
		}
	}
	metrics, err := harness.Get(t.Context(), agent.Ops+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`tidegate_connections_refused_total{cause="client"}`, `tidegate_connections_refused_total{cause="proxy_protocol"}`} {
		if !strings.Contains(metrics.Body, line) || strings.Contains(metrics.Body, line+" 0\n") {
			t.Errorf("%s is not counted", line)
		}
	}
}
