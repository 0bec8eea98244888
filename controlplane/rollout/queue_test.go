package rollout_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"tidegate.dev/controlplane/rollout"
	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// long is a strategy whose first step lasts until somebody ends it.
func long() *configv1.Strategy {
	return &configv1.Strategy{Steps: []*configv1.Step{{Agents: 1, TrafficPercent: 10, Bake: "1h"}, {AgentsPercent: 100, TrafficPercent: 100}}}
}

func running(step int) func(rollout.Detail) bool {
	return func(d rollout.Detail) bool {
		return d.State == rollout.Running && d.Step == step && !d.BakeEndAt.IsZero()
	}
}

// begun is a fleet whose stable revision 1 has route "orders", and whose revision 2, which changes it, is in its first step.
func begun(t *testing.T) (f *fleet, candidate int64) {
	t.Helper()
	f = newFleet(t)
	f.goes(f.controller("a").Run)
	f.join("edge-1", "edge-2")
	f.ends(f.publish("orders", "/orders", quick()), rollout.Completed)
	candidate = f.publish("orders", "/candidate", long())
	f.reaches(candidate, "its first step", running(0))
	return f, candidate
}

func (f *fleet) asks(id int64, command rollout.Command, reason string) rollout.Detail {
	f.t.Helper()
	ticket, err := f.service.Request(f.t.Context(), f.Name, id, command, "ada", reason)
	if err != nil {
		f.t.Fatal(err)
	}
	detail, err := f.service.Await(f.t.Context(), ticket)
	if err != nil {
		f.t.Fatal(err)
	}
	return detail
}

func TestNewestInTheQueueWins(t *testing.T) {
	t.Parallel()
	f, candidate := begun(t)
	second := f.publish("users", "/users", quick())
	third := f.publish("teams", "/teams", quick())
	f.ends(second, rollout.Superseded)
	if state := f.get(third).State; state != rollout.Queued {
		t.Fatalf("the newest is %s behind the active one", state)
	}
	f.asks(candidate, rollout.PromoteFull, "")
	f.ends(candidate, rollout.Completed)
	f.ends(third, rollout.Completed)
	if _, routes := f.revision(f.head().Stable); !maps.Equal(routes, map[string]string{"orders": "/candidate", "users": "/users", "teams": "/teams"}) {
		t.Errorf("stable has %v", routes)
	}
}

func TestQueuedRevisionThatIsDisjointIsRebased(t *testing.T) {
	t.Parallel()
	f, candidate := begun(t)
	queued := f.publish("users", "/users", quick())
	f.asks(candidate, rollout.Abort, "wrong path")
	f.ends(candidate, rollout.Aborted)
	detail := f.ends(queued, rollout.Completed)
	state, routes := f.revision(detail.Revision)
	if !maps.Equal(routes, map[string]string{"orders": "/orders", "users": "/users"}) || state != "serving" || detail.Revision != 4 {
		t.Errorf("revision %d is %s and has %v", detail.Revision, state, routes)
	}
	rejected, _ := f.revision(2)
	former, _ := f.revision(3)
	if rejected != "rejected" || former != "superseded" {
		t.Errorf("revision 2 is %s, revision 3 is %s", rejected, former)
	}
}

func TestQueuedRevisionThatOverlapsIsRejectedToo(t *testing.T) {
	t.Parallel()
	for name, overlapping := range map[string]map[string]string{
		"the same route":                {"orders": "/third"},
		"a route that would tie":        {"other": "/orders"},
		"one that overlaps and another": {"orders": "", "users": "/users"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, candidate := begun(t)
			queued := f.publishAll(overlapping, quick())
			f.asks(candidate, rollout.Abort, "")
			f.ends(candidate, rollout.Aborted)
			detail := f.ends(queued, rollout.Superseded)
			if !strings.Contains(detail.Reason, "revision 2, which it stands on, was rejected") {
				t.Errorf("reason %q", detail.Reason)
			}
			head := f.head()
			rejected, _ := f.revision(3)
			state, routes := f.revision(head.Revision)
			if head.Stable != head.Revision || rejected != "rejected" || state != "serving" || !maps.Equal(routes, map[string]string{"orders": "/orders"}) {
				t.Errorf("head %+v, revision 3 is %s, head is %s with %v", head, rejected, state, routes)
			}
		})
	}
}

func TestWaitingRolloutCanBeAborted(t *testing.T) {
	t.Parallel()
	f, candidate := begun(t)
	queued := f.publish("users", "/users", quick())
	f.asks(queued, rollout.Abort, "not yet")
	f.ends(queued, rollout.Aborted)
	if _, routes := f.revision(f.head().Revision); !maps.Equal(routes, map[string]string{"orders": "/candidate"}) {
		t.Errorf("head has %v, want the candidate's content", routes)
	}
	f.asks(candidate, rollout.PromoteFull, "")
	f.ends(candidate, rollout.Completed)
	head := f.head()
	if state, _ := f.revision(head.Revision); head.Stable != head.Revision || state != "serving" {
		t.Errorf("head %+v is %s, want stable", head, state)
	}
}

