package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// What others say stops a rollout, or lets it go on.
func TestExternalGatesDecide(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	good := harness.NewUpstream(t, "good")
	s.Apply(ordersAt(good.URL))
	var value, verdict atomic.Value
	value.Store("0.1")
	verdict.Store("inconclusive")
	others := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.HasSuffix(r.URL.Path, "/api/v1/query") {
			_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"`+value.Load().(string)+`"]}]}}`)
			return
		}
		if !json.Valid(body) {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, `{"verdict":"`+verdict.Load().(string)+`","reason":"the shop says so"}`)
	}))
	t.Cleanup(others.Close)
	answers(t, s, http.StatusBadRequest, "PUT", "/v1/fleets/default/strategies/gated", jsonText(`{"name":"gated","spec":{"steps":[{"agents":1,"traffic_percent":50}],`+
		`"gates":[{"name":"a","prometheus":{"url":"`+others.URL+`","query":"x"}}]}}`), "prometheus_gate.bounds")
	answers(t, s, http.StatusOK, "PUT", "/v1/fleets/default/strategies/gated", jsonText(`{"name":"gated","spec":{`+
		`"steps":[{"agents":1,"traffic_percent":50,"bake":"500ms","maximum_duration":"1m"},{"agents_percent":100,"traffic_percent":100}],`+
		`"gates":[{"name":"latency","prometheus":{"url":"`+others.URL+`","query":"x","max":1,"interval":"200ms"}},`+
		`{"name":"shop","required":true,"webhook":{"url":"`+others.URL+`/gate","interval":"200ms"}}]}}`))
	load := harness.StartLoad(t, 300, s.Proxies("/orders/7"))
	defer load.Stop()
	users := "  - {name: users, service: orders, match: {paths: [/users]}}\n"
	s.Apply(ordersAt(good.URL)+users, "--strategy", "gated", "--wait=false")

	// It waits for the shop, however good its numbers are.
	harness.Eventually(t, 15*time.Second, "the shop was asked", func() error {
		rollout, err := s.LatestRollout()
		if err != nil {
			return err
		}
		r := s.Admin("GET", "/v1/fleets/default/rollouts/"+rollout.ID, nil, nil)
		if !strings.Contains(r.Body, "the shop says so") || !strings.Contains(r.Body, "0.1 is within its bounds") || rollout.Step != 0 {
			return io.ErrNoProgress
		}
		return nil
	})
	verdict.Store("pass")
	s.WaitRollout(2, "completed", 20*time.Second)

	// And what others see to go wrong takes the candidate back.
	value.Store("7")
	out, code := s.CLIWithInput(ordersAt(good.URL), "apply", "-f", "-", "--prune", "--strategy", "gated", "-o", "json")
	if code != 3 || !strings.Contains(out, "gate latency: 7 is above 1") {
		t.Errorf("a rollout that Prometheus is against: %d %s", code, out)
	}
}
