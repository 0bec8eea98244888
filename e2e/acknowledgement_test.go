package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/e2e/fleetagent"
	"tidegate.dev/e2e/harness"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// answering is what an agent does with what a good agent would say to a state.
type answering func(ctx context.Context, good *agentv1.Acknowledgement, send func(*agentv1.Acknowledgement))

// withOddAgent starts a stack with one real agent and one that answers as it likes, both on revision 1, with traffic on the real one.
func withOddAgent(t *testing.T, odd answering) (*harness.Stack, *harness.Load) {
	t.Helper()
	s := harness.Start(t, harness.Options{Agents: 1})
	s.FleetAgents(1, func(_ int, config *fleetagent.Config) { config.Answer = odd })
	harness.Eventually(t, 30*time.Second, "both agents are connected", func() error {
		if f := s.Fleet(); f.AgentsConnected != 2 {
			return fmt.Errorf("%d agents are connected", f.AgentsConnected)
		}
		return nil
	})
	answers(t, s, http.StatusOK, "PUT", "/v1/fleets/default/strategies/steps", jsonText(`{"name":"steps","spec":{"steps":[`+
		`{"agents_percent":100,"traffic_percent":20,"bake":"1s","minimum_samples":0},`+
		`{"agents_percent":100,"traffic_percent":50,"bake":"1s","minimum_samples":0},`+
		`{"agents_percent":100,"traffic_percent":100,"bake":"0s","minimum_samples":0}]}}`))
	s.Apply(ordersAt(harness.NewUpstream(t, "one").URL))
	load := harness.StartLoad(t, 50, s.Proxies("/orders/7"))
	return s, load
}

// after waits, unless the stream ends before.
func after(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// No step begins to count before every agent has said that it serves it; a late one only makes it longer.
func TestAnAgentThatAcknowledgesLateIsWaitedFor(t *testing.T) {
	t.Parallel()
	const late = 3 * time.Second
	s, load := withOddAgent(t, func(ctx context.Context, good *agentv1.Acknowledgement, send func(*agentv1.Acknowledgement)) {
		if good.GetServing().GetCandidateRevision() == 0 || after(ctx, late) {
			send(good)
		}
	})
	s.Apply(ordersAt(harness.NewUpstream(t, "two").URL), "--strategy", "steps", "--wait=false")
	rollout := s.WaitRollout(2, "completed", time.Minute)
	takenOnce(t, rollout, 3)
	for _, said := range eventsOf(rollout, "serving") {
		if !strings.Contains(said, "2 agents serve") {
			t.Errorf("a step began to count with %q", said)
		}
	}
	wantOnly200(t, load)
}

// What was said twice, and what comes behind newer answers, changes nothing: neither is a step taken twice, nor does the agent seem
// to go back.
func TestAnAgentThatAcknowledgesTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var said []*agentv1.Acknowledgement
	s, load := withOddAgent(t, func(_ context.Context, good *agentv1.Acknowledgement, send func(*agentv1.Acknowledgement)) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, proto.CloneOf(good))
		send(good)
		send(good)
		for _, earlier := range said { // all of its past, and so the oldest last but one
			send(earlier)
		}
		send(said[0])
	})
	s.Apply(ordersAt(harness.NewUpstream(t, "two").URL), "--strategy", "steps", "--wait=false")
	rollout := s.WaitRollout(2, "completed", time.Minute)
	takenOnce(t, rollout, 3)
	harness.Eventually(t, 10*time.Second, "the agent is shown with what it serves", func() error {
		var list struct {
			Agents []struct {
				Name   string `json:"name"`
				Stable int    `json:"applied_stable_revision"`
			} `json:"agents"`
		}
		s.Admin(http.MethodGet, fleetAgentsPath, nil, &list)
		for _, a := range list.Agents {
			if a.Stable != 2 {
				return fmt.Errorf("%s is shown with revision %d", a.Name, a.Stable)
			}
		}
		return nil
	})
	wantOnly200(t, load)
}

const fleetAgentsPath = "/v1/fleets/default/agents"

// An agent that never says that it serves the candidate fails the rollout, and what it says of it when all is over harms nobody.
func TestAnAgentThatNeverAcknowledgesFailsTheRollout(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	s, load := withOddAgent(t, func(ctx context.Context, good *agentv1.Acknowledgement, send func(*agentv1.Acknowledgement)) {
		if good.GetServing().GetCandidateRevision() != 2 {
			send(good)
			return
		}
		select { // its answer to the first candidate comes when that is over, and says that it does not want it
		case <-over:
			bad := proto.CloneOf(good)
			bad.Status = agentv1.Acknowledgement_STATUS_REFUSED
			bad.Errors = []*agentv1.ResourceError{{Code: "compile", Message: "too late"}}
			send(bad)
		case <-ctx.Done():
		}
	})
	s.Apply(ordersAt(harness.NewUpstream(t, "two").URL), "--strategy", "steps", "--wait=false")
	rollout := s.WaitRollout(2, "rolled_back", 90*time.Second)
	if !strings.Contains(rollout.Reason, "fleet-00000 did not serve revision 2 within 30s") {
		t.Errorf("it was rolled back for %q", rollout.Reason)
	}
	takenOnce(t, rollout, 1)
	// The next rollout is under way when the answer to the one before arrives.
	s.Apply(ordersAt(harness.NewUpstream(t, "three").URL), "--strategy", "steps", "--wait=false")
	harness.Eventually(t, 20*time.Second, "the next rollout runs", func() error {
		next, err := s.LatestRollout()
		if err == nil && (next.Revision != 4 || next.State != "running") {
			err = fmt.Errorf("rollout of revision %d is %s", next.Revision, next.State)
		}
		return err
	})
	close(over)
	takenOnce(t, s.WaitRollout(4, "completed", time.Minute), 3)
	wantOnly200(t, load)
}

// wantOnly200 ends a load and checks that nothing but 200 was answered.
func wantOnly200(t *testing.T, load *harness.Load) {
	t.Helper()
	if counts := load.Stop(); counts["200"] == 0 || len(counts) != 1 {
		t.Errorf("clients saw %s; want only 200", load.Describe())
	}
}
