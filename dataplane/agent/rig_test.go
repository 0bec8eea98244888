package agent_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"tidegate.dev/dataplane/agent"
	"tidegate.dev/dataplane/agent/controlplanetest"
	"tidegate.dev/dataplane/agent/identity"
	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
	"tidegate.dev/dataplane/upstream"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is an agent's surroundings, which outlive its process.
type rig struct {
	cp  *controlplanetest.ControlPlane
	dir string
	// adjust changes the configuration of the next process.
	adjust func(*agent.Config)
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{cp: controlplanetest.Start(t), dir: t.TempDir()}
	store, err := identity.Open(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	token, err := identity.ParseJoinToken(r.cp.JoinToken())
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Enroll(t.Context(), identity.Enrolment{ControlPlane: r.cp.Address, Token: token, Name: "a"}); err != nil {
		t.Fatal(err)
	}
	return r
}

// process is one run of the agent.
type process struct {
	*agent.Agent
	installer *installer
	counters  *telemetry.Counters
	lane      *lane.Table
	registry  *upstream.Registry
	stop      func()
}

// start runs the agent on the rig's folder until stop or the end of the test.
func (r *rig) start(t *testing.T) *process {
	t.Helper()
	return r.startIn(t, r.dir)
}

func (r *rig) startIn(t *testing.T, dir string) *process {
	t.Helper()
	p, run := r.prepare(t, dir)
	run()
	return p
}

// startPreview serves as a successor does, and runs when its predecessor has let go.
func (r *rig) startPreview(t *testing.T) (p *process, proceed func()) {
	t.Helper()
	p, run := r.prepare(t, r.dir)
	if err := p.Preview(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p, run
}

// prepare makes a process that runs when it is told to.
func (r *rig) prepare(t *testing.T, dir string) (_ *process, run func()) {
	t.Helper()
	store, err := identity.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := identity.Dial(r.cp.Address, store)
	if err != nil {
		t.Fatal(err)
	}
	state := plugin.NewState()
	p := &process{
		installer: newInstaller(), lane: lane.New(), registry: upstream.NewRegistry(upstream.Environment{}),
		counters: telemetry.NewCounters(plugin.ReasonNames()),
	}
	config := agent.Config{
		StateDir: dir, Version: "test", Identity: store, Connection: conn,
		Installer: p.installer, Lane: p.lane, Counters: p.counters,
		Log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
		Compile: func(in snapshot.Input) (*snapshot.Snapshot, error) {
			in.Registry, in.State, in.Lane = p.registry, state, p.lane
			return snapshot.Compile(in)
		},
	}
	if r.adjust != nil {
		r.adjust(&config)
	}
	p.Agent = agent.New(config)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	run = func() { go func() { ended <- p.Run(ctx) }() }
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the agent ended with %v", err)
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
		p.installer.Install(snapshot.Installation{})
		if left := p.registry.Len(); left != 0 {
			t.Errorf("%d services are still held", left)
		}
	})
	t.Cleanup(p.stop)
	return p, run
}

// installer is the proxy's part.
type installer struct {
	mu       sync.Mutex
	now      snapshot.Installation
	installs int
	drops    []string
	changed  chan struct{}
}

func newInstaller() *installer { return &installer{changed: make(chan struct{})} }

func (i *installer) Install(next snapshot.Installation) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.installs++
	i.swap(next)
}

func (i *installer) swap(next snapshot.Installation) {
	for _, s := range []*snapshot.Snapshot{i.now.Stable, i.now.Candidate} {
		if s != nil {
			s.Release()
		}
	}
	i.now = next
	close(i.changed)
	i.changed = make(chan struct{})
}

func (i *installer) DropCandidate(rolloutID, reason string) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.now.Candidate == nil || i.now.RolloutID != rolloutID {
		return false
	}
	i.drops = append(i.drops, reason)
	i.now.Stable.Retain()
	i.swap(snapshot.Installation{Stable: i.now.Stable})
	return true
}

func (i *installer) Serving() snapshot.Installation {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.now
}

