package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// A step of an hour ends within seconds when the strategy lets it and the candidate is shown to be no worse than is tolerated.
func TestAStepEndsBeforeItsTime(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	upstream := failingUpstream(t, 2) // without errors there would be nothing to compare
	s.Apply(ordersAt(upstream))
	answers(t, s, http.StatusBadRequest, "PUT", "/v1/fleets/default/strategies/early", jsonText(`{"name":"early","spec":{"steps":[`+
		`{"agents_percent":100,"traffic_percent":100,"bake":"1h","early_pass":true}]}}`), "step.early_pass")
	answers(t, s, http.StatusOK, "PUT", "/v1/fleets/default/strategies/early", jsonText(`{"name":"early","spec":{"tolerance":4,"steps":[`+
		`{"agents":1,"traffic_percent":50,"bake":"1h","early_pass":true},{"agents_percent":100,"traffic_percent":100}]}}`))
	load := harness.StartLoad(t, 300, s.Proxies("/orders/7"))
	defer load.Stop()

	s.Apply(ordersAt(upstream)+"  - {name: users, service: orders, match: {paths: [/users]}}\n", "--strategy", "early", "--wait=false")
	rollout := s.WaitRollout(2, "completed", 2*time.Minute)
	for _, event := range rollout.Events {
		if strings.Contains(event.Message, "passed early, after ") && strings.Contains(event.Message, "of 1h0m0s: shown to be no worse in ") {
			return
		}
	}
	t.Errorf("the history does not say that it passed early: %+v", rollout.Events)
}
