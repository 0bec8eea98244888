package acme_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// Pebble reads these. It proves every name anew, without a pause; a part of all nonces it refuses, as authorities may.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_AUTHZREUSE": "0"} {
		if err := os.Setenv(name, value); err != nil {
			log.Fatal(err)
		}
	}
	os.Exit(m.Run())
}

// authority is Pebble, Let's Encrypt's ACME server for tests.
type authority struct {
	t      testing.TB
	server *httptest.Server
	// validates is the port on 127.0.0.1 where every name leads.
	validates int
	// life is how long certificates of the profile "short" are valid, in seconds.
	life    uint64
	current atomic.Pointer[pebble]
	down    atomic.Bool
	// limited: it takes no orders for an hour.
	limited atomic.Bool
	// silent: it does not say when to renew, as those that do not know RFC 9773.
	silent atomic.Bool
	// orders counts those that were asked for, accepted those that were begun.
	orders, accepted atomic.Int64
}

// pebble is one installation of it.
type pebble struct {
	handler, management http.Handler
}

func newAuthority(t testing.TB, validates int, life uint64) *authority {
	t.Helper()
	a := &authority{t: t, validates: validates, life: life}
	a.server = httptest.NewUnstartedServer(a)
	a.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	a.server.StartTLS()
	t.Cleanup(a.server.Close)
	a.forget()
	return a
}

// forget makes it new: it knows no account and no certificate.
func (a *authority) forget() {
	quiet := log.New(io.Discard, "", 0)
	memory := db.NewMemoryStore()
	certifier := ca.New(quiet, memory, "", "ecdsa", 0, 1, map[string]ca.Profile{
		"default": {Description: "ninety days", ValidityPeriod: 7776000},
		"short":   {Description: "seconds", ValidityPeriod: a.life},
	})
	validator := va.New(quiet, a.validates, 0, true, resolver(a.t), memory)
	front := wfe.New(quiet, memory, validator, certifier, []string{"pebble.example"}, true, false, 0, 0)
	management := front.ManagementHandler()
	a.current.Store(&pebble{handler: front.Handler(), management: management})
}

// ServeHTTP counts what is asked for.
func (a *authority) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a.down.Load() {
		panic(http.ErrAbortHandler)
	}
	if a.limited.Load() && r.URL.Path == "/order-plz" {
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = io.WriteString(w, `{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many"}`)
		return
	}
	recorder := httptest.NewRecorder()
	a.current.Load().handler.ServeHTTP(recorder, r)
	body := recorder.Body.Bytes()
	switch r.URL.Path {
	case "/dir":
		if a.silent.Load() {
			body = bytes.Replace(body, []byte(`"renewalInfo"`), []byte(`"nothing"`), 1)
		}
	case "/order-plz":
		a.orders.Add(1)
		if recorder.Code == http.StatusCreated {
			a.accepted.Add(1)
		}
	}
	maps.Copy(w.Header(), recorder.Header())
	w.WriteHeader(recorder.Code)
	_, _ = w.Write(body)
}

func (a *authority) directory() string { return a.server.URL + "/dir" }

// caPEM is what its https is trusted by.
func (a *authority) caPEM() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.server.Certificate().Raw}))
}

// rootPEM is what its certificates are trusted by.
func (a *authority) rootPEM() []byte {
	recorder, request := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/roots/0", nil)
	request.Header.Set("User-Agent", "test")
	a.current.Load().management.ServeHTTP(recorder, request)
	return recorder.Body.Bytes()
}

// suggest has it say when a certificate is to be renewed.
func (a *authority) suggest(certificatePEM, answer string) {
	a.t.Helper()
	body, err := json.Marshal(map[string]string{"Certificate": certificatePEM, "ARIResponse": answer})
	if err != nil {
		a.t.Fatal(err)
	}
	recorder, request := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/set-renewal-info/", bytes.NewReader(body))
	request.Header.Set("User-Agent", "test")
	a.current.Load().management.ServeHTTP(recorder, request)
	if recorder.Code != http.StatusOK {
		a.t.Fatalf("setting when to renew: %d %s", recorder.Code, recorder.Body)
	}
}

// resolver is a DNS server for which every name has the address 127.0.0.1.
func resolver(t testing.TB) string {
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
