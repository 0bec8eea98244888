package rollout

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"tidegate.dev/proto/evidence"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// wholePPM is a share of one in parts per million.
const wholePPM = 1_000_000

// Plan is a strategy as it is carried out.
type Plan struct {
	Steps            []Step
	Tolerance, Alpha float64
	Gates            []Gate
	// Sticky is for what the coin is thrown, in words; then it is units that are counted. Empty: for each request.
	Sticky string
}

// freshShare is the share of the candidate among the units whose coin is thrown anew at a share of all. Agents count them by it.
func (p Plan) freshShare(share int32) int32 {
	settled := int32(0)
	for _, step := range p.Steps {
		if step.SharePPM < share {
			settled = max(settled, step.SharePPM)
		}
	}
	return int32(evidence.FreshShare(uint32(max(share, 0)), uint32(settled)))
}

// Gate is a condition of the strategy that a candidate must keep.
type Gate struct {
	Name             string
	DryRun, Required bool
	// Objective is nil if the gate is an external one.
	Objective *Objective
}

// Objective bounds the share of the candidate's requests that are bad by a metric.
type Objective struct {
	Metric, Route string
	// Share is from 0 to 1.
	Share   float64
	Minimum uint64
}

// Step is one setting of the dials, and what must be seen before the next.
type Step struct {
	// Agents is a count of agents; if it is 0, AgentsPercent is a share.
	Agents        int
	AgentsPercent float64
	// SharePPM is the candidate's share of those agents' traffic, the holdback taken off.
	SharePPM int32
	// Bake and Maximum are counted from the moment at which all agents of the step serve it.
	Bake, Maximum  time.Duration
	MinimumSamples int64
	OnInconclusive string
	// Approval: a person must let it begin.
	Approval bool
	// EarlyPass: it may end before Bake is over, if the candidate is shown to be no worse.
	EarlyPass bool
	// Shadow: the candidate serves nothing; it decides beside this share of the requests, in parts per million. 0: no such step.
	ShadowPPM int32
	// OnDifference says what happens when it decides otherwise for more than MaxDifference of the samples, from 0 to 1.
	// Labels are those that agents must have to join; nil: none.
	Labels        map[string]string
	OnDifference  string
	MaxDifference float64
}

// AsTaken returns a strategy with its defaults and the steps that are really taken. If the last step is not all agents and all
// traffic, such a step is added, so that every agent has acknowledged the candidate before it becomes stable. The first
// revision ever has nothing to be compared with and nothing to go back to: all agents at once.
func AsTaken(strategy *configv1.Strategy, first bool) *configv1.Strategy {
	taken := WithDefaults(strategy)
	everything := Shipped("immediate").GetSteps()[0]
	n := len(taken.GetSteps())
	switch {
	case first || n == 0:
		taken.Steps = []*configv1.Step{everything}
	case taken.GetSteps()[n-1].GetAgentsPercent() < 100 || taken.GetSteps()[n-1].GetTrafficPercent() < 100 || len(taken.GetSteps()[n-1].GetAgentLabels()) > 0:
		taken.Steps = append(taken.Steps, everything)
	}
	return taken
}

// PlanOf reads a strategy, as it is taken. Before the last step the holdback stays with stable.
func PlanOf(strategy *configv1.Strategy, first bool) (Plan, error) {
	taken := AsTaken(strategy, first)
	plan := Plan{Tolerance: taken.GetTolerance(), Alpha: taken.GetAlpha(), Gates: gatesOf(taken.GetGates()), Sticky: stickyWords(taken.GetSticky())}
	for i, step := range taken.GetSteps() {
		read, err := stepOf(step)
		if err != nil {
			return Plan{}, fmt.Errorf("reading step %d of the strategy: %w", i, err)
		}
		plan.Steps = append(plan.Steps, read)
	}
	if len(plan.Steps) > 1 && taken.GetShadow() != nil {
		shadow, err := shadowOf(taken.GetShadow(), plan.Steps[0])
		if err != nil {
			return Plan{}, fmt.Errorf("reading the shadow step of the strategy: %w", err)
		}
		plan.Steps = append([]Step{shadow}, plan.Steps...)
	}
	most := ppmOf(100 - taken.GetHoldbackPercent())
	for i := range plan.Steps[:plan.last()] {
		plan.Steps[i].SharePPM = min(plan.Steps[i].SharePPM, most)
	}
	return plan, nil
}

func stickyWords(sticky *configv1.Stickiness) string {
	switch {
	case sticky.GetConsumer():
		return "consumer"
	case sticky.GetHeader() != "":
		return "header " + sticky.GetHeader()
	case sticky.GetCookie() != "":
		return "cookie " + sticky.GetCookie()
	}
	return ""
}

