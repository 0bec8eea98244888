package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// watched is a strategy whose first step gives every agent the candidate, for long enough to break things in it.
const watched = `{"name":"watched","spec":{"steps":[
	{"agents_percent":100,"traffic_percent":50,"bake":"%s","minimum_samples":0},
	{"agents_percent":100,"traffic_percent":100,"bake":"0s","minimum_samples":0}]}}`

// parted is a fleet of three agents, two of which reach the control plane over a line that can be cut.
type parted struct {
	stack    *harness.Stack
	near     *harness.OwnAgent
	far      []*harness.OwnAgent
	line     *harness.Line
	one, two *harness.Upstream
	load     *harness.Load
}

func (p *parted) agents() []*harness.OwnAgent { return append([]*harness.OwnAgent{p.near}, p.far...) }

// newParted brings all three onto the candidate of revision 2, under load. The first step lasts for bake.
func newParted(t *testing.T, bake string) *parted {
	t.Helper()
	s := harness.Start(t, harness.Options{Agents: 1})
	p := &parted{stack: s, line: harness.NewLine(t, s.Ready.AgentAddress), one: harness.NewUpstream(t, "one"), two: harness.NewUpstream(t, "two")}
	p.near = s.StartAgent(t, "parted", "--name", "near", "--dead-man", "2s")
	for _, name := range []string{"far-1", "far-2"} {
		p.far = append(p.far, s.StartAgent(t, "parted", "--name", name, "--dead-man", "2s", "--control-plane", p.line.Address))
	}
	harness.Eventually(t, 30*time.Second, "all three are connected", func() error {
		var f harness.Fleet
		if r := s.Admin(http.MethodGet, "/v1/fleets/parted", nil, &f); r.Status != http.StatusOK || f.AgentsConnected != 3 {
			return fmt.Errorf("%d agents are connected", f.AgentsConnected)
		}
		return nil
	})
	answers(t, s, http.StatusOK, "PUT", "/v1/fleets/parted/strategies/watched", jsonText(fmt.Sprintf(watched, bake)))
	s.Apply(inFleet("parted", ordersAt(p.one.URL)))
	var urls []string
	for _, a := range p.agents() {
		urls = append(urls, a.Proxy+"/orders/7")
	}
	p.load = harness.StartLoad(t, 150, urls)
	s.Apply(inFleet("parted", ordersAt(p.two.URL)), "--strategy", "watched", "--wait=false")
	harness.Eventually(t, 30*time.Second, "all three serve the candidate", func() error { return p.serve(t.Context(), 1, 2) })
	return p
}

// serve says whether every agent serves a stable revision and a candidate.
func (p *parted) serve(ctx context.Context, stable, candidate int) error {
	for _, a := range p.agents() {
		if err := serves(ctx, a, stable, candidate); err != nil {
			return err
		}
	}
	return nil
}

func serves(ctx context.Context, a *harness.OwnAgent, stable, candidate int) error {
	served, err := a.Serves(ctx)
	if err != nil {
		return err
	}
	if served.Stable != stable || served.Candidate != candidate {
		return fmt.Errorf("%s serves revision %d and candidate %d, want %d and %d", a.Proxy, served.Stable, served.Candidate, stable, candidate)
	}
	return nil
}

// onlyForward notes what agents serve all the time, and fails the test if one goes back in the order of its states.
func (p *parted) onlyForward(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	for _, a := range p.agents() {
		watching.Go(func() {
			last := harness.Served{}
			tick := time.NewTicker(50 * time.Millisecond)
			defer tick.Stop()
			for ctx.Err() == nil {
				<-tick.C
				served, err := a.Serves(ctx)
				if err != nil {
					continue
				}
				if served.Epoch < last.Epoch || served.Epoch == last.Epoch && served.Generation < last.Generation {
					t.Errorf("%s went from state %d.%d to %d.%d", a.Proxy, last.Epoch, last.Generation, served.Epoch, served.Generation)
				}
				last = served
			}
		})
	}
	return func() {
		cancel()
		watching.Wait()
	}
}

// Agents that hold a candidate are parted from the control plane. They go back to stable by themselves; the rollout fails, for it
// lost them; and when the network is whole again nobody gets the candidate that was rolled back.
func TestAgentsThatArePartedFromTheControlPlaneGoBackByThemselves(t *testing.T) {
	t.Parallel()
	p := newParted(t, "10m")
	stop := p.onlyForward(t)
	p.line.Part()
	rollout := p.stack.WaitRolloutOf("parted", 2, "rolled_back", time.Minute)
	if !contains(rollout.Reason, "was lost for") {
		t.Errorf("it was rolled back for %q", rollout.Reason)
	}
	harness.Eventually(t, time.Minute, "the agents beyond the cut are back on stable", func() error {
		for _, a := range p.far {
			if err := serves(t.Context(), a, 1, 0); err != nil {
				return err
			}
		}
		return nil
	})
	if err := serves(t.Context(), p.near, 3, 0); err != nil { // the revert, with the content of revision 1
		t.Error(err)
	}
	before := p.two.Requests.Load()

	p.line.Mend()
	harness.Eventually(t, time.Minute, "all serve the same again", func() error { return p.serve(t.Context(), 3, 0) })
	stop()
	if counts := p.load.Stop(); counts["200"] < 200 || len(counts) != 1 {
		t.Errorf("clients saw %s; want only 200", p.load.Describe())
	}
	if after := p.two.Requests.Load(); after != before {
		t.Errorf("after the candidate was rolled back and no agent held it, it got %d requests", after-before)
	}
	takenOnce(t, rollout, 1)
}

// The control plane is away for longer than agents serve a candidate without it. Nobody led meanwhile, so nobody is to blame: the
// agents take the candidate up again, and the rollout goes on where it was.
func TestARolloutGoesOnAfterTheDeadManTookItBack(t *testing.T) {
	t.Parallel()
	p := newParted(t, "5s")
	stop := p.onlyForward(t)
	p.stack.Kill("tidegate-controlplane", syscall.SIGSTOP)
	harness.Eventually(t, time.Minute, "all agents are back on stable", func() error { return p.serve(t.Context(), 1, 0) })
	p.stack.Kill("tidegate-controlplane", syscall.SIGCONT)
	rollout := p.stack.WaitRolloutOf("parted", 2, "completed", 90*time.Second)
	harness.Eventually(t, 20*time.Second, "all agents serve it", func() error { return p.serve(t.Context(), 2, 0) })
	stop()
	if counts := p.load.Stop(); counts["200"] < 200 || len(counts) != 1 {
		t.Errorf("clients saw %s; want only 200", p.load.Describe())
	}
	takenOnce(t, rollout, 2)
}
