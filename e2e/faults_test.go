package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// slowly is a strategy with time to break things in its first step.
const slowly = `{"name":"slowly","spec":{"steps":[
	{"agents":1,"traffic_percent":20,"bake":"4s","minimum_samples":20,"maximum_duration":"60s"},
	{"agents_percent":100,"traffic_percent":50,"bake":"2s","minimum_samples":20,"maximum_duration":"60s"},
	{"agents_percent":100,"traffic_percent":100,"bake":"0s","minimum_samples":0}]}}`

// midRollout brings a stack into the first step of a rollout under load.
func midRollout(t *testing.T) (*harness.Stack, *harness.Load) {
	t.Helper()
	s := harness.Start(t, harness.Options{})
	if r := s.Admin(http.MethodPut, "/v1/fleets/default/strategies/slowly", jsonText(slowly), nil); r.Status != http.StatusOK {
		t.Fatalf("making the strategy: %d %s", r.Status, r.Body)
	}
	one, two := harness.NewUpstream(t, "one"), harness.NewUpstream(t, "two")
	s.Apply(ordersAt(one.URL))
	load := harness.StartLoad(t, 200, s.Proxies("/orders/7"))
	s.Apply(ordersAt(two.URL), "--strategy", "slowly", "--wait=false")
	harness.Eventually(t, 20*time.Second, "one agent serves the candidate", func() error {
		r, err := s.LatestRollout()
		if err != nil {
			return err
		}
		if r.Revision != 2 || r.State != "running" || r.CandidateAgents != 1 {
			return fmt.Errorf("rollout of revision %d is %s with %d agents", r.Revision, r.State, r.CandidateAgents)
		}
		return nil
	})
	return s, load
}

// endsWell waits for the rollout's end and checks that every step was taken once and no request failed.
func endsWell(t *testing.T, s *harness.Stack, load *harness.Load) {
	t.Helper()
	rollout := s.WaitRollout(2, "completed", 90*time.Second)
	for _, url := range s.Proxies("/orders/7") {
		answersFrom(t, url, "two")
	}
	if counts := load.Stop(); counts["200"] < 200 || len(counts) != 1 {
		t.Errorf("under the fault: %s; want only 200", load.Describe())
	}
	takenOnce(t, rollout, 3)
}

// takenOnce checks that a rollout took so many steps, and each once.
func takenOnce(t *testing.T, rollout harness.Rollout, steps int) {
	t.Helper()
	taken := map[int]int{}
	for _, e := range rollout.Events {
		if e.Type == "started" || e.Type == "step" {
			taken[e.Step]++
		}
	}
	for step := range steps {
		if taken[step] != 1 {
			t.Errorf("step %d was taken %d times: %q", step, taken[step], eventsOf(rollout, "step"))
		}
	}
	if len(taken) != steps {
		t.Errorf("%d steps were taken, want %d", len(taken), steps)
	}
}

// inFleet is a configuration for another fleet.
func inFleet(fleet, file string) string {
	return strings.Replace(file, "fleet: default", "fleet: "+fleet, 1)
}

func TestARolloutGoesOnWhereItWasWhenTheControlPlaneIsKilled(t *testing.T) {
	t.Parallel()
	s, load := midRollout(t)
	s.Kill("tidegate-controlplane", syscall.SIGKILL)
	s.WaitRestarted("tidegate-controlplane")
	endsWell(t, s, load)
}

func TestARolloutGoesOnWhenPostgresIsKilled(t *testing.T) {
	t.Parallel()
	s, load := midRollout(t)
	s.Kill("postgres", syscall.SIGKILL)
	endsWell(t, s, load)
}

// Whatever Postgres and the control plane are saying to each other is cut, all through the rollout.
func TestARolloutGoesOnWhenConnectionsAreCut(t *testing.T) {
	t.Parallel()
	s, load := midRollout(t)
	ctx, stop := context.WithCancel(t.Context())
	var cutting sync.WaitGroup
	cut := 0
	cutting.Go(func() {
		tick := time.NewTicker(700 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				cut += s.CutConnections()
			}
		}
	})
	s.WaitRollout(2, "completed", 90*time.Second)
	stop()
	cutting.Wait()
	if cut == 0 {
		t.Error("no connection was there to be cut")
	}
	endsWell(t, s, load)
}

