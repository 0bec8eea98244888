package rollout

import (
	"fmt"
	"math"
	"time"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// wholePPM is a share of one in parts per million.
const wholePPM = 1_000_000

// Plan is a strategy as it is carried out.
type Plan struct {
	Steps            []Step
	Tolerance, Alpha float64
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
}

// everything is the last step of every plan: what follows when it is done is a change of name only, for all agents serve the
// candidate already.
var everything = Step{AgentsPercent: 100, SharePPM: wholePPM, OnInconclusive: onInconclusiveContinue}

// PlanOf reads a strategy. If its last step is not all agents and all traffic, such a step is added, so that every agent has
// acknowledged the candidate before it becomes stable. Before the last step the holdback stays with stable. The first revision
// ever has nothing to be compared with and nothing to go back to: all agents at once.
func PlanOf(strategy *configv1.Strategy, first bool) (Plan, error) {
	full := WithDefaults(strategy)
	plan := Plan{Tolerance: full.GetTolerance(), Alpha: full.GetAlpha()}
	if first {
		plan.Steps = []Step{everything}
		return plan, nil
	}
	for i, step := range full.GetSteps() {
		read, err := stepOf(step)
		if err != nil {
			return Plan{}, fmt.Errorf("reading step %d of the strategy: %w", i, err)
		}
		plan.Steps = append(plan.Steps, read)
	}
	if n := len(plan.Steps); n == 0 || !plan.Steps[n-1].isEverything() {
		plan.Steps = append(plan.Steps, everything)
	}
	most := ppmOf(100 - full.GetHoldbackPercent())
	for i := range plan.Steps[:len(plan.Steps)-1] {
		plan.Steps[i].SharePPM = min(plan.Steps[i].SharePPM, most)
	}
	return plan, nil
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
		OnInconclusive: step.GetOnInconclusive(), Approval: step.GetApproval(),
	}, nil
}

// ppmOf is at least one part per million: a share of nothing would never end.
func ppmOf(percent float64) int32 {
	return int32(min(max(math.Round(percent*wholePPM/100), 1), wholePPM))
}

func (s Step) isEverything() bool {
	return s.Agents == 0 && s.AgentsPercent >= 100 && s.SharePPM == wholePPM
}

// agentsOf is how many of a fleet's agents the step takes: at least one, if there is one.
func (s Step) agentsOf(fleet int) int {
	wanted := s.Agents
	if wanted == 0 {
		wanted = int(math.Ceil(s.AgentsPercent / 100 * float64(fleet)))
	}
	return min(max(wanted, 1), fleet)
}

// compares says whether a coin is thrown in the step, so that there are requests to compare.
func (s Step) compares() bool { return s.SharePPM < wholePPM }

func (p Plan) last() int { return len(p.Steps) - 1 }
