package listener

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// names is what server names show, to be changed.
type names struct {
	mu  sync.Mutex
	all map[string]Identity
}

func (n *names) find(name string) (Identity, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	identity, ok := n.all[name]
	return identity, ok
}

func (n *names) set(name string, identity Identity) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.all == nil {
		n.all = make(map[string]Identity)
	}
	n.all[name] = identity
}

func newTLSRig(t *testing.T, limits Limits, known *names) *rig {
	t.Helper()
	secure, err := NewTLS(TLSConfig{Identity: known.find, HTTP2: true})
	if err != nil {
		t.Fatal(err)
	}
	return newRig(t, limits, func(config *Config) { config.TLS = secure })
}

// greet does a handshake and reads the first line; an error of either.
func (r *rig) greet(config *tls.Config) (string, tls.ConnectionState, error) {
	r.t.Helper()
	conn := tls.Client(r.dial(), config)
	defer func() { _ = conn.Close() }()
	if err := conn.Handshake(); err != nil {
		return "", tls.ConnectionState{}, err
	}
	var text []byte
	for one := make([]byte, 1); ; {
		if _, err := io.ReadFull(conn, one); err != nil {
			return string(text), conn.ConnectionState(), err
		}
		if one[0] == '\n' {
			protocol, _, _ := strings.Cut(string(text), " ")
			return protocol, conn.ConnectionState(), nil
		}
		text = append(text, one[0])
	}
}

func TestTheProtocolIsAgreedOn(t *testing.T) {
	t.Parallel()
	ca, known := newAuthority(t, "ca"), &names{}
	known.set("a.example", Identity{Certificate: ca.server("a.example")})
	r := newTLSRig(t, Limits{}, known)
	for _, c := range []struct {
		offered []string
		want    string
	}{{[]string{"h2", "http/1.1"}, "2"}, {[]string{"http/1.1"}, "1"}, {nil, "1"}} {
		got, state, err := r.greet(&tls.Config{ServerName: "a.example", RootCAs: ca.pool(), NextProtos: c.offered})
		if err != nil || got != c.want {
			t.Errorf("%v: %q, %v", c.offered, got, err)
		}
		if state.CurveID != tls.X25519MLKEM768 {
			t.Error("the key was agreed on by", state.CurveID)
		}
	}
	if _, _, err := r.greet(&tls.Config{ServerName: "a.example", RootCAs: ca.pool(), NextProtos: []string{"spdy/3"}}); err == nil {
		t.Error("a protocol that nobody speaks is agreed on")
	}
}

func TestCertificatesAreSwappedWhileConnectionsLive(t *testing.T) {
	t.Parallel()
	ca, known := newAuthority(t, "ca"), &names{}
	first, second := ca.server("a.example"), ca.server("a.example")
	known.set("a.example", Identity{Certificate: first})
	r := newTLSRig(t, Limits{}, known)
	client := &tls.Config{ServerName: "A.Example.", RootCAs: ca.pool(), ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	client.ServerName = "a.example"
	held := tls.Client(r.dial(), client)
	defer func() { _ = held.Close() }()
	if err := held.Handshake(); err != nil {
		t.Fatal(err)
	}
	known.set("a.example", Identity{Certificate: second})
	_, state, err := r.greet(&tls.Config{ServerName: "a.example", RootCAs: ca.pool()})
	if err != nil || !bytes.Equal(state.PeerCertificates[0].Raw, second.Certificate[0]) {
		t.Error("the former certificate is shown", err)
	}
	if _, err := io.WriteString(held, "still here\n"); err != nil || line(held) == "" || line(held) != "still here" {
		t.Error("the open connection does not go on:", err)
	}
}

func TestTheStapleIsShown(t *testing.T) {
	t.Parallel()
	ca, known := newAuthority(t, "ca"), &names{}
	certificate := ca.server("a.example")
	certificate.OCSPStaple = []byte("a response")
	known.set("a.example", Identity{Certificate: certificate})
	r := newTLSRig(t, Limits{}, known)
	_, state, err := r.greet(&tls.Config{ServerName: "a.example", RootCAs: ca.pool()})
	if err != nil || string(state.OCSPResponse) != "a response" {
		t.Errorf("%q, %v", state.OCSPResponse, err)
	}
}

func TestClientsProveThemselves(t *testing.T) {
	t.Parallel()
	ca, clients, others, known := newAuthority(t, "ca"), newAuthority(t, "clients"), newAuthority(t, "others"), &names{}
	policy := func(required bool) *ClientAuth {
		auth, err := NewClientAuth(clients.pem(), required)
		if err != nil {
			t.Fatal(err)
		}
		return auth
	}
	known.set("open.example", Identity{Certificate: ca.server("open.example")})
	known.set("asks.example", Identity{Certificate: ca.server("asks.example"), ClientAuth: policy(false)})
	known.set("wants.example", Identity{Certificate: ca.server("wants.example"), ClientAuth: policy(true)})
	r := newTLSRig(t, Limits{}, known)
	good, foreign := clients.client("alice"), others.client("mallory")
	for _, c := range []struct {
		name        string
		certificate *tls.Certificate
		served      bool
		proved      string
	}{
		{"open.example", nil, true, ""},
		{"open.example", &good, true, ""},
		{"asks.example", nil, true, ""},
		{"asks.example", &good, true, "alice"},
		{"asks.example", &foreign, false, ""},
		{"wants.example", nil, false, ""},
		{"wants.example", &good, true, "alice"},
		{"wants.example", &foreign, false, ""},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			config := &tls.Config{ServerName: c.name, RootCAs: ca.pool(), MaxVersion: version}
			if c.certificate != nil {
				// Whatever the server says that it accepts.
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return c.certificate, nil }
			}
			_, _, err := r.greet(config)
			if served := err == nil; served != c.served {
				t.Errorf("%s with %v: %v", c.name, c.certificate != nil, err)
				continue
			}
			if !c.served {
				continue
			}
			conn := (<-r.served).(*tls.Conn)
			proved := ""
			if chains := conn.ConnectionState().VerifiedChains; len(chains) > 0 {
				proved = chains[0][0].Subject.CommonName
			}
			if proved != c.proved {
				t.Errorf("%s: %q is proved, want %q", c.name, proved, c.proved)
			}
			if auth := Of(conn).ClientAuth(); (auth != nil) != (c.name != "open.example") {
				t.Errorf("%s: the policy of the connection is %v", c.name, auth)
			}
		}
	}
	counts := r.gate.Counts()
	if counts.Failed["client_certificate"] != 6 {
		t.Errorf("%+v", counts)
	}
	if _, err := NewClientAuth([]byte("no PEM"), true); err == nil {
		t.Error("authorities that are none")
	}
}

