package e2e_test

import (
	"context"
	"fmt"
	"strconv"
	"syscall"
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

// countTo reports one request a report, in so many reports, and nothing after.
func countTo(reports int) func() []*agentv1.Cell {
	return func() []*agentv1.Cell {
		if reports--; reports < 0 {
			return nil
		}
		return []*agentv1.Cell{{Revision: 1, Arm: agentv1.Arm_ARM_STABLE, Route: "counted", StatusClass: 2, Requests: 1}}
	}
}

// requestsOf is what the control plane has counted on a route.
func requestsOf(t *testing.T, s *harness.Stack, route string) (sum int) {
	t.Helper()
	var answer struct {
		Series []struct {
			Points []struct {
				Requests string `json:"requests"`
			} `json:"points"`
		} `json:"series"`
	}
	r := s.Admin("POST", "/v1/fleets/default/telemetry:query", map[string]string{"route": route}, &answer)
	if r.Status != 200 {
		t.Fatalf("asking for telemetry: %d %s", r.Status, r.Body)
	}
	for _, series := range answer.Series {
		for _, point := range series.Points {
			requests, err := strconv.Atoi(point.Requests)
			if err != nil {
				t.Fatalf("asking for telemetry: %v", err)
			}
			sum += requests
		}
	}
	return sum
}

// Many agents of the real protocol on two replicas: each change reaches all of them as a delta, a revocation too, what they count
// is counted once, and when all their connections break at once they come back with what they held.
func TestAFleetOfManyAgents(t *testing.T) {
	t.Parallel()
	const many, reports = 50, 12
	s := harness.Start(t, harness.Options{Agents: 1, ControlPlanes: 2})
	agents := s.FleetAgents(many, func(_ int, config *fleetagent.Config) { config.Report = countTo(reports) })
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
	sessions := make([]int64, many)
	for i, agent := range agents {
		sessions[i] = agent.State().Sessions
		agent.Cut()
	}
	for i, agent := range agents {
		all(t, []*fleetagent.Agent{agent}, time.Minute, "back", func(state fleetagent.State) bool {
			return state.Connected && state.Sessions > sessions[i]
		})
	}
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
	// One replica dies at any moment: what it had not acknowledged is reported again, and counted once.
	s.Kill(s.Ready.Replicas[1].Name, syscall.SIGKILL)
	all(t, agents, time.Minute, "all reports stored", func(state fleetagent.State) bool { return state.ReportsStored >= reports })
	if got := requestsOf(t, s, "counted"); got != many*reports {
		t.Errorf("%d requests were counted of %d", got, many*reports)
	}
	// The replica comes back, and gets agents again, which go on serving what they have.
	harness.Eventually(t, 2*time.Minute, "both replicas hold agents again", func() error {
		for _, replica := range s.Ready.Replicas {
			if held, err := metric(replica.Ops, "tidegate_agents_connected"); err != nil || held < 5 {
				return fmt.Errorf("%s holds %g: %w", replica.Name, held, err)
			}
		}
		return nil
	})
	all(t, agents, time.Minute, "still serving", func(state fleetagent.State) bool { return state.Connected && state.Stable == 2 })
}
