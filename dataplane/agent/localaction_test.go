package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"tidegate.dev/dataplane/agent"
	"tidegate.dev/dataplane/agent/controlplanetest"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

var (
	uid, loginUID = uint32(0), uint32(1000)
	operator      = agent.Operator{UID: &uid, LoginUID: &loginUID}
)

// told waits until the agent tells so many local actions.
func told(t *testing.T, s *controlplanetest.Session, want int) []*agentv1.LocalAction {
	t.Helper()
	for {
		actions := s.LocalActions(t)
		if len(actions) == want {
			return actions
		}
	}
}

func TestWhatAnOperatorDidIsToldUntilItStandsInTheAudit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t)
	s := r.welcome(t)
	one := withRoutes(t, 1, "a")
	s.Content(t, empty, one)
	s.Desire(t, stableState(1, one))
	wantServing(t, s, 1)
	r.cp.Stop()
	// With no control plane. One of them cannot be done, which is told as well.
	if err := p.RollBack(t.Context(), operator); err == nil {
		t.Fatal("there is nothing to go back to")
	}
	if err := p.Pin(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	boot := p.BootID()
	p.stop()
	p = r.start(t)
	p.installer.serves(t, 1, 0)
	if err := p.Unpin(t.Context(), agent.Operator{}); err != nil {
		t.Fatal(err)
	}
	r.cp.Restart(t)
	s = r.welcome(t)
	for i, action := range told(t, s, 3) {
		want := []struct {
			boot, command string
			sequence      int64
			failed        bool
		}{{boot, "rollback", 1, true}, {boot, "pin", 2, false}, {p.BootID(), "unpin", 1, false}}[i]
		if action.GetBootId() != want.boot || action.GetCommand() != want.command || action.GetSequence() != want.sequence ||
			(action.GetError() != "") != want.failed || action.GetStableRevision() != 1 || action.GetTime() == nil {
			t.Errorf("action %d: %v, want %+v", i, action, want)
		}
		if known := action.Uid != nil; known != (i < 2) || known && (action.GetUid() != 0 || action.GetLoginUid() != 1000) {
			t.Errorf("action %d is by %v", i, action)
		}
	}
	// What is not said to be stored is told again on the next stream; what is, is not.
	s.Close()
	s = r.welcome(t)
	all := told(t, s, 3)
	s.StoreLocalActions(t, all[0], all[2])
	s.Close()
	s = r.welcome(t)
	if left := told(t, s, 1); left[0].GetCommand() != "pin" {
		t.Errorf("left is %v", left)
	}
	s.StoreLocalActions(t, all[1])
	if err := p.Pin(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	next := s.LocalActions(t) // at once
	if last := next[len(next)-1]; last.GetBootId() != p.BootID() || last.GetSequence() != 2 {
		t.Errorf("then it told %v", next)
	}
}

func TestLocalActionsAreBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t)
	s := r.welcome(t)
	one := withRoutes(t, 1, "a")
	s.Content(t, empty, one)
	s.Desire(t, stableState(1, one))
	wantServing(t, s, 1)
	r.cp.Stop()
	for range 250 {
		if err := p.NoteUpgrade(t.Context(), operator); err != nil {
			t.Fatal(err)
		}
	}
	r.cp.Restart(t)
	actions := told(t, r.welcome(t), 200)
	if first := actions[0]; first.GetSequence() != 51 || first.GetForgotten() != 50 {
		t.Errorf("the first is %v", first)
	}
	if last := actions[199]; last.GetSequence() != 250 || last.GetForgotten() != 0 {
		t.Errorf("the last is %v", last)
	}
}

func TestDamagedLocalActionsAreLoudAndHarmNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := os.WriteFile(filepath.Join(r.dir, "local-actions.json"), []byte(`{"actions":[{"comm`), 0o600); err != nil {
		t.Fatal(err)
	}
	p := r.start(t)
	s := r.welcome(t)
	one := withRoutes(t, 1, "a")
	s.Content(t, empty, one)
	s.Desire(t, stableState(1, one))
	wantServing(t, s, 1)
	if err := p.Pin(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	if actions := told(t, s, 1); actions[0].GetCommand() != "pin" {
		t.Error(fmt.Sprint(actions))
	}
}
