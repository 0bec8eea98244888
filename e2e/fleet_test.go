package e2e_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"

	"tidegate.dev/e2e/fleetagent"
	"tidegate.dev/e2e/harness"
)

// all waits until every agent's state satisfies a condition.
func all(t *testing.T, agents []*fleetagent.Agent, within time.Duration, what string, is func(fleetagent.State) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for i, agent := range agents {
		if state, err := agent.Await(ctx, is); err != nil {
			t.Fatalf("agent %d of %d: %s: %v; it is %+v", i, len(agents), what, err, state)
		}
	}
}

// Many agents of the real protocol on two replicas: each change reaches all of them as a delta, a revocation too, what they count
// is counted once, and when all their connections break at once they come back with what they held.
func TestAFleetOfManyAgents(t *testing.T) {
	t.Parallel()
	const many = 50
	s := harness.Start(t, harness.Options{Agents: 1, ControlPlanes: 2})
	agents := s.FleetAgents(many, func(_ int, config *fleetagent.Config) {
		config.Report = func() []*agentv1.Cell {
			return []*agentv1.Cell{{Revision: 1, Arm: agentv1.Arm_ARM_STABLE, Route: "orders", StatusClass: 2, Requests: 1}}
		}
	})
	all(t, agents, time.Minute, "connected", func(state fleetagent.State) bool { return state.Connected })
	s.Apply(ordersAt("http://127.0.0.1:9"), "--strategy", "immediate")
	all(t, agents, time.Minute, "serving the first revision", func(state fleetagent.State) bool { return state.Stable == 1 })

	before := agents[0].State().Chunks
	s.Apply(ordersAt("http://127.0.0.1:99"), "--strategy", "immediate")
	all(t, agents, time.Minute, "serving the second revision", func(state fleetagent.State) bool { return state.Stable == 2 && state.Candidate == 0 })
	if got := agents[0].State().Chunks - before; got != 1 {
		t.Errorf("a change of one service came in %d chunks, want 1", got)
	}

	s.Apply("fleet: default\nconsumers:\n  - {name: acme}\n")
	lane := int64(s.Fleet().LaneSequence)
	s.MustCLI("key", "create", "acme")
	all(t, agents, time.Minute, "the key", func(state fleetagent.State) bool { return state.LaneSequence > lane })

	all(t, agents, time.Minute, "two reports each stored", func(state fleetagent.State) bool { return state.ReportsStored >= 2 })
	for _, agent := range agents {
		agent.Cut()
	}
	all(t, agents, time.Minute, "back", func(state fleetagent.State) bool { return state.Connected && state.Sessions == 2 })
	for i, agent := range agents {
		if state := agent.State(); state.Resets > 1 || state.Chunks > before+2 || state.Stable != 2 {
			t.Errorf("agent %d was sent again what it held: %+v", i, state)
		}
	}
	harness.Eventually(t, time.Minute, "both replicas hold agents", func() error {
		for _, replica := range s.Ready.Replicas {
			if held, err := metric(replica.Ops, "tidegate_agents_connected"); err != nil || held == 0 {
				return fmt.Errorf("%s holds %g: %w", replica.Name, held, err)
			}
		}
		return nil
	})
}