func TestWaitingAndThenActiveAborted(t *testing.T) {
	t.Parallel()
	f, candidate := begun(t)
	queued := f.publish("users", "/users", quick())
	f.asks(queued, rollout.Abort, "")
	f.asks(candidate, rollout.Abort, "")
	f.ends(candidate, rollout.Aborted)
	head := f.head()
	state, routes := f.revision(head.Revision)
	if head.Stable != head.Revision || state != "serving" || !maps.Equal(routes, map[string]string{"orders": "/orders"}) {
		t.Errorf("head %+v is %s with %v", head, state, routes)
	}
	if between, _ := f.revision(head.Revision - 1); between != "superseded" {
		t.Errorf("the revert between is %s", between)
	}
}

func TestPeopleSteer(t *testing.T) {
	t.Parallel()
	f, id := begun(t)
	paused := f.asks(id, rollout.Pause, "looking at a graph")
	if paused.State != rollout.Paused || !strings.Contains(paused.Reason, "paused by ada: looking at a graph") {
		t.Errorf("paused: %s: %s", paused.State, paused.Reason)
	}
	_, err := f.service.Request(t.Context(), f.Name, id, rollout.Approve, "ada", "")
	var wrong *rollout.WrongState
	if !errors.As(err, &wrong) || !strings.Contains(err.Error(), "is paused: cannot approve; possible are resume, promote, promote_full, abort") {
		t.Errorf("approving it: %v", err)
	}
	if resumed := f.asks(id, rollout.Resume, ""); resumed.State != rollout.Running || resumed.Step != 0 {
		t.Errorf("resumed: %+v", resumed)
	}
	f.asks(id, rollout.Promote, "looks good")
	detail := f.ends(id, rollout.Completed)
	actors := map[string]string{}
	for _, event := range detail.Events {
		actors[event.Type] = event.Actor
	}
	if actors["paused"] != "ada" || actors["resumed"] != "ada" || actors["promoted"] != "ada" {
		t.Errorf("actors of events: %v", actors)
	}
}

func TestStepWaitsForApproval(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.goes(f.controller("a").Run)
	f.join("edge-1")
	f.ends(f.publish("orders", "/orders", quick()), rollout.Completed)
	strategy := quick()
	strategy.Steps[0].Approval, strategy.Steps[1].Approval = true, true
	id := f.publish("orders", "/v2", strategy)
	waits := func(d rollout.Detail) bool { return d.State == rollout.AwaitingApproval }
	if detail := f.reaches(id, "the first approval", waits); detail.CandidateAgents != 0 {
		t.Errorf("agents hold the candidate before approval: %+v", detail)
	}
	f.asks(id, rollout.Approve, "")
	f.reaches(id, "the second approval", func(d rollout.Detail) bool { return waits(d) && d.CandidateAgents == 1 })
	f.asks(id, rollout.Approve, "")
	f.ends(id, rollout.Completed)
}

func TestAgentsAreGates(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		does func(*fleet, *playedAgent)
		want string
	}{
		"restarts": {func(f *fleet, a *playedAgent) { f.connect(a) }, "restarted while it held revision 2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, id := begun(t)
			for _, agent := range f.get(id).Agents {
				if agent.Candidate {
					test.does(f, f.named(agent.Name))
				}
			}
			if detail := f.ends(id, rollout.RolledBack); !strings.Contains(detail.Reason, test.want) {
				t.Errorf("reason %q", detail.Reason)
			}
		})
	}
}

func (f *fleet) named(name string) *playedAgent {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, agent := range f.agents {
		if agent.name == name {
			return agent
		}
	}
	return nil
}

func TestARevisionThatSupersedesDoesNotWait(t *testing.T) {
	t.Parallel()
	f, candidate := begun(t)
	urgent := f.publishAs(map[string]string{"users": "/users"}, quick(), store.QueuedRollout{Supersede: true})
	f.ends(candidate, rollout.Superseded)
	detail := f.ends(urgent, rollout.Completed)
	state, routes := f.revision(detail.Revision)
	if !maps.Equal(routes, map[string]string{"orders": "/candidate", "users": "/users"}) || state != "serving" {
		t.Errorf("revision %d is %s and has %v, want the changes of both", detail.Revision, state, routes)
	}
	if former, _ := f.revision(2); former != "superseded" {
		t.Errorf("the revision before is %s", former)
	}
}
