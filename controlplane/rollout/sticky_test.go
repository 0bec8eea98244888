package rollout_test

import (
	"strings"
	"testing"
	"time"

	"tidegate.dev/controlplane/rollout"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func sticky(percents ...float64) *configv1.Strategy {
	strategy := &configv1.Strategy{Sticky: &configv1.Stickiness{By: &configv1.Stickiness_Consumer{Consumer: true}}}
	for _, percent := range percents {
		strategy.Steps = append(strategy.Steps, &configv1.Step{AgentsPercent: 100, TrafficPercent: percent, Bake: "10s"})
	}
	return strategy
}

// units are sums of what agents counted of a sticky coin.
func units(metric, route string, share int32, candidate, control int64) rollout.Sum {
	return rollout.Sum{Metric: metric, Route: route, SharePPM: share, Candidate: candidate, Control: control, InStable: route != "new", Units: true}
}

func TestSharesThatFallCannotBeSticky(t *testing.T) {
	t.Parallel()
	if violations, err := rollout.Validate(sticky(10, 10, 50)); err != nil || len(violations) > 0 {
		t.Errorf("%v, %v", violations, err)
	}
	violations, err := rollout.Validate(sticky(10, 50, 20))
	if err != nil || len(violations) != 1 || violations[0].Field != "steps[2].traffic_percent" {
		t.Errorf("%v, %v", violations, err)
	}
	both := sticky(10)
	both.Sticky.KeyHeader, both.Sticky.By = "x-key", &configv1.Stickiness_Cookie{Cookie: "arm"}
	if violations, err := rollout.Validate(both); err != nil || len(violations) == 0 {
		t.Errorf("a header with keys and a cookie: %v, %v", violations, err)
	}
}

func TestUnitsAreJudged(t *testing.T) {
	t.Parallel()
	plan, err := rollout.PlanOf(sticky(10, 50), false)
	if err != nil {
		t.Fatal(err)
	}
	state := rollout.State{Plan: plan, Routes: 5, Rollout: rollout.Rollout{
		ID: 1, FleetID: 1, Revision: 5, StableRevision: 4, State: rollout.Running, Step: 1, SharePPM: 500_000, JudgedAgents: 1, JudgedRoutes: 10,
		StartedAt: goldenNow.Add(-30 * time.Second), StepAt: goldenNow.Add(-5 * time.Second), ServingAt: goldenNow.Add(-4 * time.Second), Agents: 1,
	}}
	verdict := func(sums ...rollout.Sum) rollout.Verdict {
		state.Sums = sums
		for _, v := range rollout.Look(goldenNow, state) {
			if v.Metric == "upstream_5xx" && v.Route == "" {
				return v
			}
		}
		t.Fatal("5xx in total is not judged")
		return rollout.Verdict{}
	}
	// Units of both throws, and requests that brought no unit.
	requests := rollout.Sum{Metric: "requests", SharePPM: 500_000, Candidate: 3, Control: 4, InStable: true}
	v := verdict(units("requests", "", 100_000, 10, 90), units("requests", "", 444_445, 40, 50), requests, units("upstream_5xx", "", 444_445, 1, 1))
	if v.CandidateTotal != 53 || v.ControlTotal != 144 || v.Verdict == "fail" || !strings.Contains(v.Explanation, "of 53 candidate units") {
		t.Errorf("verdict %+v", v)
	}
	if v = verdict(units("requests", "", 444_445, 40, 50), units("upstream_5xx", "", 444_445, 40, 1)); v.Verdict != "fail" {
		t.Errorf("40 of 40 units fail and it says %+v", v)
	}
	// The agents have left a new route out of their totals; it is not taken out again.
	v = verdict(units("requests", "", 444_445, 40, 50), units("upstream_5xx", "", 444_445, 5, 5), units("requests", "new", 444_445, 30, 0), units("upstream_5xx", "new", 444_445, 3, 0))
	if v.CandidateBad != 5 || v.CandidateTotal != 40 {
		t.Errorf("verdict %+v", v)
	}
}

// A unit counts once at a share, so a second step of the same share need not see new ones.
func TestUnitsOfAStepBeforeAreSamplesToo(t *testing.T) {
	t.Parallel()
	plan, err := rollout.PlanOf(sticky(50, 50, 90), false)
	if err != nil {
		t.Fatal(err)
	}
	for i := range plan.Steps {
		plan.Steps[i].MinimumSamples, plan.Steps[i].OnInconclusive, plan.Steps[i].Approval = 20, "hold", true
	}
	for seen, want := range map[int64]string{19: "19 of 20 units", 20: "waits for approval"} {
		state := rollout.State{Plan: plan, Routes: 5, Rollout: rollout.Rollout{
			ID: 1, FleetID: 1, Revision: 5, StableRevision: 4, State: rollout.Running, Step: 1, SharePPM: 500_000, JudgedAgents: 1, JudgedRoutes: 10,
			StartedAt: goldenNow.Add(-time.Minute), StepAt: goldenNow.Add(-30 * time.Second), ServingAt: goldenNow.Add(-29 * time.Second),
			Agents: 1, BaseRequests: 0,
		}}
		state.Agents = []rollout.Agent{{ID: "a", Name: "a", BootID: "b", Alive: true, Status: "serving", Candidate: 5}}
		state.Members = []rollout.Member{{AgentID: "a", Name: "a", BootID: "b"}}
		state.Sums = []rollout.Sum{units("requests", "", 500_000, seen, seen)}
		var said []string
		for _, action := range rollout.Decide(goldenNow, state) {
			said = append(said, action.String())
		}
		if !strings.Contains(strings.Join(said, "\n"), want) {
			t.Errorf("with %d units it decides %q, want %q", seen, said, want)
		}
	}
}
