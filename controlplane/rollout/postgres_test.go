package rollout_test

import (
	"strings"
	"testing"

	"tidegate.dev/controlplane/rollout"
)

func TestFirstRevisionReachesAllAgentsAtOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.goes(f.controller("a").Run)
	f.join("edge-1", "edge-2")
	id := f.publish("orders", "/orders", quick())
	detail := f.ends(id, rollout.Completed)
	if len(detail.Agents) != 2 || detail.CandidateAgents != 2 || detail.Steps != 1 {
		t.Errorf("detail %+v", detail)
	}
	head := f.head()
	if state, _ := f.revision(1); head.Stable != 1 || state != "serving" {
		t.Errorf("stable is %d, revision 1 is %s", head.Stable, state)
	}
}

func TestGoodRevisionGoesStepByStep(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.goes(f.controller("a").Run)
	f.join("edge-1", "edge-2", "edge-3")
	f.ends(f.publish("orders", "/orders", quick()), rollout.Completed)
	f.alter(func(a *playedAgent) { a.candidateBad, a.controlBad = 10, 10 })
	id := f.publish("orders", "/v2/orders", quick())
	detail := f.ends(id, rollout.Completed)
	var steps []string
	for _, event := range detail.Events {
		steps = append(steps, event.Type)
	}
	want := "created started serving step serving step serving completed"
	if got := strings.Join(steps, " "); got != want {
		t.Errorf("events %s, want %s", got, want)
	}
	first, _ := f.revision(1)
	second, _ := f.revision(2)
	if head := f.head(); head.Stable != 2 || first != "superseded" || second != "serving" {
		t.Errorf("stable is %d, revision 1 is %s, revision 2 is %s", head.Stable, first, second)
	}
	if len(detail.Evidence) == 0 || detail.Evidence[0].CandidateTotal == 0 || detail.Evidence[0].Threshold < 1000 {
		t.Errorf("evidence %+v", detail.Evidence)
	}
}

func TestRevisionThatFailsRequestsIsRolledBackAndReverted(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.goes(f.controller("a").Run)
	f.join("edge-1", "edge-2")
	f.ends(f.publish("orders", "/orders", quick()), rollout.Completed)
	f.alter(func(a *playedAgent) { a.candidateBad = 500 })
	slow := quick()
	slow.Steps[0].Bake = "1h"
	detail := f.ends(f.publish("orders", "/broken", slow), rollout.RolledBack)
	if !strings.Contains(detail.Reason, "5xx 50 % of ") || !strings.Contains(detail.Reason, "rolled back") {
		t.Errorf("reason %q", detail.Reason)
	}
	head := f.head()
	rejected, _ := f.revision(2)
	state, routes := f.revision(3)
	if head.Revision != 3 || head.Stable != 3 || rejected != "rejected" || state != "serving" || routes["orders"] != "/orders" {
		t.Errorf("head %+v, revision 2 is %s, revision 3 is %s with %v", head, rejected, state, routes)
	}
}

func TestRefusalByOneAgentIsEnough(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.goes(f.controller("a").Run)
	f.join("edge-1", "edge-2")
	f.ends(f.publish("orders", "/orders", quick()), rollout.Completed)
	f.alter(func(a *playedAgent) { a.refuses = true })
	detail := f.ends(f.publish("orders", "/x", quick()), rollout.RolledBack)
	for _, want := range []string{"agent edge-", "refused revision 2", "routes/orders: match.paths[0]"} {
		if !strings.Contains(detail.Reason, want) {
			t.Errorf("reason %q lacks %q", detail.Reason, want)
		}
	}
}

func TestWithoutAgentsItCompletesAtOnce(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.goes(f.controller("a").Run)
	detail := f.ends(f.publish("orders", "/orders", quick()), rollout.Completed)
	if !strings.Contains(detail.Reason, "no agent is connected") {
		t.Errorf("reason %q", detail.Reason)
	}
}

func TestFirstRevisionThatIsRefusedLeavesNothing(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.goes(f.controller("a").Run)
	f.join("edge-1", "edge-2")
	f.alter(func(a *playedAgent) { a.refuses = true })
	f.ends(f.publish("orders", "/orders", quick()), rollout.RolledBack)
	head := f.head()
	rejected, _ := f.revision(1)
	revert, routes := f.revision(2)
	if head.Stable != 0 || head.Revision != 2 || rejected != "rejected" || revert != "superseded" || len(routes) != 0 {
		t.Errorf("head %+v, revision 1 is %s, revision 2 is %s with %v", head, rejected, revert, routes)
	}
	f.alter(func(a *playedAgent) { a.refuses = false })
	if detail := f.ends(f.publish("orders", "/orders", quick()), rollout.Completed); detail.Steps != 1 || f.head().Stable != 3 {
		t.Errorf("the next is not the first: %+v", detail)
	}
}
