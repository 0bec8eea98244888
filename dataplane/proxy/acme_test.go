package proxy

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509/pkix"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func challengeEntry(token string) *agentv1.LaneEntry {
	return &agentv1.LaneEntry{Kind: configv1.Kind_KIND_ACME_CHALLENGE, Name: token, Material: &agentv1.LaneEntry_AcmeChallenge{
		AcmeChallenge: &agentv1.AcmeChallengeMaterial{KeyAuthorization: token + ".print", ExpiresAt: time.Now().Add(time.Hour).Unix()},
	}}
}

func TestChallengesAreAnsweredBeforeRouting(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.apply(challengeEntry("token"))
	// Also by an agent that has no configuration yet.
	if a := r.get("/.well-known/acme-challenge/token"); a.StatusCode != http.StatusOK || a.body != "token.print" {
		t.Errorf("without a configuration: %d %q", a.StatusCode, a.body)
	}

	up := server(t, echo("up"))
	r.serve(resources{"services/up": service(up.URL), "routes/all": route("up", "/**")})
	a := r.get("/.well-known/acme-challenge/token", "Host", "any.example")
	if a.body != "token.print" || a.Header.Get("Content-Type") != "application/octet-stream" || a.reason() != "" {
		t.Errorf("%q, %v", a.body, a.Header)
	}
	for _, path := range []string{
		"/.well-known/acme-challenge/other", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/token/x",
		"/.well-known/acme-challenge", "/x/.well-known/acme-challenge/token",
	} {
		if e := r.get(path).echoed(t); e.Target != path {
			t.Errorf("%s went upstream as %s", path, e.Target)
		}
	}
	if a := r.do(http.MethodPost, "/.well-known/acme-challenge/token", "x"); a.body == "token.print" {
		t.Error("a POST was answered")
	}
	// A name that serves nobody without a certificate of theirs is proved all the same.
	closed := certificateFor(t, "closed", "closed.example")
	closed.GetCertificate().ClientCaPem = closed.GetCertificate().GetCertificatePem()
	closed.GetCertificate().ClientCertificateRequired = true
	r.apply(closed)
	if a := r.get("/.well-known/acme-challenge/other", "Host", "closed.example"); a.StatusCode != http.StatusMisdirectedRequest {
		t.Errorf("a closed name: %d %q", a.StatusCode, a.body)
	}
	if a := r.get("/.well-known/acme-challenge/token", "Host", "closed.example"); a.body != "token.print" {
		t.Errorf("a closed name: %d %q", a.StatusCode, a.body)
	}
	r.apply(removal(configv1.Kind_KIND_ACME_CHALLENGE, "token"))
	if e := r.get("/.well-known/acme-challenge/token").echoed(t); e.Target != "/.well-known/acme-challenge/token" {
		t.Errorf("after its end: %s", e.Target)
	}
}

func TestChallengesAreAnsweredInAHandshake(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	handshake := func(protocols ...string) (tls.ConnectionState, error) {
		dialer := &tls.Dialer{Config: &tls.Config{ServerName: "a.example", NextProtos: protocols, InsecureSkipVerify: true}}
		conn, err := dialer.DialContext(t.Context(), "tcp", r.proxy.TLSAddress().String())
		if err != nil {
			return tls.ConnectionState{}, err
		}
		defer func() { _ = conn.Close() }()
		if protocols[0] == "acme-tls/1" {
			if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("the connection stays open: %v", err)
			}
		}
		return conn.(*tls.Conn).ConnectionState(), nil
	}
	if state, err := handshake("acme-tls/1"); err == nil {
		t.Errorf("without a challenge: %q", state.NegotiatedProtocol)
	}
	entry := challengeEntry("token")
	entry.GetAcmeChallenge().ServerName = "A.example"
	r.apply(certificateFor(t, "a", "a.example"), entry)
	state, err := handshake("acme-tls/1")
	if err != nil || state.NegotiatedProtocol != "acme-tls/1" {
		t.Fatalf("%q, %v", state.NegotiatedProtocol, err)
	}
	// RFC 8737, section 3: the digest of the key authorization, marked critical.
	digest := sha256.Sum256([]byte("token.print"))
	marked := slices.ContainsFunc(state.PeerCertificates[0].Extensions, func(e pkix.Extension) bool {
		return e.Id.String() == "1.3.6.1.5.5.7.1.31" && e.Critical && bytes.Equal(e.Value, append([]byte{4, 32}, digest[:]...))
	})
	if names := state.PeerCertificates[0].DNSNames; !marked || !slices.Equal(names, []string{"a.example"}) {
		t.Errorf("shown for %v, marked: %v", names, marked)
	}
	// Others are shown the certificate, and HTTP does not know the token.
	if state, err := handshake("h2", "acme-tls/1"); err != nil || state.NegotiatedProtocol != "h2" || slices.ContainsFunc(state.PeerCertificates[0].Extensions,
		func(e pkix.Extension) bool { return e.Critical && e.Id.String() == "1.3.6.1.5.5.7.1.31" }) {
		t.Errorf("%q, %v", state.NegotiatedProtocol, err)
	}
	if a := r.get("/.well-known/acme-challenge/token"); a.body == "token.print" {
		t.Error("the challenge is answered by HTTP too")
	}
	r.apply(removal(configv1.Kind_KIND_ACME_CHALLENGE, "token"))
	if _, err := handshake("acme-tls/1"); err == nil {
		t.Error("it is proved after its end")
	}
}