// resume connects twice and tells whether the second connection resumed the first's session.
func resume(t *testing.T, first, second *rig, config *tls.Config) bool {
	t.Helper()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	if _, _, err := first.greet(config); err != nil {
		t.Fatal(err)
	}
	_, state, err := second.greet(config)
	if err != nil {
		t.Fatal(err)
	}
	return state.DidResume
}

func TestSessionsAreResumedWithAnyAgentOfTheFleet(t *testing.T) {
	t.Parallel()
	ca, known := newAuthority(t, "ca"), &names{}
	known.set("a.example", Identity{Certificate: ca.server("a.example")})
	agents := make([]*rig, 3)
	for i := range agents {
		agents[i] = newTLSRig(t, Limits{}, known)
		secret := bytes.Repeat([]byte{7}, 32)
		if i == 2 {
			secret[0] = 8 // of another fleet
		}
		if err := agents[i].secure.SetTicketSecret(secret); err != nil {
			t.Fatal(err)
		}
	}
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		config := func() *tls.Config {
			return &tls.Config{ServerName: "a.example", RootCAs: ca.pool(), MaxVersion: version}
		}
		if !resume(t, agents[0], agents[0], config()) || !resume(t, agents[0], agents[1], config()) {
			t.Errorf("%x: not resumed within the fleet", version)
		}
		if resume(t, agents[0], agents[2], config()) {
			t.Errorf("%x: resumed in another fleet", version)
		}
	}
	if err := agents[0].secure.SetTicketSecret(make([]byte, 31)); err == nil {
		t.Error("a short secret is taken")
	}
	if counts := agents[1].gate.Counts(); counts.Resumed != 2 {
		t.Errorf("%+v", counts)
	}
}

func TestTicketKeysRotate(t *testing.T) {
	t.Parallel()
	ca, known := newAuthority(t, "ca"), &names{}
	known.set("a.example", Identity{Certificate: ca.server("a.example")})
	before, after := newTLSRig(t, Limits{}, known), newTLSRig(t, Limits{}, known)
	now := time.Now()
	for periods, want := range map[int]bool{0: true, 1: true, 2: false} {
		for _, r := range []*rig{before, after} {
			if err := r.secure.SetTicketSecret(bytes.Repeat([]byte{byte(periods + 1)}, 32)); err != nil {
				t.Fatal(err)
			}
		}
		old := &before.secure.tickets
		old.mu.Lock()
		old.period = periodOf(now) - int64(periods)
		if err := old.derive(); err != nil {
			t.Error(err)
		}
		old.secret = nil // so that nothing is refreshed
		old.mu.Unlock()
		if got := resume(t, before, after, &tls.Config{ServerName: "a.example", RootCAs: ca.pool()}); got != want {
			t.Errorf("a ticket of %d periods ago is resumed: %v", periods, got)
		}
	}
	one, err := ticketKey(bytes.Repeat([]byte{1}, 32), 1)
	other, _ := ticketKey(bytes.Repeat([]byte{1}, 32), 2)
	if err != nil || one == other {
		t.Error("two periods have one key", err)
	}
}

