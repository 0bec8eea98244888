package proxy

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// certificateFor makes a certificate that signs itself.
func certificateFor(t testing.TB, name string, serverNames ...string) *agentv1.LaneEntry {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: serverNames,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &agentv1.LaneEntry{Kind: configv1.Kind_KIND_CERTIFICATE, Name: name, Material: &agentv1.LaneEntry_Certificate{
		Certificate: &agentv1.CertificateMaterial{
			CertificatePem: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
			PrivateKeyPem:  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		},
	}}
}

func TestCertificatesFollowTheServerName(t *testing.T) {
	t.Parallel()
	up := server(t, echo("up"))
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	shown := func(serverName string) string {
		conn, err := tls.Dial("tcp", r.proxy.TLSAddress().String(), &tls.Config{ServerName: serverName, InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		leaf := conn.ConnectionState().PeerCertificates[0]
		if len(leaf.DNSNames) == 0 {
			return ""
		}
		return leaf.DNSNames[0]
	}
	if got := shown("a.example.com"); got != "localhost" {
		t.Error("without certificates:", got)
	}
	r.apply(certificateFor(t, "exact", "a.example.com", "b.example.com"), certificateFor(t, "wild", "*.example.com"))
	for serverName, want := range map[string]string{
		"a.example.com": "a.example.com", "B.example.com": "a.example.com", "c.example.com": "*.example.com",
		"x.c.example.com": "localhost", "example.com": "localhost", "": "localhost",
	} {
		if got := shown(serverName); got != want {
			t.Errorf("%q is shown %q, want %q", serverName, got, want)
		}
	}
	r.apply(removal(configv1.Kind_KIND_CERTIFICATE, "exact"))
	if got := shown("a.example.com"); got != "*.example.com" {
		t.Error("after its removal:", got)
	}
}

func TestAMisdirectedRequestIsToldSo(t *testing.T) {
	t.Parallel()
	up := server(t, echo("up"))
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	r.apply(certificateFor(t, "both", "a.example.com", "b.example.com"), certificateFor(t, "other", "c.example.com"))
	for _, http2 := range []bool{false, true} {
		transport := &http.Transport{
			ForceAttemptHTTP2: http2,
			TLSClientConfig:   &tls.Config{ServerName: "a.example.com", InsecureSkipVerify: true},
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, r.proxy.TLSAddress().String())
			},
		}
		t.Cleanup(transport.CloseIdleConnections)
		for host, want := range map[string]int{"a.example.com": 200, "a.example.com:443": 200, "b.example.com": 200, "c.example.com": 421, "d.example.com": 421} {
			request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.example.com/", nil)
			request.Host = host
			got := r.send(&http.Client{Transport: transport}, request)
			if got.StatusCode != want || (got.ProtoMajor == 2) != http2 {
				t.Errorf("%s over %s: %d", host, got.Proto, got.StatusCode)
			}
			if want == 200 && got.echoed(t).Header.Get("X-Forwarded-Proto") != "https" {
				t.Error("the upstream is not told of TLS")
			}
		}
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	for name, config := range map[string]*tls.Config{
		"TLS 1.1":      {MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10},
		"CBC":          {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}},
		"an RSA suite": {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}},
	} {
		config.InsecureSkipVerify = true
		if conn, err := tls.Dial("tcp", r.proxy.TLSAddress().String(), config); err == nil {
			_ = conn.Close()
			t.Error(name, "is accepted")
		}
	}
}