func (i *installer) count() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.installs
}

// serves waits until these revisions are served; 0: no candidate.
func (i *installer) serves(t *testing.T, stable, candidate int64) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		i.mu.Lock()
		now, changed := i.now, i.changed
		i.mu.Unlock()
		if now.Stable != nil && now.Stable.Revision() == stable &&
			(candidate == 0 && now.Candidate == nil || now.Candidate != nil && now.Candidate.Revision() == candidate) {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("stable %d and candidate %d are not served, but %+v", stable, candidate, now)
		}
	}
}

// The revisions of the tests.
var empty = controlplanetest.Revision{Content: revision.NewContent()}

// withRoutes is a revision with one service and routes to it.
func withRoutes(t *testing.T, number int64, names ...string) controlplanetest.Revision {
	t.Helper()
	delta := revision.Delta{Upserts: []revision.Resource{
		resource(t, configv1.Kind_KIND_SERVICE, "orders", &configv1.Service{Url: "http://127.0.0.1:9001"}),
	}}
	for _, name := range names {
		delta.Upserts = append(delta.Upserts, resource(t, configv1.Kind_KIND_ROUTE, name, &configv1.Route{
			Service: "orders", Match: &configv1.Match{Paths: []string{"/" + name}},
		}))
	}
	return controlplanetest.Revision{Number: number, Content: revision.NewContent().Apply(delta)}
}

// broken is a revision whose route leads to no service.
func broken(t *testing.T, number int64) controlplanetest.Revision {
	t.Helper()
	return controlplanetest.Revision{Number: number, Content: revision.NewContent().Apply(revision.Delta{
		Upserts: []revision.Resource{resource(t, configv1.Kind_KIND_ROUTE, "lost", &configv1.Route{
			Service: "nowhere", Match: &configv1.Match{Paths: []string{"/lost"}},
		})},
	})}
}

func resource(t *testing.T, kind configv1.Kind, name string, spec proto.Message) revision.Resource {
	t.Helper()
	body, err := revision.Encode(spec)
	if err != nil {
		t.Fatal(err)
	}
	return revision.Resource{Key: revision.Key{Kind: kind, Name: name}, Body: body}
}

// stableState wants one revision, candidateState two.
func stableState(generation int64, stable controlplanetest.Revision) *agentv1.DesiredState {
	return &agentv1.DesiredState{
		Fleet: controlplanetest.Fleet, AgentId: controlplanetest.AgentID, Epoch: 1, Generation: generation, Stable: stable.Reference(),
	}
}

func candidateState(generation int64, stable, candidate controlplanetest.Revision, sharePPM uint32) *agentv1.DesiredState {
	state := stableState(generation, stable)
	state.Candidate, state.CandidateSharePpm, state.RolloutId = candidate.Reference(), sharePPM, fmt.Sprint(candidate.Number)
	state.Guard = &agentv1.Guard{Tolerance: 1.1, Threshold: 8_000}
	return state
}

// welcome accepts the next stream.
func (r *rig) welcome(t *testing.T) *controlplanetest.Session {
	t.Helper()
	s := r.cp.Accept(t)
	s.Welcome(t)
	return s
}

func wantServing(t *testing.T, s *controlplanetest.Session, generation int64) {
	t.Helper()
	ack := s.Acknowledgement(t)
	if ack.GetStatus() != agentv1.Acknowledgement_STATUS_SERVING || ack.GetGeneration() != generation {
		t.Fatalf("acknowledged %v, want generation %d to serve", ack, generation)
	}
}

func wantRefused(t *testing.T, s *controlplanetest.Session, generation int64, code string) *agentv1.Acknowledgement {
	t.Helper()
	ack := s.Acknowledgement(t)
	if ack.GetStatus() != agentv1.Acknowledgement_STATUS_REFUSED || ack.GetGeneration() != generation ||
		len(ack.GetErrors()) == 0 || ack.GetErrors()[0].GetCode() != code {
		t.Fatalf("acknowledged %v, want generation %d to be refused with %q", ack, generation, code)
	}
	return ack
}
