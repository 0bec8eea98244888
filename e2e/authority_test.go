package e2e_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"

	"tidegate.dev/e2e/harness"
)

// authority is Pebble, Let's Encrypt's ACME server for tests. To it every name has the address 127.0.0.1, and its port 80 is
// that of an agent.
type authority struct {
	t                   testing.TB
	server              *httptest.Server
	handler, management http.Handler
	down                atomic.Bool
	orders              atomic.Int64
}

// pebbleSettings has Pebble prove every name anew, without a pause. It reads them from the environment.
var pebbleSettings = sync.OnceValue(func() error {
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	return nil
})

// newAuthority validates by way of the agent's listeners. Certificates of its profile "short" are valid for so many seconds;
// it does not say when to renew, so they are renewed when two thirds of that are over.
func newAuthority(t testing.TB, agent harness.Agent, short uint64) *authority {
	t.Helper()
	if err := pebbleSettings(); err != nil {
		t.Fatal(err)
	}
	quiet := log.New(io.Discard, "", 0)
	memory := db.NewMemoryStore()
	certifier := ca.New(quiet, memory, "", "ecdsa", 0, 1, map[string]ca.Profile{
		"default": {Description: "ninety days", ValidityPeriod: 7776000},
		"short":   {Description: "seconds", ValidityPeriod: short},
	})
	validator := va.New(quiet, portOf(t, agent.Proxy), portOf(t, agent.TLS), true, everywhereHere(t), memory)
	front := wfe.New(quiet, memory, validator, certifier, []string{"pebble.example"}, true, false, 0, 0)
	a := &authority{t: t, handler: front.Handler(), management: front.ManagementHandler()}
	a.server = httptest.NewUnstartedServer(a)
	a.server.Config.ErrorLog = quiet
	a.server.StartTLS()
	t.Cleanup(a.server.Close)
	return a
}

func portOf(t testing.TB, address string) int {
	t.Helper()
	parsed, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(parsed.Port())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// ServeHTTP is the authority as the control plane sees it.
func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case a.down.Load():
		panic(http.ErrAbortHandler)
	case r.URL.Path == "/dir":
		recorder := httptest.NewRecorder()
		a.handler.ServeHTTP(recorder, r)
		w.Header().Set("Content-Type", recorder.Header().Get("Content-Type"))
		_, _ = w.Write(bytes.Replace(recorder.Body.Bytes(), []byte(`"renewalInfo"`), []byte(`"nothing"`), 1))
		return
	case r.URL.Path == "/order-plz":
		a.orders.Add(1)
	}
	a.handler.ServeHTTP(w, r)
}

// certificate is a certificate resource that is obtained from it.
func (a *authority) certificate(name, profile, challenge string, serverNames ...string) map[string]any {
	trust := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.server.Certificate().Raw}))
	return map[string]any{"name": name, "spec": map[string]any{
		"server_names": serverNames,
		"acme": map[string]any{
			"directory": a.server.URL + "/dir", "email": "ops@shop.example", "ca_pem": trust, "profile": profile, "challenge": challenge,
		},
	}}
}

// roots is what its certificates are trusted by.
func (a *authority) roots() *x509.CertPool {
	a.t.Helper()
	recorder, request := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/roots/0", nil)
	request.Header.Set("User-Agent", "e2e")
	a.management.ServeHTTP(recorder, request)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(recorder.Body.Bytes()) {
		a.t.Fatalf("the authority has no root: %s", recorder.Body)
	}
	return pool
}

// everywhereHere is a DNS server for which every name has the address 127.0.0.1.
func everywhereHere(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: listener, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
		answer := new(dns.Msg).SetReply(query)
		if query.Question[0].Qtype == dns.TypeA {
			header := dns.RR_Header{Name: query.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET}
			answer.Answer = []dns.RR{&dns.A{Hdr: header, A: net.IPv4(127, 0, 0, 1)}}
		}
		_ = w.WriteMsg(answer)
	})}
	go func() { _ = server.ActivateAndServe() }()
	t.Cleanup(func() { _ = server.Shutdown() })
	return listener.Addr().String()
}
