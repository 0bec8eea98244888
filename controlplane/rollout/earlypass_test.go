package rollout_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tidegate.dev/controlplane/rollout"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// comparedTraffic is two routes of one rollout under a coin of 20 %. Ratios say how many times as likely as in the control a
// request is to be bad in the candidate, by what and where.
type comparedTraffic struct {
	plan   rollout.Plan
	ratios map[[2]string]float64
	random *rand.Rand
	sums   map[[2]string]*rollout.Sum
}

const (
	comparedAlpha = 0.05
	comparedShare = 200_000
)

func newComparedTraffic(t *testing.T, seed uint64, ratios map[[2]string]float64) *comparedTraffic {
	t.Helper()
	alpha := comparedAlpha
	plan, err := rollout.PlanOf(&configv1.Strategy{Alpha: &alpha, Steps: []*configv1.Step{
		{Agents: 1, TrafficPercent: 20, Bake: "1h", EarlyPass: true},
		{AgentsPercent: 100, TrafficPercent: 100},
	}}, false)
	if err != nil {
		t.Fatal(err)
	}
	return &comparedTraffic{plan: plan, ratios: ratios, random: rand.New(rand.NewPCG(seed, 11)), sums: map[[2]string]*rollout.Sum{}}
}

func (c *comparedTraffic) count(metric, route string, candidate, control int64) {
	for _, at := range []string{"", route} {
		sum := c.sums[[2]string{metric, at}]
		if sum == nil {
			sum = &rollout.Sum{Metric: metric, Route: at, SharePPM: comparedShare, InStable: true}
			c.sums[[2]string{metric, at}] = sum
		}
		sum.Candidate += candidate
		sum.Control += control
	}
}

// turn counts some more requests of each route: what the control has of bad ones, and the candidate by its ratio.
func (c *comparedTraffic) turn() {
	for _, route := range []string{"orders", "users"} {
		c.count("requests", route, 2_000, 8_000)
		for _, metric := range []string{"upstream_5xx", "slower.p99"} {
			ratio := 1.0
			if r, ok := c.ratios[[2]string{metric, route}]; ok {
				ratio = r
			}
			odds := ratio * comparedShare / (1_000_000 - comparedShare)
			var candidate, control int64
			for range 100 {
				if c.random.Float64() < odds/(1+odds) {
					candidate++
				} else {
					control++
				}
			}
			c.count(metric, route, candidate, control)
		}
	}
}

// passesEarly plays the step for some looks and says whether it ended before its time.
func (c *comparedTraffic) passesEarly(t *testing.T, looks int) bool {
	t.Helper()
	state := rollout.State{Plan: c.plan, Rollout: rollout.Rollout{
		ID: 1, Revision: 5, StableRevision: 4, State: rollout.Running, Version: 1, SharePPM: comparedShare, Agents: 1, JudgedAgents: 1, JudgedRoutes: 2,
		StartedAt: goldenNow, StepAt: goldenNow, ServingAt: goldenNow,
	}}
	state.Agents = []rollout.Agent{{ID: "a", Name: "a", BootID: "b", Alive: true, Status: "serving", Candidate: 5}}
	state.Members = []rollout.Member{{AgentID: "a", Name: "a", BootID: "b"}}
	for look := range looks {
		c.turn()
		state.Sums = nil
		for _, sum := range c.sums {
			state.Sums = append(state.Sums, *sum)
		}
		now := goldenNow.Add(time.Duration(look) * time.Millisecond) // so often that verdicts are kept only when they change
		for _, action := range rollout.Decide(now, state) {
			switch does := action.(type) {
			case rollout.EnterStep:
				return true
			case rollout.RollBack:
				return false
			case rollout.RecordVerdicts:
				state.Verdicts = keep(state.Verdicts, does.Verdicts)
			}
		}
	}
	return false
}

// keep replaces what was said before of the same comparisons.
func keep(verdicts, more []rollout.Verdict) []rollout.Verdict {
	for _, verdict := range more {
		verdicts = slices.DeleteFunc(verdicts, func(v rollout.Verdict) bool { return v.Metric == verdict.Metric && v.Route == verdict.Route })
	}
	return append(verdicts, more...)
}

func earlyPasses(t *testing.T, runs, looks int, ratios map[[2]string]float64) int {
	t.Helper()
	passes := 0
	for run := range runs {
		if newComparedTraffic(t, uint64(run), ratios).passesEarly(t, looks) {
			passes++
		}
	}
	return passes
}

// However good everything else is: a candidate that is as bad as the tolerance, or worse, by one metric on one route passes early
// in at most alpha of all rollouts, though it is looked at after every turn.
func TestAWorseCandidatePassesEarlyWithAtMostAlpha(t *testing.T) {
	t.Parallel()
	const runs, looks = 40, 30
	atMost := int(runs*comparedAlpha + 3*math.Sqrt(runs*comparedAlpha*(1-comparedAlpha)))
	for name, ratio := range map[string]float64{"at the tolerance": 1.1, "a little worse": 1.3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			better := map[[2]string]float64{
				{"upstream_5xx", "orders"}: 0.2, {"slower.p99", "orders"}: 0.2, {"slower.p99", "users"}: 0.2, {"upstream_5xx", "users"}: ratio,
			}
			if passes := earlyPasses(t, runs, looks, better); passes > atMost {
				t.Errorf("a ratio of %v passed early in %d of %d rollouts, more than %d", ratio, passes, runs, atMost)
			}
		})
	}
}

// Without this the trial above could be blind.
func TestABetterCandidatePassesEarly(t *testing.T) {
	t.Parallel()
	const runs, looks = 10, 60
	better := map[[2]string]float64{
		{"upstream_5xx", "orders"}: 0.7, {"slower.p99", "orders"}: 0.7, {"slower.p99", "users"}: 0.7, {"upstream_5xx", "users"}: 0.7,
	}
	if passes := earlyPasses(t, runs, looks, better); passes < runs {
		t.Errorf("only %d of %d better candidates passed early", passes, runs)
	}
}

// The usual candidate changes nothing. It passes too, but that takes its time: some thousand bad requests in each comparison.
func TestAnEqualCandidatePassesEarlyInTheEnd(t *testing.T) {
	t.Parallel()
	const runs = 4
	few, many := earlyPasses(t, runs, 3, nil), earlyPasses(t, runs, 250, nil)
	if few > 0 || many < runs/2 {
		t.Errorf("after 300 bad requests a comparison %d of %d passed, after 25,000 %d", few, runs, many)
	}
}

// On the way through Postgres: a step of an hour ends when the candidate is shown to be no worse, and the history says why.
func TestAStepPassesEarly(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.goes(f.controller("a").Run)
	f.join("edge-1")
	f.ends(f.publish("orders", "/orders", quick()), rollout.Completed)
	f.alter(func(a *playedAgent) { a.candidateBad, a.controlBad = 5, 20 })
	id := f.publish("orders", "/v2/orders", &configv1.Strategy{Steps: []*configv1.Step{
		{Agents: 1, TrafficPercent: 50, Bake: "1h", EarlyPass: true},
		{AgentsPercent: 100, TrafficPercent: 100},
	}})
	detail := f.ends(id, rollout.Completed)
	for _, event := range detail.Events {
		if strings.Contains(event.Message, "passed early, after ") && strings.Contains(event.Message, "of 1h0m0s: shown to be no worse in 5xx: upper end ") {
			return
		}
	}
	t.Errorf("the history does not say that it passed early: %+v", detail.Events)
}
