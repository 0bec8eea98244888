package fleet_test

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tidegate.dev/controlplane/store"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// tell sends local actions and returns what is then said to stand in the audit.
func (a *fakeAgent) tell(actions ...*agentv1.LocalAction) []*agentv1.LocalActionReference {
	a.t.Helper()
	a.say(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_LocalActions{LocalActions: &agentv1.LocalActions{Actions: actions}}})
	for {
		message, err := a.next()
		if err != nil {
			a.t.Fatal(err)
		}
		if stored := message.GetLocalActionsStored(); stored != nil {
			return stored.GetActions()
		}
	}
}

// audited are the events of local actions, the oldest first.
func (p *plane) audited() (events []store.AuditEvent) {
	p.t.Helper()
	err := p.store.View(p.t.Context(), func(tx *store.Tx) error {
		all, err := tx.AuditEvents(p.t.Context(), store.AuditFilter{}, 1000)
		for _, event := range all {
			if strings.HasPrefix(event.Action, "agent.local.") {
				events = append([]store.AuditEvent{event}, events...)
			}
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return events
}

func TestWhatOperatorsDidToAnAgentStandsInTheAuditOnce(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	a, b := p.start("a").address, p.start("b").address
	agent := p.enrolled(a, "one")
	agent.connect(a)
	uid, login := uint32(0), uint32(1000)
	pin := &agentv1.LocalAction{BootId: "first", Sequence: 1, Time: timestamppb.Now(), Command: "pin", StableRevision: 7, Uid: &uid, LoginUid: &login}
	back := &agentv1.LocalAction{BootId: "second", Sequence: 1, Time: timestamppb.Now(), Command: "rollback", Error: "nothing before it", Forgotten: 3}
	if stored := agent.tell(pin); len(stored) != 1 || stored[0].GetBootId() != "first" || stored[0].GetSequence() != 1 {
		t.Errorf("stored %v", stored)
	}
	// The answer was lost: it tells all again, to another replica.
	agent.connect(b)
	if stored := agent.tell(pin, back); len(stored) != 2 {
		t.Errorf("stored %v", stored)
	}
	events := p.audited()
	if len(events) != 2 {
		t.Fatalf("the audit holds %+v", events)
	}
	for i, want := range []struct{ action, reason string }{
		{"agent.local.pin", "by uid 0, logged in as uid 1000, at "}, {"agent.local.rollback", "not done: nothing before it; 3 actions before it were forgotten"},
	} {
		got := events[i]
		if got.Actor != "agent one" || got.Action != want.action || got.Fleet != p.fleet.Name || got.Resource != "agents/one" || !strings.Contains(got.Reason, want.reason) {
			t.Errorf("event %d: %+v, want %+v", i, got, want)
		}
	}
	if !strings.Contains(events[0].Reason, "revision 7") || !strings.Contains(events[1].Reason, "an unknown user") {
		t.Errorf("reasons %q, %q", events[0].Reason, events[1].Reason)
	}
}

func TestAnAgentCannotFloodTheAudit(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	agent := p.enrolled(address, "one")
	agent.connect(address)
	stored := 0
	for boot := range 4 {
		var many []*agentv1.LocalAction
		for i := range 200 {
			many = append(many, &agentv1.LocalAction{BootId: string(rune('a' + boot)), Sequence: int64(i + 1), Command: "pin"})
		}
		stored += len(agent.tell(many...))
	}
	if events := len(p.audited()); stored != 500 || events != 500 {
		t.Errorf("of 800 actions %d were stored and %d are in the audit, want 500", stored, events)
	}
	for _, bad := range []*agentv1.LocalAction{
		{BootId: "x", Sequence: 1, Command: "Pin it"}, {BootId: "x", Command: "pin"}, {BootId: strings.Repeat("x", 300), Sequence: 1, Command: "pin"},
	} {
		agent.connect(address)
		agent.say(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_LocalActions{LocalActions: &agentv1.LocalActions{Actions: []*agentv1.LocalAction{bad}}}})
		wantCode(t, agent.ended(), codes.InvalidArgument)
	}
}
