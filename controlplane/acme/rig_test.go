package acme_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/acme"
	"tidegate.dev/controlplane/config"
	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/local/pgtest"
	"tidegate.dev/controlplane/rollout"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/store/storetest"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

const fleetName = "default"

// rig is a control plane's database, one agent, and an authority that validates by that agent.
type rig struct {
	*authority
	t      testing.TB
	url    string
	store  *store.Store
	keys   *keyring.Keyring
	config *config.Service
	fleet  store.Fleet
	agent  *agent
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t}
	r.url, _ = pgtest.Schema(t)
	var err error
	if r.store, err = store.Open(t.Context(), store.Config{DatabaseURL: r.url, MaxConnections: 12}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.store.Close)
	if err := r.store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r.keys, err = keyring.Open(t.Context(), r.store, filepath.Join(t.TempDir(), "master.key"), true); err != nil {
		t.Fatal(err)
	}
	r.config, r.fleet = config.New(r.store, r.keys, rollout.Lookup), storetest.Fleet(t, r.store, fleetName)
	r.agent = newAgent(r)
	r.authority = newAuthority(t, r.agent.port(), 15)
	return r
}

// goes runs something until the test ends, or stop is called.
func (r *rig) goes(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	})
	r.t.Cleanup(stop)
	return stop
}

func (r *rig) manager() *acme.Manager {
	return acme.NewManager(acme.Config{
		Store: r.store, Keyring: r.keys, Log: slog.New(slog.NewTextHandler(logWriter{r.t}, nil)), UserAgent: "test",
		Poll: 50 * time.Millisecond, Lease: time.Second, AgentsDeadline: 2 * time.Second, AttemptDeadline: 20 * time.Second,
		FirstPause: 300 * time.Millisecond,
	})
}

type logWriter struct{ t testing.TB }

func (w logWriter) Write(line []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(line)))
	return len(line), nil
}

// wanted is a certificate to obtain from the rig's authority. Pebble picks any profile if none is named.
func (r *rig) wanted(profile string, names ...string) *configv1.Certificate {
	return &configv1.Certificate{ServerNames: names, Acme: &configv1.Acme{
		Directory: r.directory(), Email: "ops@shop.example", CaPem: r.caPEM(), Profile: profile,
	}}
}

func (r *rig) put(name string, spec *configv1.Certificate) {
	r.t.Helper()
	resource := config.Resource{Kind: configv1.Kind_KIND_CERTIFICATE, Name: name, Spec: spec}
	if _, err := r.config.Upsert(r.t.Context(), "ada", fleetName, resource, config.WriteOptions{}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) remove(name string) {
	r.t.Helper()
	if _, err := r.config.Delete(r.t.Context(), "ada", fleetName, configv1.Kind_KIND_CERTIFICATE, name, config.WriteOptions{}); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) issuance(name string) store.ACMECertificate {
	r.t.Helper()
	found, err := r.config.Get(r.t.Context(), fleetName, configv1.Kind_KIND_CERTIFICATE, name, "")
	if err != nil {
		r.t.Fatal(err)
	}
	return *found.Issuance
}

// awaitState waits for a state of the issuance.
func (r *rig) awaitState(name, state string) store.ACMECertificate {
	r.t.Helper()
	var issuance store.ACMECertificate
	eventually(r.t, "certificates/"+name+" is "+state, func() error {
		if issuance = r.issuance(name); issuance.State != state {
			return fmt.Errorf("it is %+v", issuance)
		}
		return nil
	})
	return issuance
}

func eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		<-tick.C
	}
}

// material is what the lane holds that was obtained, or nil.
func (r *rig) material(name string) *configv1.Certificate {
	r.t.Helper()
	certificate := new(configv1.Certificate)
	if !r.open(configv1.Kind_KIND_ISSUED_CERTIFICATE, name, certificate) {
		return nil
	}
	return certificate
}

// serial is that of what was obtained.
func (r *rig) serial(name string) *big.Int {
	r.t.Helper()
	block, _ := pem.Decode([]byte(r.material(name).GetCertificatePem()))
	if block == nil {
		r.t.Fatalf("%s has no certificate", name)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		r.t.Fatal(err)
	}
	return leaf.SerialNumber
}

