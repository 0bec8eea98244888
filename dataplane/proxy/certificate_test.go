package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// clientAuthority signs clients' certificates.
type clientAuthority struct {
	t           testing.TB
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newClientAuthority(t testing.TB) *clientAuthority {
	a := &clientAuthority{t: t}
	_, a.certificate, a.key = a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

func (a *clientAuthority) sign(template *x509.Certificate) (tls.Certificate, *x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(time.Now().UnixNano()), time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.certificate, a.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: parsed}, parsed, key
}

func (a *clientAuthority) alice() tls.Certificate {
	certificate, _, _ := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: `alice "the first"`, Organization: []string{"Acme"}}, DNSNames: []string{"alice.example"},
		URIs:        []*url.URL{{Scheme: "spiffe", Host: "acme", Path: "/alice"}},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return certificate
}

// asking makes a server's certificate ask clients for theirs.
func (a *clientAuthority) asking(entry *agentv1.LaneEntry, required bool) *agentv1.LaneEntry {
	entry.GetCertificate().ClientCaPem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}))
	entry.GetCertificate().ClientCertificateRequired = required
	return entry
}

// over sends a request for a host over a connection that was opened for a name.
func (r *rig) over(name, host string, certificates []tls.Certificate, headers ...string) (answer, error) {
	transport := &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{ServerName: name, InsecureSkipVerify: true, Certificates: certificates},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, r.proxy.TLSAddress().String())
		},
	}
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "https://127.0.0.1/", nil) // no name by itself
	if err != nil {
		r.t.Fatal(err)
	}
	request.Host = host
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header[headers[i]] = append(request.Header[headers[i]], headers[i+1])
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return answer{}, err
	}
	_ = response.Body.Close()
	return answer{Response: response}, nil
}

// noted is an upstream that keeps what it was told of the client's certificate.
func noted(t *testing.T) (url string, told func() []string) {
	values := make(chan []string, 1)
	up := server(t, func(_ http.ResponseWriter, r *http.Request) {
		var all []string
		for name, given := range r.Header {
			if strings.EqualFold(strings.ReplaceAll(name, "_", "-"), clientCertificateField) {
				all = append(all, given...)
			}
		}
		values <- all
	})
	return up.URL, func() []string { return <-values }
}

func TestTheUpstreamLearnsWhoTheClientProvedToBe(t *testing.T) {
	t.Parallel()
	clients := newClientAuthority(t)
	up, told := noted(t)
	r := newRig(t, func(c *Config) { c.TrustedProxies = loopback() })
	r.serve(simple(up))
	r.apply(clients.asking(certificateFor(t, "asks", "asks.example"), false), certificateFor(t, "open", "open.example"))
	alice := []tls.Certificate{clients.alice()}
	spoofed := []string{"X-Forwarded-Client-Cert", "Hash=1;Subject=\"CN=root\"", "x_forwarded_client_cert", "Hash=2"}
	for _, c := range []struct {
		name         string
		certificates []tls.Certificate
		want         string
	}{
		{"asks.example", alice, `Subject="CN=alice \\\"the first\\\",O=Acme";URI=spiffe://acme/alice;DNS=alice.example`},
		{"asks.example", nil, ""},
		{"open.example", alice, ""},
	} {
		if got, err := r.over(c.name, c.name, c.certificates, spoofed...); err != nil || got.StatusCode != http.StatusOK {
			t.Fatal(c.name, err)
		}
		got := told()
		switch {
		case c.want == "" && len(got) > 0:
			t.Errorf("%s: %q from a client that proved nothing", c.name, got)
		case c.want != "" && (len(got) != 1 || !strings.HasPrefix(got[0], "Hash=") || !strings.HasSuffix(got[0], ";"+c.want)):
			t.Errorf("%s: %q, want …;%s", c.name, got, c.want)
		}
	}
	if got := r.get("/", spoofed[0], spoofed[1]); got.StatusCode != http.StatusOK || len(told()) != 0 {
		t.Error("a client in clear text may say who it is:", got.StatusCode)
	}
}

func TestWhatAClientProvedForOneNameIsNotUsedForAnother(t *testing.T) {
	t.Parallel()
	clients, others := newClientAuthority(t), newClientAuthority(t)
	up := server(t, func(http.ResponseWriter, *http.Request) {})
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	r.apply(clients.asking(certificateFor(t, "wants", "wants.example", "also.example"), true),
		others.asking(certificateFor(t, "other", "other.example"), true), certificateFor(t, "open", "open.example"))
	alice := []tls.Certificate{clients.alice()}
	for _, c := range []struct {
		name, host   string
		certificates []tls.Certificate
		want         int // 0: no connection
	}{
		{"wants.example", "wants.example", alice, 200},
		{"wants.example", "also.example", alice, 200},
		{"wants.example", "wants.example", nil, 0},
		{"wants.example", "other.example", alice, 421},
		{"open.example", "wants.example", alice, 421},
		{"", "wants.example", alice, 421},
		{"", "open.example", nil, 200},
		{"open.example", "open.example", nil, 200},
	} {
		got, err := r.over(c.name, c.host, c.certificates)
		switch {
		case c.want == 0:
			if err == nil {
				t.Errorf("%s for %s: %d", c.host, c.name, got.StatusCode)
			}
		case err != nil || got.StatusCode != c.want:
			t.Errorf("%s over a connection for %q: %v %v, want %d", c.host, c.name, got.Response, err, c.want)
		}
	}
	if got := r.get("/", "Host", "wants.example"); got.StatusCode != http.StatusMisdirectedRequest {
		t.Error("in clear text:", got.StatusCode)
	}
	if got := r.get("/", "Host", "open.example"); got.StatusCode != http.StatusOK {
		t.Error("in clear text, open:", got.StatusCode)
	}
}

func TestAConnectionIsNotUsedUnderALaterPolicy(t *testing.T) {
	t.Parallel()
	clients := newClientAuthority(t)
	up := server(t, func(http.ResponseWriter, *http.Request) {})
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	r.apply(certificateFor(t, "a", "a.example"))
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{ServerName: "a.example", InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, r.proxy.TLSAddress().String())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	get := func() int {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.example/", nil)
		return r.send(&http.Client{Transport: transport}, request).StatusCode
	}
	if got := get(); got != http.StatusOK {
		t.Fatal(got)
	}
	r.apply(clients.asking(certificateFor(t, "a", "a.example"), true))
	if got := get(); got != http.StatusMisdirectedRequest {
		t.Error("a connection from before is used:", got)
	}
}
