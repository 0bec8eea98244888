package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/rollout"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/store/storetest"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// fleet is a fleet on a real Postgres, with agents that are played by the test: they acknowledge what they should serve, and
// count requests for the arm that a coin chose.
type fleet struct {
	t       testing.TB
	store   *store.Store
	watcher *store.Watcher
	service *rollout.Service
	store.Fleet

	mu     sync.Mutex
	agents []*playedAgent
}

// playedAgent is an agent; its fields are guarded by the fleet's mu.
type playedAgent struct {
	name, id string
	session  int64
	boot     int
	// refuses every candidate; silent says nothing more.
	refuses, silent bool
	// requests a tick, and how many of a thousand are bad in each arm.
	requests, candidateBad, controlBad int64
}

func newFleet(t testing.TB) *fleet {
	t.Helper()
	return newFleetOn(t, storetest.Open(t))
}

func newFleetOn(t testing.TB, s *store.Store) *fleet {
	t.Helper()
	f := &fleet{t: t, store: s, Fleet: storetest.Fleet(t, s, "default")}
	f.watcher = store.NewWatcher(s, slog.New(slog.DiscardHandler))
	f.service = rollout.NewService(s, f.watcher)
	f.goes(f.watcher.Run)
	f.goes(f.play)
	return f
}

// goes runs something until the test ends. Cleanups run last in, first out, so it ends before the store is closed.
func (f *fleet) goes(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(f.t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			f.t.Error(err)
		}
	})
	f.t.Cleanup(stop)
	return stop
}

func (f *fleet) controller(holder string) *rollout.Controller {
	return rollout.NewController(rollout.NewPostgres(f.store), f.watcher, rollout.ControllerConfig{
		Holder: holder, Lease: time.Second, ActiveTick: 20 * time.Millisecond, IdleTick: 100 * time.Millisecond,
	})
}

func (f *fleet) change(effect func(context.Context, *store.Tx) error) {
	f.t.Helper()
	if err := f.store.InTx(f.t.Context(), func(tx *store.Tx) error { return effect(f.t.Context(), tx) }); err != nil {
		f.t.Fatal(err)
	}
}

// join adds agents.
func (f *fleet) join(names ...string) {
	f.t.Helper()
	for _, name := range names {
		agent := &playedAgent{name: name, id: fmt.Sprintf("00000000-0000-4000-8000-%012d", len(f.agents)+1), requests: 1000}
		f.change(func(ctx context.Context, tx *store.Tx) error {
			identity := store.AgentIdentity{ID: agent.id, FleetID: f.ID, Name: name}
			return tx.AddAgent(ctx, identity, nil, time.Now().Add(time.Hour))
		})
		f.connect(agent)
		f.mu.Lock()
		f.agents = append(f.agents, agent)
		f.mu.Unlock()
	}
}

// connect begins a session of a new process.
func (f *fleet) connect(agent *playedAgent) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	agent.boot++
	f.change(func(ctx context.Context, tx *store.Tx) (err error) {
		agent.session, err = tx.BeginAgentSession(ctx, store.AgentHello{
			ID: agent.id, Replica: "r1", BootID: fmt.Sprintf("%s/%d", agent.id, agent.boot),
			Listeners: []string{}, PluginTypes: []string{},
		})
		return err
	})
}

// alter changes what agents do.
func (f *fleet) alter(change func(*playedAgent)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, agent := range f.agents {
		change(agent)
	}
}

func (f *fleet) play(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		err := f.store.InTx(ctx, func(tx *store.Tx) error { return f.turn(ctx, tx) })
		if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrUnavailable) {
			return err
		}
	}
}

// turn lets every agent take what it should serve, say so, and count.
func (f *fleet) turn(ctx context.Context, tx *store.Tx) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	desired, err := tx.Delivery(ctx, f.ID)
	if err != nil {
		return err
	}
	var reports []store.AgentReport
	sums := map[store.EvidenceKey]store.EvidenceArms{}
	for _, agent := range f.agents {
		if agent.silent {
			continue
		}
		reports = append(reports, agent.take(desired, sums))
	}
	if _, err := tx.SaveAgentReports(ctx, reports); err != nil {
		return err
	}
	return tx.AddEvidenceSums(ctx, sums)
}

func (a *playedAgent) take(desired *store.Delivery, sums map[store.EvidenceKey]store.EvidenceArms) store.AgentReport {
	report := store.AgentReport{
		ID: a.id, Session: a.session, Connected: true, Seen: true,
		Acknowledgement: &store.AgentAcknowledgement{Epoch: desired.Epoch, Generation: desired.Generation, Status: "serving"},
		Serving:         &store.AgentServing{Stable: desired.Stable.Number},
	}
	given := desired.Rollout
	if given == nil || !given.Members[a.id] {
		return report
	}
	if a.refuses {
		report.Acknowledgement.Status, report.Acknowledgement.Error = "refused", "routes/orders: match.paths[0]: cannot be compiled"
		report.FailedRollout = given.ID
		return report
	}
	report.Serving.Candidate, report.Serving.SharePPM = given.Candidate.Number, given.SharePPM
	if given.SharePPM < 1_000_000 {
		share := int64(given.SharePPM)
		count := func(metric string, candidate, control int64) {
			key := store.EvidenceKey{RolloutID: given.ID, Metric: metric, SharePPM: given.SharePPM}
			have := sums[key]
			sums[key] = store.EvidenceArms{Candidate: have.Candidate + candidate, Control: have.Control + control}
		}
		candidate := a.requests * share / 1_000_000
		control := a.requests - candidate
		count("requests", candidate, control)
		count("upstream_5xx", candidate*a.candidateBad/1000, control*a.controlBad/1000)
	}
	return report
}