func TestAnAgentServesFromItsDiskWithoutAControlPlane(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	upstream := harness.NewUpstream(t, "orders")
	s.Apply(ordersAt(upstream.URL) + guarded)
	key := createKey(t, s, "acme")
	url := s.Ready.Agents[0].Proxy + "/orders/7"
	works := func() error {
		r, err := harness.Get(t.Context(), url, "X-Api-Key: "+key.Secret)
		if err != nil {
			return err
		}
		if r.Status != http.StatusOK {
			return fmt.Errorf("%d %s", r.Status, r.Reason())
		}
		return nil
	}
	harness.Eventually(t, 2*time.Second, "the key works", works)

	// The control plane hangs, which is worse than being gone: connections open, and nothing answers.
	s.Kill("tidegate-controlplane", syscall.SIGSTOP)
	t.Cleanup(func() { s.Kill("tidegate-controlplane", syscall.SIGCONT) })
	s.Kill(s.Ready.Agents[0].Name, syscall.SIGKILL)
	began := time.Now()
	harness.Eventually(t, 5*time.Second, "the restarted agent serves, keys included", works)
	t.Logf("served again %s after kill -9", time.Since(began).Round(time.Millisecond))
	if r := mustGet(t, url); r.Reason() != "key_missing" {
		t.Errorf("without a key: %d %s", r.Status, r.Reason())
	}

	// Break-glass: the operator of the machine steers the agent over its socket.
	folder := filepath.Join(s.Dir(), "agents", s.Ready.Agents[0].Name)
	for _, step := range []struct{ verb, says string }{{"pin", "yes"}, {"status", "revision 1"}, {"unpin", "no"}} {
		if out := s.MustCLI("agent", "local", step.verb, "--state-dir", folder); !contains(out, step.says) {
			t.Errorf("agent local %s says:\n%s\nwant %q", step.verb, out, step.says)
		}
	}

	// What was done is remembered by the next process. (A second kill -9 within a minute would speak against the revision.)
	s.Kill(s.Ready.Agents[0].Name, syscall.SIGTERM)
	harness.Eventually(t, 20*time.Second, "the agent serves again", works)

	s.Kill("tidegate-controlplane", syscall.SIGCONT)
	harness.Eventually(t, 30*time.Second, "the agent is connected again", func() error {
		if f := s.Fleet(); f.AgentsConnected != 1 {
			return fmt.Errorf("%d agents connected", f.AgentsConnected)
		}
		return nil
	})
	brokenGlassIsAudited(t, s)
	s.MustCLI("key", "revoke", "acme", key.Key.ID)
	harness.Eventually(t, time.Second, "and obeys", func() error {
		if works() == nil {
			return fmt.Errorf("the revoked key still works")
		}
		return nil
	})
}

// brokenGlassIsAudited checks that the audit has what an operator did with the agent, once, with who it was, also after the agent has
// connected anew.
func brokenGlassIsAudited(t *testing.T, s *harness.Stack) {
	t.Helper()
	audited := func(want ...string) {
		t.Helper()
		harness.Eventually(t, 30*time.Second, "the audit tells what was done to the agent", func() error {
			var list struct {
				Events []struct {
					Actor, Action, Reason, Resource string
				} `json:"audit_events"`
			}
			s.Admin(http.MethodGet, "/v1/auditEvents?filter="+url.QueryEscape("actor=agent agent-1"), nil, &list)
			var got []string
			for _, event := range list.Events {
				got = append([]string{event.Action}, got...)
				if !contains(event.Reason, fmt.Sprintf("by uid %d", os.Getuid())) || event.Resource != "agents/agent-1" {
					t.Errorf("the audit says %+v", event)
				}
			}
			if !slices.Equal(got, want) {
				return fmt.Errorf("it has %q, want %q", got, want)
			}
			return nil
		})
	}
	audited("agent.local.pin", "agent.local.unpin")
	s.Kill(s.Ready.Agents[0].Name, syscall.SIGTERM)
	folder := filepath.Join(s.Dir(), "agents", s.Ready.Agents[0].Name)
	harness.Eventually(t, 30*time.Second, "the agent runs again", func() error {
		if out, code := s.CLI("agent", "local", "pin", "--state-dir", folder); code != 0 {
			return fmt.Errorf("pin: %s", out)
		}
		return nil
	})
	s.MustCLI("agent", "local", "unpin", "--state-dir", folder)
	audited("agent.local.pin", "agent.local.unpin", "agent.local.pin", "agent.local.unpin")
}

func TestBadInputIsRefusedWithTheFieldAndLosesNothing(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	upstream := harness.NewUpstream(t, "orders")
	s.Apply(ordersAt(upstream.URL))
	cases := []struct{ name, file, wants string }{
		{"an unknown field", "services:\n  - {name: a, url: 'http://a', colour: red}\n", "2:"},
		{"a bad duration", "services:\n  - {name: a, url: 'http://a', timeouts: {connect: soon}}\n", "timeouts.connect"},
		{"a route to nowhere", "routes:\n  - {name: a, service: nowhere, match: {paths: [/a]}}\n", "nowhere"},
		{"an unknown plugin type", "plugins:\n  - {name: a, type: magic}\n", "magic"},
		{"two routes that tie", "routes:\n  - {name: other, service: orders, match: {paths: ['/orders/**']}}\n", "orders"},
		{"a bad path", "routes:\n  - {name: a, service: orders, match: {paths: ['orders']}}\n", "paths[0]"},
	}
	for i, c := range cases {
		out, code := s.CLIWithInput("fleet: default\n"+c.file, "apply", "-f", "-")
		if code != 1 || !contains(out, c.wants) {
			t.Errorf("%d. %s: exit %d, want 1 and %q in:\n%s", i, c.name, code, c.wants, out)
		}
	}
	if f := s.Fleet(); f.HeadRevision != 1 {
		t.Errorf("head is revision %d, want 1", f.HeadRevision)
	}
	answersFrom(t, s.Ready.Agents[0].Proxy+"/orders/7", "orders")
	// The API itself: a problem document that names the field.
	r := s.Admin(http.MethodPut, "/v1/fleets/default/services/a", jsonText(`{"spec":{"url":"ftp://a","host":"mine"}}`), nil)
	if r.Status != http.StatusBadRequest || !contains(r.Body, "spec.url") || !contains(r.Body, "spec.host") ||
		!contains(r.Header.Get("Content-Type"), "application/problem+json") {
		t.Errorf("PUT of a bad service: %d %s %s", r.Status, r.Header.Get("Content-Type"), r.Body)
	}
	if r, err := harness.Get(t.Context(), s.Ready.Admin+"/v1/fleets"); err != nil || r.Status != http.StatusUnauthorized {
		t.Errorf("without a token: %d, %v", r.Status, err)
	}
}
