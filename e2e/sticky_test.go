package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// byTenant waits for a person before each step but the first, so that each can be looked at.
const byTenant = `{"name":"by-tenant","spec":{"sticky":{"header":"x-tenant"},"steps":[
	{"agents_percent":100,"traffic_percent":30,"bake":"200ms","minimum_samples":0},
	{"agents_percent":100,"traffic_percent":60,"bake":"200ms","minimum_samples":0,"approval":true},
	{"agents_percent":100,"traffic_percent":100,"approval":true}]}}`

const tenants = 120

// candidates asks every agent for every tenant, and returns those that have the candidate. All agents must agree.
func candidates(t *testing.T, s *harness.Stack) map[string]bool {
	t.Helper()
	have := map[string]bool{}
	for i := range tenants {
		tenant := fmt.Sprintf("tenant-%d", i)
		for at, url := range append(s.Proxies("/orders/7"), s.Proxies("/orders/7")...) {
			candidate := mustGet(t, url, "X-Tenant: "+tenant).Header.Get("X-Upstream") == "two"
			if at > 0 && candidate != have[tenant] {
				t.Fatalf("%s has the candidate: %t at %s, %t elsewhere", tenant, candidate, url, have[tenant])
			}
			have[tenant] = candidate
		}
	}
	for tenant, candidate := range have {
		if !candidate {
			delete(have, tenant)
		}
	}
	return have
}

func waitForApproval(t *testing.T, s *harness.Stack, step int) {
	t.Helper()
	harness.Eventually(t, time.Minute, fmt.Sprintf("the rollout waits for a person after step %d", step), func() error {
		rollout, err := s.LatestRollout()
		if err != nil || rollout.State != "awaiting_approval" || rollout.Step != step {
			return fmt.Errorf("it is %s at step %d: %w", rollout.State, rollout.Step, err)
		}
		return nil
	})
}

func TestATenantStaysOnItsArm(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{})
	answers(t, s, http.StatusOK, "PUT", "/v1/fleets/default/strategies/by-tenant", jsonText(byTenant))
	if out := s.MustCLI("get", "strategies", "by-tenant"); !strings.Contains(out, "header=x-tenant") {
		t.Errorf("the strategy is shown as\n%s\nwant that it names the header", out)
	}
	one, two := harness.NewUpstream(t, "one"), harness.NewUpstream(t, "two")
	s.Apply(ordersAt(one.URL))
	s.Apply(ordersAt(two.URL), "--strategy", "by-tenant", "--wait=false")
	waitForApproval(t, s, 0)

	first := candidates(t, s)
	if len(first) < 10 || len(first) > 62 { // five standard deviations of a binomial
		t.Errorf("at 30 %% %d of %d tenants have the candidate", len(first), tenants)
	}
	// Each tenant was counted once, though it sent six requests to three agents.
	harness.Eventually(t, 20*time.Second, "every tenant is counted", func() error {
		rollout, err := s.LatestRollout()
		if err != nil {
			return err
		}
		for _, verdict := range rollout.Evidence {
			if verdict.Metric == "upstream_5xx" && verdict.CandidateTotal == fmt.Sprint(len(first)) && verdict.ControlTotal == fmt.Sprint(tenants-len(first)) {
				return nil
			}
		}
		return fmt.Errorf("counted are %+v, want %d and %d units", rollout.Evidence, len(first), tenants-len(first))
	})
	// One tenant that has the candidate asks for nonsense, as it would have anyway. It is one unit, not hundreds of failures.
	for tenant := range first {
		for range 200 {
			mustGet(t, s.Ready.Agents[0].Proxy+"/nonsense", "X-Tenant: "+tenant)
		}
		break
	}
	// Without the header each request has its own coin.
	seen := map[string]bool{}
	for range 60 {
		seen[mustGet(t, s.Ready.Agents[0].Proxy+"/orders/7").Header.Get("X-Upstream")] = true
	}
	if !seen["one"] || !seen["two"] {
		t.Errorf("without a tenant only %v answered", seen)
	}

	rollout, err := s.LatestRollout()
	if err != nil || rollout.State != "awaiting_approval" {
		t.Fatalf("the rollout is %s: %s, %v", rollout.State, rollout.Reason, err)
	}
	answers(t, s, http.StatusOK, "POST", "/v1/fleets/default/rollouts/"+rollout.ID+":approve", jsonText(`{"reason":"as wanted"}`))
	waitForApproval(t, s, 1)
	second := candidates(t, s)
	for tenant := range first {
		if !second[tenant] {
			t.Errorf("%s has lost the candidate", tenant)
		}
	}
	if len(second) < 45 || len(second) > 99 {
		t.Errorf("at 60 %% %d of %d tenants have the candidate", len(second), tenants)
	}
	answers(t, s, http.StatusOK, "POST", "/v1/fleets/default/rollouts/"+rollout.ID+":abort", jsonText(`{"reason":"seen enough"}`))
	s.WaitRollout(2, "aborted", 30*time.Second)
}

// A candidate that fails is taken back by the units that it fails.
func TestABadCandidateIsTakenBackByItsUnits(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{})
	answers(t, s, http.StatusOK, "PUT", "/v1/fleets/default/strategies/by-cookie",
		jsonText(`{"name":"by-cookie","spec":{"sticky":{"cookie":"arm"},"steps":[{"agents_percent":100,"traffic_percent":20,"bake":"1m"},{"agents_percent":100,"traffic_percent":100}]}}`))
	good := harness.NewUpstream(t, "good")
	s.Apply(ordersAt(good.URL))
	// The load keeps no cookies, so each of its requests is a unit of its own.
	load := harness.StartLoad(t, 100, s.Proxies("/orders/7"))
	out, code := s.CLIWithInput(ordersAt("http://127.0.0.1:1"), "apply", "-f", "-", "--strategy", "by-cookie")
	if code != 3 || !strings.Contains(out, "upstream_unreachable") {
		t.Errorf("apply exited with %d, want 3 (rolled back):\n%s", code, out)
	}
	t.Log(load.Describe())
	s.WaitRollout(2, "rolled_back", 30*time.Second)
	if cookie := mustGet(t, s.Ready.Agents[0].Proxy+"/orders/7").Header.Get("Set-Cookie"); cookie != "" {
		t.Errorf("with no candidate a cookie is set: %s", cookie)
	}
}