func TestATicketIsGoodForOneNameUnderOnePolicy(t *testing.T) {
	t.Parallel()
	ca, clients, known := newAuthority(t, "ca"), newAuthority(t, "clients"), &names{}
	certificate := ca.server("a.example", "b.example")
	auth, err := NewClientAuth(clients.pem(), false)
	if err != nil {
		t.Fatal(err)
	}
	strict, err := NewClientAuth(append(clients.pem(), ca.pem()...), false)
	if err != nil {
		t.Fatal(err)
	}
	alice := clients.client("alice")
	known.set("a.example", Identity{Certificate: certificate, ClientAuth: auth})
	known.set("b.example", Identity{Certificate: certificate, ClientAuth: auth})
	r := newTLSRig(t, Limits{}, known)
	shared := tls.NewLRUClientSessionCache(4)
	connect := func(name string) bool {
		// One cache entry for both names, as a client would have that wants to cheat.
		config := &tls.Config{ServerName: name, RootCAs: ca.pool(), Certificates: []tls.Certificate{alice}, ClientSessionCache: sameKey{shared}}
		_, state, err := r.greet(config)
		if err != nil {
			t.Fatal(err)
		}
		return state.DidResume
	}
	connect("a.example")
	if !connect("a.example") {
		t.Error("not resumed for the same name")
	}
	if connect("b.example") {
		t.Error("resumed for another name")
	}
	connect("a.example")
	known.set("a.example", Identity{Certificate: certificate, ClientAuth: strict})
	if connect("a.example") {
		t.Error("resumed under another policy")
	}
}

// sameKey keeps all sessions under one key.
type sameKey struct{ tls.ClientSessionCache }

func (s sameKey) Get(string) (*tls.ClientSessionState, bool) { return s.ClientSessionCache.Get("") }
func (s sameKey) Put(_ string, state *tls.ClientSessionState) {
	s.ClientSessionCache.Put("", state)
}

func TestHandshakesAreBounded(t *testing.T) {
	t.Parallel()
	known := &names{}
	r := newTLSRig(t, Limits{Handshakes: 1, HandshakeQueue: 1, Handshake: 300 * time.Millisecond}, known)
	silent, queued := r.dial(), r.dial()
	eventually(t, "two handshakes", func() bool { return r.gate.Counts().Handshaking == 2 })
	began := time.Now()
	if line(r.dial()); time.Since(began) > 250*time.Millisecond {
		t.Error("the third one waits")
	}
	if line(silent) != "" || line(queued) != "" {
		t.Error("a silent client is told something")
	}
	counts := r.gate.Counts()
	if counts.Refused["handshakes"] != 1 || counts.Failed["timeout"] != 2 {
		t.Errorf("%+v", counts)
	}
}

func TestFailedHandshakesAreCountedByCause(t *testing.T) {
	t.Parallel()
	ca, known := newAuthority(t, "ca"), &names{}
	known.set("a.example", Identity{Certificate: ca.server("a.example")})
	r := newTLSRig(t, Limits{}, known)
	counted := func(cause string, want uint64) {
		t.Helper()
		eventually(t, cause+" is counted", func() bool { return r.gate.Counts().Failed[cause] == want })
	}
	_ = r.dial().Close()
	counted("client_gone", 1)
	_, _ = io.WriteString(r.dial(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	counted("not_tls", 1)
	_, _, _ = r.greet(&tls.Config{ServerName: "a.example", RootCAs: x509.NewCertPool()})
	counted("client_alert", 1)
	for name, config := range map[string]*tls.Config{
		"TLS 1.1":      {MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10},
		"CBC":          {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}},
		"an RSA suite": {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}},
	} {
		config.InsecureSkipVerify = true
		if _, _, err := r.greet(config); err == nil {
			t.Error(name, "is accepted")
		}
	}
	counted("protocol", 3)
}

func TestNamesWithoutACertificateShowOneThatNobodyTrusts(t *testing.T) {
	t.Parallel()
	r := newTLSRig(t, Limits{}, &names{})
	_, state, err := r.greet(&tls.Config{ServerName: "x.example", InsecureSkipVerify: true})
	if err != nil || state.PeerCertificates[0].Subject.CommonName != "no certificate for this name" {
		t.Error(err)
	}
}
