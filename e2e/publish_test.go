package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// quick is a strategy that does what the default does, in seconds.
const quick = `{"name":"quick","spec":{"steps":[
	{"agents":1,"traffic_percent":20,"bake":"1s","minimum_samples":20,"maximum_duration":"20s"},
	{"agents_percent":100,"traffic_percent":50,"bake":"1s","minimum_samples":20,"maximum_duration":"20s"},
	{"agents_percent":100,"traffic_percent":100,"bake":"1s","minimum_samples":0}]}}`

func useQuickStrategy(t *testing.T, s *harness.Stack) {
	t.Helper()
	r := s.Admin(http.MethodPut, "/v1/fleets/default/strategies/quick", jsonText(quick), nil)
	if r.Status != http.StatusOK {
		t.Fatalf("making the strategy: %d %s", r.Status, r.Body)
	}
}

// ordersAt is a configuration of one service and one route.
func ordersAt(url string) string {
	return fmt.Sprintf(`
fleet: default
services:
  - {name: orders, url: %q}
routes:
  - {name: orders, service: orders, match: {paths: ["/orders/**"]}}
`, url)
}

func TestAChangeReachesEveryAgentStepByStep(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{})
	useQuickStrategy(t, s)
	one, two := harness.NewUpstream(t, "one"), harness.NewUpstream(t, "two")

	// The first revision: no traffic to compare with, so it goes everywhere once the agents hold it.
	s.Apply(ordersAt(one.URL))
	for _, url := range s.Proxies("/orders/7") {
		answersFrom(t, url, "one")
	}
	// What matches nothing is answered by the gateway, and says so.
	r := mustGet(t, s.Ready.Agents[0].Proxy+"/nothing")
	if r.Status != http.StatusNotFound || r.Reason() != "no_route" || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/problem+json") {
		t.Errorf("a request without a route: %d, reason %q, %s: %s", r.Status, r.Reason(), r.Header.Get("Content-Type"), r.Body)
	}

	// The second, under load: both arms serve side by side, and nobody notices.
	load := harness.StartLoad(t, 200, s.Proxies("/orders/7"))
	s.Apply(ordersAt(two.URL), "--strategy", "quick")
	rollout := s.WaitRollout(2, "completed", time.Minute)
	for _, url := range s.Proxies("/orders/7") {
		answersFrom(t, url, "two")
	}
	if counts := load.Stop(); counts["200"] < 200 || len(counts) != 1 {
		t.Errorf("under the rollout: %s; want only 200", load.Describe())
	}
	if steps := append(eventsOf(rollout, "started"), eventsOf(rollout, "step")...); len(steps) != 3 {
		t.Errorf("steps taken: %q, want 3", steps)
	}
	if f := s.Fleet(); f.StableRevision != 2 || f.HeadRevision != 2 || f.AgentsConnected != 3 {
		t.Errorf("the fleet afterwards: %+v", f)
	}

	// The same file again is no change.
	if out := s.Apply(ordersAt(two.URL)); s.Fleet().HeadRevision != 2 {
		t.Errorf("applying the same file made revision %d:\n%s", s.Fleet().HeadRevision, out)
	}
	// And back.
	s.MustCLI("rollback", "1")
	harness.Eventually(t, 20*time.Second, "revision 1's content is back", func() error {
		for _, url := range s.Proxies("/orders/7") {
			if r := mustGet(t, url); r.Header.Get("X-Upstream") != "one" {
				return fmt.Errorf("%s answers from %q", url, r.Header.Get("X-Upstream"))
			}
		}
		return nil
	})
}

func TestABadChangeIsTakenBackByItself(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{})
	useQuickStrategy(t, s)
	good := harness.NewUpstream(t, "good")
	s.Apply(ordersAt(good.URL))

	load := harness.StartLoad(t, 300, s.Proxies("/orders/7"))
	out, code := s.CLIWithInput(ordersAt("http://127.0.0.1:1"), "apply", "-f", "-", "--strategy", "quick")
	if code != 3 {
		t.Errorf("apply of a dead upstream exited with %d, want 3 (rolled back):\n%s", code, out)
	}
	rollout := s.WaitRollout(2, "rolled_back", 30*time.Second)
	if !strings.Contains(rollout.Reason, "upstream_unreachable") {
		t.Errorf("reason %q, want it to name upstream_unreachable", rollout.Reason)
	}
	harness.Eventually(t, 10*time.Second, "every agent is back on stable", func() error {
		for range 20 {
			for _, url := range s.Proxies("/orders/7") {
				if r := mustGet(t, url); r.Status != http.StatusOK {
					return fmt.Errorf("%s answers %d", url, r.Status)
				}
			}
		}
		return nil
	})
	counts := load.Stop()
	bad := 0
	for outcome, n := range counts {
		if outcome != "200" {
			bad += n
		}
	}
	t.Logf("requests that failed before it was taken back: %d (%s)", bad, load.Describe())
	if bad > 30 {
		t.Errorf("%d requests failed, want a few: %s", bad, load.Describe())
	}
	// The head is what it was, so that the next edit does not ship the bad change again.
	s.Apply(ordersAt(good.URL) + "  - {name: more, service: orders, match: {paths: [/more]}}\n")
	answersFrom(t, s.Ready.Agents[0].Proxy+"/orders/7", "good")
	answersFrom(t, s.Ready.Agents[0].Proxy+"/more", "good")
}
