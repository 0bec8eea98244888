package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"tidegate.dev/controlplane/admin"
	"tidegate.dev/controlplane/config"
	"tidegate.dev/controlplane/fleet"
	"tidegate.dev/controlplane/identity"
	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/rollout"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/store/storetest"
	"tidegate.dev/controlplane/telemetry"
)

// Nothing of ours may go on when the tests have ended. The Postgres of pgtest does, and who watches over it.
func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	err := goleak.Find(
		goleak.IgnoreAnyFunction("tidegate.dev/controlplane/local.(*Postgres).stay"),
		goleak.IgnoreAnyFunction("tidegate.dev/controlplane/local.spawn.func1"),
		goleak.IgnoreAnyFunction("os/exec.(*Cmd).Wait"))
	if code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// system is the admin API on a real socket, over a real Postgres, with a token of each role and the fleet "default".
type system struct {
	url                      string
	address                  string
	store                    *store.Store
	identity                 *identity.Service
	admin, publisher, viewer string
	log                      *record
	stop                     func() // ends the parts and waits for their end
}

// begin starts a system that ends with the test.
func begin(t testing.TB) *system {
	t.Helper()
	return beginWith(t, admin.Config{})
}

// beginWith starts a system with settings of its own.
func beginWith(t testing.TB, settings admin.Config) *system {
	t.Helper()
	opened := settings.Store
	if opened == nil {
		opened = storetest.Open(t)
	}
	storetest.Fleet(t, opened, "default")
	keys, err := keyring.Open(t.Context(), opened, filepath.Join(t.TempDir(), "master.key"), true)
	check(t, err)
	s := &system{store: opened, identity: identity.New(opened), log: new(record)}
	log := s.logger()
	watcher := store.NewWatcher(opened, log)
	server, err := admin.New(admin.Config{
		HeaderTimeout: settings.HeaderTimeout, BodyTimeout: settings.BodyTimeout, Store: opened, Keyring: keys, Identity: s.identity, Config: config.New(opened, keys, rollout.Lookup),
		Rollouts: rollout.NewService(opened, watcher), Directory: fleet.NewDirectory(opened, keys),
		Telemetry: telemetry.NewQuerier(opened), Log: log,
		Console: fstest.MapFS{
			"index.html":       {Data: []byte("<!doctype html><title>console</title>")},
			"assets/app.1a.js": {Data: []byte("export {}")},
		},
	})
	check(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	s.address = listener.Addr().String()
	s.url = "http://" + s.address
	s.run(t, func(ctx context.Context) error { return server.Run(ctx, listener) }, watcher.Run)
	s.admin, s.publisher, s.viewer = s.token(t, "ada", identity.Admin), s.token(t, "pat", identity.Publisher), s.token(t, "vic", identity.Viewer)
	return s
}

// run runs parts until the test ends, and waits for their end.
func (s *system) run(t testing.TB, parts ...func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	for _, part := range parts {
		running.Go(func() {
			if err := part(ctx); err != nil {
				t.Errorf("a part of the system ended: %v", err)
			}
		})
	}
	s.stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(s.stop)
}

func (s *system) logger() *slog.Logger { return slog.New(slog.NewJSONHandler(s.log, nil)) }

func (s *system) token(t testing.TB, name string, role identity.Role) string {
	t.Helper()
	token, _, err := s.identity.CreateToken(t.Context(), name, role, time.Hour)
	check(t, err)
	return token
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// problem is an error as the API promises it.
type problem struct {
	Type, Title, Detail string
	Status              int
	RequestID           string `json:"request_id"`
	Violations          []violation
}

type violation struct {
	Resource, Field, Rule, Message string
	Line, Column                   int
}

// call sends a request as the publisher, unless a header says who asks.
func (s *system) call(t testing.TB, method, path, body string, headers ...string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	check(t, err)
	request.Header.Set("Authorization", "Bearer "+s.publisher)
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			request.Header.Del(headers[i])
		} else {
			request.Header.Set(headers[i], headers[i+1])
		}
	}
	return send(t, request)
}

// as is the header that says who asks.
func as(token string) []string { return []string{"Authorization", "Bearer " + token} }

func send(t testing.TB, request *http.Request) answer {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	check(t, err)
	defer closed(t, response.Body)
	body, err := io.ReadAll(response.Body)
	check(t, err)
	return answer{response.StatusCode, response.Header, body}
}

// ok wants a 200 and decodes the body.
func (a answer) ok(t testing.TB) map[string]any {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	var decoded map[string]any
	check(t, json.Unmarshal(a.body, &decoded))
	return decoded
}

// fails wants a problem document of the status and kind.
func (a answer) fails(t testing.TB, status int, kind string) problem {
	t.Helper()
	var p problem
	if err := json.Unmarshal(a.body, &p); err != nil {
		t.Fatalf("status %d, no problem document: %s", a.status, a.body)
	}
	if a.status != status || p.Type != "https://tidegate.dev/problems/"+kind {
		t.Fatalf("got %d %s, want %d %s: %s", a.status, p.Type, status, kind, a.body)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type = %q", got)
	}
	if p.Status != status || p.Title == "" || p.RequestID == "" || p.RequestID != a.header.Get("X-Request-Id") {
		t.Errorf("incomplete problem: %s, header %v", a.body, a.header)
	}
	return p
}

// names says whether a violation of the field is there.
func (p problem) names(field string) bool {
	for _, v := range p.Violations {
		if v.Field == field {
			return true
		}
	}
	return false
}

// record keeps the log, so that a test can look for what must not be in it.
type record struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buffer.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buffer.String()
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// closed closes what a test has opened.
func closed(t testing.TB, what io.Closer) {
	t.Helper()
	check(t, what.Close())
}

const (
	service = `{"spec":{"url":"http://127.0.0.1:9001"}}`
	orders  = `{"spec":{"service":"orders","match":{"paths":["/orders/**"]}}}`
)

// publish stores a service and a route on it.
func (s *system) publish(t testing.TB) {
	t.Helper()
	s.call(t, "PUT", "/v1/fleets/default/services/orders", service).ok(t)
	s.call(t, "PUT", "/v1/fleets/default/routes/orders", orders).ok(t)
}
