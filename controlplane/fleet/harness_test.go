package fleet_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/fleet"
	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/local/pgtest"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/store/storetest"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, // but for the shared Postgres of the tests, if this process started it
		goleak.IgnoreAnyFunction("os/exec.(*Cmd).Wait"),
		goleak.IgnoreAnyFunction("tidegate.dev/controlplane/local.(*Postgres).stay"))
}

// plane is a control plane with one fleet and no replica yet.
type plane struct {
	t           testing.TB
	databaseURL string
	store       *store.Store
	keyring     *keyring.Keyring
	fleet       store.Fleet
	directory   *fleet.Directory
	telemetry   callers
}

func newPlane(t testing.TB) *plane {
	t.Helper()
	databaseURL, _ := pgtest.Schema(t)
	return newPlaneOn(t, databaseURL)
}

// newPlaneOn is a control plane on an empty database.
func newPlaneOn(t testing.TB, databaseURL string) *plane {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{DatabaseURL: databaseURL, MaxConnections: 8})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	k, err := keyring.Open(t.Context(), s, filepath.Join(t.TempDir(), "master.json"), true)
	if err != nil {
		t.Fatal(err)
	}
	return &plane{t: t, databaseURL: databaseURL, store: s, keyring: k, fleet: storetest.Fleet(t, s, "default"), directory: fleet.NewDirectory(s, k)}
}

// replica is a running server for agents.
type replica struct {
	address string
	stop    func()
}

func (p *plane) start(name string) *replica {
	p.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(p.t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	watcher := store.NewWatcher(p.store, log)
	server, err := fleet.NewServer(fleet.Config{
		Store: p.store, Watcher: watcher, Keyring: p.keyring, Replica: name, Hosts: []string{"127.0.0.1"},
		Telemetry: &p.telemetry, Log: log, BalanceInterval: 100 * time.Millisecond,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(p.t.Context()))
	watched, served := make(chan error, 1), make(chan error, 1)
	go func() { watched <- watcher.Run(ctx) }()
	go func() { served <- server.Run(ctx, listener) }()
	stopped := false
	made := &replica{address: listener.Addr().String(), stop: func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := errors.Join(<-served, <-watched); err != nil {
			p.t.Errorf("stopping replica %s: %v", name, err)
		}
	}}
	p.t.Cleanup(made.stop)
	return made
}

// callers notes whose telemetry streams it is given, and holds them.
type callers struct {
	mu     sync.Mutex
	agents map[string]int64 // and their fleets
}

func (c *callers) Handle(ctx context.Context, fleetID int64, agentID string,
	_ grpc.BidiStreamingServer[agentv1.ReportTelemetryRequest, agentv1.ReportTelemetryResponse],
) error {
	c.mu.Lock()
	if c.agents == nil {
		c.agents = map[string]int64{}
	}
	c.agents[agentID] = fleetID
	c.mu.Unlock()
	<-ctx.Done()
	return context.Cause(ctx)
}

func (c *callers) fleetOf(agentID string) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.agents[agentID]
}

func (p *plane) joinToken() string {
	p.t.Helper()
	token, err := p.directory.CreateJoinToken(p.t.Context(), p.fleet.Name, "test", 0)
	if err != nil {
		p.t.Fatal(err)
	}
	return token.Token
}

func (p *plane) inTx(effect func(tx *store.Tx) error) {
	p.t.Helper()
	if err := p.store.InTx(p.t.Context(), effect); err != nil {
		p.t.Fatal(err)
	}
}

// services writes services, one a name, with the name's body; an empty body deletes.
func services(bodies map[string]string) (changes []store.Change) {
	for name, url := range bodies {
		change := store.Change{Key: revision.Key{Kind: configv1.Kind_KIND_SERVICE, Name: name}, Delete: url == ""}
		if url != "" {
			body, err := revision.Encode(&configv1.Service{Url: url})
			if err != nil {
				panic(err)
			}
			change.Body = body
		}
		changes = append(changes, change)
	}
	return changes
}

// commit makes a revision that no agent should serve yet.
func (p *plane) commit(bodies map[string]string) (made store.Revision) {
	p.t.Helper()
	ctx := p.t.Context()
	p.inTx(func(tx *store.Tx) error {
		head, err := tx.LockHead(ctx, p.fleet.ID)
		if err != nil {
			return err
		}
		made, _, err = tx.CommitRevision(ctx, head, store.Commit{Origin: store.OriginPublish, Author: "test", Changes: services(bodies)})
		return err
	})
	return made
}

// promote makes a revision stable.
func (p *plane) promote(number int64) {
	p.t.Helper()
	ctx := p.t.Context()
	p.inTx(func(tx *store.Tx) error {
		if _, err := tx.LockHead(ctx, p.fleet.ID); err != nil {
			return err
		}
		if err := tx.SetStable(ctx, p.fleet.ID, number); err != nil {
			return err
		}
		_, err := tx.RaiseGeneration(ctx, p.fleet.ID)
		return err
	})
}

// publish commits and promotes.
func (p *plane) publish(bodies map[string]string) store.Revision {
	p.t.Helper()
	made := p.commit(bodies)
	p.promote(made.Number)
	return made
}

func (p *plane) lane(writes ...store.LaneWrite) (sequence int64) {
	p.t.Helper()
	p.inTx(func(tx *store.Tx) (err error) {
		sequence, err = tx.AppendLane(p.t.Context(), p.fleet.ID, "test", writes)
		return err
	})
	return sequence
}

func (p *plane) encode(spec proto.Message) []byte {
	p.t.Helper()
	body, err := revision.Encode(spec)
	if err != nil {
		p.t.Fatal(err)
	}
	return body
}

func (p *plane) agent(id string) (agent store.Agent) {
	p.t.Helper()
	agent, err := p.directory.Agent(p.t.Context(), p.fleet.Name, id)
	if err != nil {
		p.t.Fatal(err)
	}
	return agent
}

// until waits for a condition; it fails the test after a while.
func until(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("in vain waited for: %s", what)
		case <-poll.C:
		}
	}
}
