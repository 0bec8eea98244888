package rollout

import (
	"fmt"
	"strings"
	"time"

	"tidegate.dev/proto/evidence"
)

// GateView is what a gate of the strategy says.
type GateView struct {
	Name                 string
	DryRun               bool
	Verdict, Explanation string
	At                   time.Time
}

// askGates looks at what the strategy's own gates say. It returns why the candidate must go, if one fails that is not on a dry run.
func (d *decision) askGates() (views []GateView, why string) {
	if !d.begun() || d.Rollout.StableRevision == 0 {
		return nil, ""
	}
	for _, gate := range d.Plan.Gates {
		view := d.askGate(gate)
		views = append(views, view)
		if view.Verdict == evidence.Fail.String() && !gate.DryRun && why == "" {
			why = fmt.Sprintf("gate %s: %s", gate.Name, view.Explanation)
		}
	}
	return views, why
}

func (d *decision) askGate(gate Gate) GateView {
	view := GateView{Name: gate.Name, DryRun: gate.DryRun, Verdict: evidence.Inconclusive.String(), Explanation: "not asked yet"}
	if gate.Objective != nil {
		decision := d.objective(*gate.Objective)
		view.Verdict, view.At = decision.Verdict.String(), d.now
		view.Explanation = d.Plan.explain(decision, comparison{gate.Objective.Route, gate.Objective.Metric}.label())
		return view
	}
	if answered := d.answered(gate.Name); answered != nil && !answered.At.IsZero() {
		view.Verdict, view.Explanation, view.At = answered.Verdict, answered.Explanation, answered.At
	}
	return view
}

func (d *decision) answered(gate string) *Answered {
	for i := range d.Answers {
		if d.Answers[i].Gate == gate {
			return &d.Answers[i]
		}
	}
	return nil
}

// objective holds the candidate's share of bad requests, over all steps, against a limit. A share of nothing lets none be bad.
func (d *decision) objective(o Objective) evidence.Decision {
	var arm evidence.Arm
	for _, sum := range d.Sums {
		switch {
		case sum.Route != o.Route:
		case sum.Metric == metricRequests:
			arm.Requests += unsigned(sum.Candidate)
		case sum.Metric == o.Metric, o.Metric == metricErrors && (sum.Metric == metricUpstream5xx || strings.HasPrefix(sum.Metric, gatewayPrefix)):
			arm.Bad += unsigned(sum.Candidate)
		}
	}
	// The limit may be reached, not passed: half a request more is above it.
	limit := o.Share
	if arm.Requests > 0 {
		limit += 0.5 / float64(arm.Requests)
	}
	decision := evidence.AbsoluteGate{MinimumRequests: max(o.Minimum, 1), Limit: min(limit, 1)}.Judge(arm)
	decision.Limit = o.Share
	return decision
}

func notPassed(gate string) string { return "gate " + gate + " has not passed in this step" }

// awaited names a gate that must pass before the step ends, and has not since the step's clock began; empty: none.
func (d *decision) awaited() string {
	for _, gate := range d.Plan.Gates {
		if !gate.Required || gate.DryRun || gate.Objective != nil {
			continue
		}
		if answered := d.answered(gate.Name); answered == nil || answered.PassedAt.Before(d.Rollout.ServingAt) {
			return gate.Name
		}
	}
	return ""
}