// explain says what led to a decision, in units or requests, whichever were counted.
func (p Plan) explain(decision evidence.Decision, metric string) string {
	if p.Sticky != "" {
		return decision.ExplainUnits(metric)
	}
	return decision.Explain(metric)
}

// counted is what samples are.
func (p Plan) counted() string {
	if p.Sticky != "" {
		return "units"
	}
	return "requests"
}

// defaultObjectiveMinimum is how many requests an objective needs if it does not say.
const defaultObjectiveMinimum = 100

func gatesOf(list []*configv1.Gate) []Gate {
	var gates []Gate
	for _, gate := range list {
		read := Gate{Name: gate.GetName(), DryRun: gate.GetDryRun(), Required: gate.GetRequired()}
		if o := gate.GetObjective(); o != nil {
			objective := objectiveOf(o)
			read.Objective = &objective
		}
		gates = append(gates, read)
	}
	return gates
}

func objectiveOf(o *configv1.ObjectiveGate) Objective {
	objective := Objective{Metric: o.GetMetric(), Route: o.GetRoute(), Share: o.GetMaxPercent() / 100, Minimum: defaultObjectiveMinimum}
	if o.MinimumRequests != nil {
		objective.Minimum = uint64(o.GetMinimumRequests())
	}
	return objective
}

// ObjectivesOf reads objectives as a strategy's gates have them.
func ObjectivesOf(list []*configv1.ObjectiveGate) []Objective {
	var objectives []Objective
	for _, o := range list {
		objectives = append(objectives, objectiveOf(o))
	}
	return objectives
}

// shadowOf is the step before the first: with its agents, and no traffic.
func shadowOf(shadow *configv1.Shadow, first Step) (Step, error) {
	read, err := stepOf(&configv1.Step{
		Agents: uint32(first.Agents), AgentsPercent: first.AgentsPercent, TrafficPercent: 1, Bake: shadow.GetBake(),
		MaximumDuration: shadow.GetMaximumDuration(), MinimumSamples: shadow.MinimumSamples,
	})
	read.SharePPM, read.ShadowPPM = 0, ppmOf(shadow.GetSamplePercent())
	read.Labels = first.Labels
	read.OnInconclusive, read.OnDifference = onInconclusiveContinue, shadow.GetOnDifference()
	read.MaxDifference = shadow.GetMaxDifferencePercent() / 100
	return read, err
}

func stepOf(step *configv1.Step) (Step, error) {
	bake, err := time.ParseDuration(step.GetBake())
	if err != nil {
		return Step{}, fmt.Errorf("reading bake: %w", err)
	}
	longest, err := time.ParseDuration(step.GetMaximumDuration())
	if err != nil {
		return Step{}, fmt.Errorf("reading maximum_duration: %w", err)
	}
	return Step{
		Agents: int(step.GetAgents()), AgentsPercent: step.GetAgentsPercent(), SharePPM: ppmOf(step.GetTrafficPercent()),
		Bake: bake, Maximum: max(longest, bake), MinimumSamples: int64(step.GetMinimumSamples()),
		OnInconclusive: step.GetOnInconclusive(), Approval: step.GetApproval(), Labels: step.GetAgentLabels(),
		EarlyPass: step.GetEarlyPass(),
	}, nil
}

// ppmOf is at least one part per million: a share of nothing would never end.
func ppmOf(percent float64) int32 {
	return int32(min(max(math.Round(percent*wholePPM/100), 1), wholePPM))
}

// agentsOf is how many of a fleet's agents the step takes: at least one, if there is one.
func (s Step) agentsOf(fleet int) int {
	wanted := s.Agents
	if wanted == 0 {
		wanted = int(math.Ceil(s.AgentsPercent / 100 * float64(fleet)))
	}
	return min(max(wanted, 1), fleet)
}

// takes says whether an agent with these labels may join in the step.
func (s Step) takes(labels map[string]string) bool {
	for key, value := range s.Labels {
		if has, ok := labels[key]; !ok || has != value {
			return false
		}
	}
	return true
}

// who names the agents that may join, in words.
func (s Step) who() string {
	var words []string
	for _, key := range slices.Sorted(maps.Keys(s.Labels)) {
		words = append(words, key+"="+s.Labels[key])
	}
	if len(words) == 0 {
		return ""
	}
	return " with " + strings.Join(words, ", ")
}

// compares says whether a coin is thrown in the step, so that there are requests to compare.
func (s Step) compares() bool { return s.SharePPM < wholePPM }

func (p Plan) last() int { return len(p.Steps) - 1 }
