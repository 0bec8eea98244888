package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// A change after which every request of a route hangs is taken back while they do: not when the time is up that they have.
func TestACandidateWhoseRequestsHangIsTakenBackBeforeTheyEnd(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	good, release := harness.NewUpstream(t, "good"), make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(release); hangs.Close() })
	strategy := `{"name":"patient","spec":{"steps":[{"agents":1,"traffic_percent":10,"bake":"5m"},{"agents_percent":100,"traffic_percent":100}]}}`
	answers(t, s, http.StatusOK, "PUT", "/v1/fleets/default/strategies/patient", jsonText(strategy))
	config := func(url string) string {
		return fmt.Sprintf("fleet: default\nservices:\n  - {name: orders, url: %q, timeouts: {response_header: 10m}}\nroutes:\n"+
			"  - {name: orders, service: orders, match: {paths: [\"/orders/**\"]}}\n", url)
	}
	s.Apply(config(good.URL))

	load := harness.StartLoad(t, 300, s.Proxies("/orders/7"))
	harness.Eventually(t, time.Minute, "the gateway knows how long requests take", func() error {
		if n := good.Requests.Load(); n < 1500 {
			return fmt.Errorf("%d requests", n)
		}
		return nil
	})
	out, code := s.CLIWithInput(config(hangs.URL), "apply", "-f", "-", "--strategy", "patient")
	if code != 3 {
		t.Errorf("apply exited with %d, want 3 (rolled back):\n%s", code, out)
	}
	rollout := s.WaitRollout(2, "rolled_back", time.Minute)
	if !strings.Contains(rollout.Reason, "slower than stable's p") {
		t.Errorf("reason %q, want that it is slower", rollout.Reason)
	}
	answersFrom(t, s.Ready.Agents[0].Proxy+"/orders/7", "good")
	t.Logf("%s; %s", rollout.Reason, load.Describe())
}