// leaf checks what was obtained against the authority's root, and returns it.
func (r *rig) leaf(name string) *x509.Certificate {
	r.t.Helper()
	chain := []byte(r.material(name).GetCertificatePem())
	block, rest := pem.Decode(chain)
	if block == nil {
		r.t.Fatalf("%s has no certificate", name)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		r.t.Fatal(err)
	}
	options := x509.VerifyOptions{Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool()}
	options.Roots.AppendCertsFromPEM(r.rootPEM())
	options.Intermediates.AppendCertsFromPEM(rest)
	if _, err := leaf.Verify(options); err != nil {
		r.t.Errorf("%s: %v", name, err)
	}
	return leaf
}

// open decodes a sealed resource of the lane.
func (r *rig) open(kind configv1.Kind, name string, into proto.Message) bool {
	key := revision.Key{Kind: kind, Name: name}
	var found map[revision.Key]store.LaneVersion
	err := r.store.View(context.WithoutCancel(r.t.Context()), func(tx *store.Tx) (err error) {
		found, err = tx.Lane(context.WithoutCancel(r.t.Context()), r.fleet.ID, []revision.Key{key})
		return err
	})
	version, ok := found[key]
	if err != nil || !ok || version.Deleted {
		return false
	}
	plain, err := r.keys.Unseal(version.Body, keyring.ResourceContext(r.fleet.ID, kind, name))
	return err == nil && proto.Unmarshal(plain, into) == nil
}

// challenges are those that the lane holds.
func (r *rig) challenges() []string {
	r.t.Helper()
	var names []string
	err := r.store.View(r.t.Context(), func(tx *store.Tx) (err error) {
		names, err = tx.LaneNames(r.t.Context(), r.fleet.ID, configv1.Kind_KIND_ACME_CHALLENGE)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return names
}

// execute runs a statement behind everybody's back.
func (r *rig) execute(statement string) {
	r.t.Helper()
	connection, err := pgx.Connect(r.t.Context(), r.url)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = connection.Close(context.WithoutCancel(r.t.Context())) }()
	if _, err := connection.Exec(r.t.Context(), statement); err != nil {
		r.t.Fatal(err)
	}
}

// agent is one that answers challenges of which it has acknowledged the lane, as a real one does.
type agent struct {
	*rig
	server  *httptest.Server
	session int64
	held    atomic.Int64
	// deaf: it lives but takes nothing more of the lane.
	deaf atomic.Bool
	// refused counts what it was asked for and did not know.
	refused atomic.Int64
}

const agentID = "00000000-0000-4000-8000-000000000001"

func newAgent(r *rig) *agent {
	a := &agent{rig: r}
	a.server = httptest.NewServer(a)
	r.t.Cleanup(a.server.Close)
	err := r.store.InTx(r.t.Context(), func(tx *store.Tx) (err error) {
		identity := store.AgentIdentity{ID: agentID, FleetID: r.fleet.ID, Name: "agent-1"}
		if err := tx.AddAgent(r.t.Context(), identity, nil, time.Now().Add(time.Hour)); err != nil {
			return err
		}
		a.session, err = tx.BeginAgentSession(r.t.Context(), store.AgentHello{ID: agentID, Replica: "r1", BootID: "b1"})
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.goes(a.live)
	return a
}

func (a *agent) port() int {
	_, port, _ := net.SplitHostPort(a.server.Listener.Addr().String())
	number, _ := strconv.Atoi(port)
	return number
}

// live reports what it holds, again and again.
func (a *agent) live(ctx context.Context) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := a.store.InTx(ctx, func(tx *store.Tx) error {
			head, err := tx.Head(ctx, a.rig.fleet.ID)
			if err != nil {
				return err
			}
			if !a.deaf.Load() {
				a.held.Store(head.LaneSequence)
			}
			_, err = tx.SaveAgentReports(ctx, []store.AgentReport{{
				ID: agentID, Session: a.session, Connected: true, Seen: true, Serving: &store.AgentServing{LaneSequence: a.held.Load()},
			}})
			return err
		})
		if err != nil && ctx.Err() == nil {
			return errors.New("the agent: " + err.Error())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// ServeHTTP answers challenges.
func (a *agent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, ok := strings.CutPrefix(r.URL.Path, "/.well-known/acme-challenge/")
	challenge := new(agentv1.AcmeChallengeMaterial)
	if !ok || !a.open(configv1.Kind_KIND_ACME_CHALLENGE, token, challenge) {
		a.refused.Add(1)
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write([]byte(challenge.GetKeyAuthorization()))
}
