package fleet

import (
	"fmt"
	"math"
	"math/bits"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/evidence"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

const (
	// guardComparisons is what an agent compares at most: the share of 5xx, and of each reason for which the gateway makes
	// an answer. It is a bound with room for more reasons; a comparison that is not made wastes a little of alpha.
	guardComparisons = 40

	defaultAlpha     = 0.01
	defaultTolerance = 1.1
)

// guardOf is the agents' part of judging a candidate: half of alpha, shared by all the agents that may ever hold it. Where the
// rollout does not say how many, it is all of the fleet's, rounded up to a power of two, so that an agent that joins meanwhile
// rarely changes it.
func guardOf(rollout *store.DeliveredRollout, agents int64) (*agentv1.Guard, error) {
	var strategy configv1.Strategy
	if err := proto.Unmarshal(rollout.Strategy, &strategy); err != nil {
		return nil, fmt.Errorf("reading the strategy of a rollout: %w", err)
	}
	spending := evidence.Spending{Alpha: defaultAlpha, Agents: int(rollout.JudgedAgents), Metrics: guardComparisons}
	if rollout.JudgedAgents == 0 {
		spending.Agents = holders(strategy.GetSteps(), agents)
	}
	if strategy.Alpha != nil {
		spending.Alpha = strategy.GetAlpha()
	}
	if err := spending.Validate(); err != nil {
		return nil, fmt.Errorf("sharing alpha among agents: %w", err)
	}
	var expected configv1.Expectations
	if err := proto.Unmarshal(rollout.Expectations, &expected); err != nil {
		return nil, fmt.Errorf("reading the expectations of a rollout: %w", err)
	}
	guard := &agentv1.Guard{Tolerance: defaultTolerance, Threshold: 1 / spending.Agent().Total, Expectations: expected.GetList()}
	if strategy.Tolerance != nil {
		guard.Tolerance = strategy.GetTolerance()
	}
	return guard, nil
}

// holders is the most agents that hold the candidate in any of the steps.
func holders(steps []*configv1.Step, agents int64) int {
	all := 1 << bits.Len64(uint64(max(agents-1, 0)))
	most := 1
	for _, step := range steps {
		here := int(step.GetAgents())
		if here == 0 {
			here = int(math.Ceil(step.GetAgentsPercent() / 100 * float64(all)))
		}
		most = max(most, min(here, all))
	}
	return most
}

// defaultSamplePercent is the share of requests that a shadow step samples if it does not say.
const defaultSamplePercent = 10

// shadowOf is the share of requests, in parts per million, beside which the candidate decides: that of the strategy while the
// candidate serves nothing, else none.
func shadowOf(rollout *store.DeliveredRollout) uint32 {
	var strategy configv1.Strategy
	if rollout.SharePPM != 0 || proto.Unmarshal(rollout.Strategy, &strategy) != nil || strategy.GetShadow() == nil {
		return 0
	}
	percent := float64(defaultSamplePercent)
	if strategy.GetShadow().SamplePercent != nil {
		percent = strategy.GetShadow().GetSamplePercent()
	}
	return uint32(min(max(math.Round(percent*10_000), 1), 1_000_000))
}
