package e2e_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// A gate that is thought of afterwards is tried on what was rolled out before.
func TestAGateIsTriedOnWhatWasRolledOut(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	stable, worse := failingUpstream(t, 1), failingUpstream(t, 5)
	s.Apply(ordersAt(stable))
	answers(t, s, http.StatusOK, "PUT", "/v1/fleets/default/strategies/lax", jsonText(`{"name":"lax","spec":{"tolerance":80,`+
		`"steps":[{"agents":1,"traffic_percent":50,"bake":"2s","maximum_duration":"1m","minimum_samples":300,"on_inconclusive":"hold"},`+
		`{"agents_percent":100,"traffic_percent":100}]}}`))
	load := harness.StartLoad(t, 300, s.Proxies("/orders/7"))
	defer load.Stop()

	// 1. A candidate that fails five times as many requests goes through a strategy that accepts eighty times.
	s.Apply(ordersAt(worse), "--strategy", "lax", "--wait=false")
	s.WaitRollout(2, "completed", time.Minute)

	// 2. A stricter gate would have taken it back, and says when and why.
	out, code := s.CLI("rollout", "try", "--tolerance", "1.1", "--metric", "upstream_5xx", "-o", "json")
	var tried struct {
		Rollouts []struct {
			Revision                                                int
			State, Verdict, Difference, Gate, Metric, Moment, After string
			Explanation                                             string
		}
		Caveats []string
	}
	if err := json.Unmarshal([]byte(out), &tried); err != nil || code != 0 || len(tried.Rollouts) != 2 || len(tried.Caveats) == 0 {
		t.Fatalf("trying a gate: %d %v\n%s", code, err, out)
	}
	if got := tried.Rollouts[0]; got.Revision != 2 || got.State != "completed" || got.Verdict != "fail" || got.Difference != "taken_back" ||
		got.Metric != "upstream_5xx" || got.Moment != "reading" || got.After == "" || !strings.Contains(got.Explanation, "candidate requests") {
		t.Errorf("a strict gate says %+v", got)
	}

	// 3. The gate that it had lets it through, and an objective does not.
	if out, code := s.CLI("rollout", "try"); code != 0 || !strings.Contains(out, "Of 2: 0 that went through would have been taken back") {
		t.Errorf("the gate that it had: %d\n%s", code, out)
	}
	if out, code := s.CLI("rollout", "try", "--objective", "errors=20"); code != 0 || !strings.Contains(out, "would be taken back") {
		t.Errorf("an objective: %d\n%s", code, out)
	}
	answers(t, s, http.StatusBadRequest, "POST", "/v1/fleets/default/rollouts:try", jsonText(`{}`), "try_gate.something")
}

// failingUpstream answers so many of ten requests with 500.
func failingUpstream(t *testing.T, ofTen int64) string {
	t.Helper()
	var requests atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1)%10 < ofTen {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}
