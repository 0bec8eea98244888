package e2e_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// A candidate that would refuse is found out before it has served anything.
func TestAShadowStepFindsWhatWouldChange(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	good := harness.NewUpstream(t, "good")
	s.Apply(ordersAt(good.URL))
	strategy := `{"strategy":{"name":"careful","spec":{"steps":[{"agents":1,"traffic_percent":50,"bake":"1s"},{"agents_percent":100,"traffic_percent":100}],` +
		`"shadow":{"sample_percent":100,"bake":"500ms","maximum_duration":"20s","minimum_samples":100,"on_difference":"hold"}}}}`
	answers(t, s, http.StatusOK, "PUT", "/v1/fleets/default/strategies/careful", jsonText(strings.TrimSuffix(strings.TrimPrefix(strategy, `{"strategy":`), "}")))
	load := harness.StartLoad(t, 300, s.Proxies("/orders/7"))
	out, code := s.CLIWithInput(ordersAt(good.URL)+`
plugins:
  - {name: orders-auth, type: key-auth, scope: {route: orders}}
`, "apply", "-f", "-", "--strategy", "careful", "-o", "json")
	if code != 4 || !strings.Contains(out, "would become key_missing instead of service orders (GET /orders/7)") {
		t.Fatalf("the rollout: %d %s, want that it is held and says what would change", code, out)
	}
	if counts := load.Stop(); len(counts) != 1 || counts["200"] == 0 {
		t.Errorf("clients saw %v, want nothing but 200", counts)
	}
	id := field(t, out, "rollout")
	shown := answers(t, s, http.StatusOK, "GET", "/v1/fleets/default/rollouts/"+id, nil, `"held"`, `"promote"`, "key_missing")
	if !strings.Contains(strings.ReplaceAll(shown.Body, " ", ""), `"proposals":[{"route":"orders","reason":"key_missing","max_percent":100}]`) {
		t.Errorf("no expectation is proposed: %s", shown.Body)
	}
	answers(t, s, http.StatusOK, "POST", "/v1/fleets/default/rollouts/"+id+":abort", jsonText(`{"reason":"not meant"}`))

	// What is as it was passes.
	load = harness.StartLoad(t, 300, s.Proxies("/orders/7"))
	out, code = s.CLIWithInput(ordersAt(good.URL)+"  - {name: users, service: orders, match: {paths: [/users]}}\n", "apply", "-f", "-", "--strategy", "careful", "-o", "json")
	if code != 0 {
		t.Fatalf("a harmless change: %d %s", code, out)
	}
	if counts := load.Stop(); len(counts) != 1 || counts["200"] == 0 {
		t.Errorf("clients saw %v, want nothing but 200", counts)
	}
	harness.Eventually(t, 5*time.Second, "its history says so", func() error {
		answers(t, s, http.StatusOK, "GET", "/v1/fleets/default/rollouts/"+field(t, out, "rollout"), nil, "sampled requests would be decided as they are")
		return nil
	})
}