// publish commits a route and queues its rollout.
func (f *fleet) publish(name, path string, strategy *configv1.Strategy) (rolloutID int64) {
	f.t.Helper()
	return f.publishAll(map[string]string{name: path}, strategy)
}

func (f *fleet) publishAll(routes map[string]string, strategy *configv1.Strategy) (rolloutID int64) {
	f.t.Helper()
	return f.publishAs(routes, strategy, store.QueuedRollout{})
}

// publishAs says more about the rollout.
func (f *fleet) publishAs(routes map[string]string, strategy *configv1.Strategy, queued store.QueuedRollout) (rolloutID int64) {
	f.t.Helper()
	spec, err := proto.Marshal(rollout.WithDefaults(strategy))
	if err != nil {
		f.t.Fatal(err)
	}
	changes := []store.Change{f.upsert(configv1.Kind_KIND_SERVICE, "s", &configv1.Service{Url: "http://127.0.0.1:9001"})}
	for name, path := range routes {
		change := f.upsert(configv1.Kind_KIND_ROUTE, name, &configv1.Route{Service: "s", Match: &configv1.Match{Paths: []string{path}}})
		change.Delete = path == ""
		changes = append(changes, change)
	}
	f.change(func(ctx context.Context, tx *store.Tx) error {
		head, err := tx.LockHead(ctx, f.ID)
		if err != nil {
			return err
		}
		made, _, err := tx.CommitRevision(ctx, head, store.Commit{
			Origin: store.OriginPublish, Author: "ada", Message: "a change", Changes: changes,
		})
		if err != nil {
			return err
		}
		queued.FleetID, queued.Revision, queued.Stable = f.ID, made.Number, head.Stable
		queued.Strategy, queued.Spec, queued.Author = "test", spec, "ada"
		rolloutID, err = tx.QueueRollout(ctx, queued)
		return err
	})
	return rolloutID
}

func (f *fleet) upsert(kind configv1.Kind, name string, spec proto.Message) store.Change {
	f.t.Helper()
	body, err := revision.Encode(spec)
	if err != nil {
		f.t.Fatal(err)
	}
	return store.Change{Key: revision.Key{Kind: kind, Name: name}, Body: body}
}

func (f *fleet) get(id int64) rollout.Detail {
	f.t.Helper()
	detail, err := f.service.Get(f.t.Context(), f.Name, id)
	if err != nil && !errors.Is(err, store.ErrUnavailable) {
		f.t.Fatal(err)
	}
	return detail
}

// reaches waits until the rollout is as it should be.
func (f *fleet) reaches(id int64, what string, reached func(rollout.Detail) bool) rollout.Detail {
	f.t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		detail := f.get(id)
		if reached(detail) {
			return detail
		}
		select {
		case <-deadline:
			f.t.Fatalf("waited in vain: %s; it is %s in step %d: %s\nevents: %+v", what, detail.State, detail.Step, detail.Reason, detail.Events)
		case <-tick.C:
		}
	}
}

func (f *fleet) ends(id int64, state string) rollout.Detail {
	f.t.Helper()
	detail := f.reaches(id, "it ends", func(d rollout.Detail) bool {
		return d.State == rollout.Completed || d.State == rollout.RolledBack || d.State == rollout.Aborted || d.State == rollout.Superseded
	})
	if detail.State != state {
		f.t.Fatalf("rollout %d ended %s, want %s: %s", id, detail.State, state, detail.Reason)
	}
	return detail
}

func (f *fleet) head() (head store.Head) {
	f.t.Helper()
	f.change(func(ctx context.Context, tx *store.Tx) (err error) {
		head, err = tx.Head(ctx, f.ID)
		return err
	})
	return head
}

// revision returns the state of a revision, and what routes its content has.
func (f *fleet) revision(number int64) (state string, routes map[string]string) {
	f.t.Helper()
	routes = map[string]string{}
	f.change(func(ctx context.Context, tx *store.Tx) error {
		made, err := tx.Revision(ctx, f.ID, number)
		if err != nil {
			return err
		}
		state = made.State
		return tx.Content(ctx, f.ID, number, func(v store.Version) error {
			if v.Kind != configv1.Kind_KIND_ROUTE {
				return nil
			}
			var spec configv1.Route
			if err := proto.Unmarshal(v.Body, &spec); err != nil {
				return err
			}
			routes[v.Name] = spec.GetMatch().GetPaths()[0]
			return nil
		})
	})
	return state, routes
}

// quick is canary-then-all with short times.
func quick() *configv1.Strategy {
	return &configv1.Strategy{Steps: []*configv1.Step{
		{Agents: 1, TrafficPercent: 10, Bake: "150ms"},
		{AgentsPercent: 100, TrafficPercent: 50, Bake: "150ms"},
		{AgentsPercent: 100, TrafficPercent: 100},
	}}
}
