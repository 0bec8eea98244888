package agent_test

import (
	"testing"

	"tidegate.dev/dataplane/agent/controlplanetest"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

func TestAnOperatorRollsBackAndLetsGoAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t)
	if err := p.Pin(t.Context(), operator); err == nil {
		t.Error("an agent that serves nothing was pinned")
	}
	s := r.welcome(t)
	one, two, three := withRoutes(t, 1, "a"), withRoutes(t, 2, "a", "b"), withRoutes(t, 3, "c")
	s.Content(t, empty, one)
	s.Desire(t, stableState(1, one))
	wantServing(t, s, 1)
	if err := p.RollBack(t.Context(), operator); err == nil {
		t.Error("there is nothing to go back to, and it was gone back to")
	}
	s.Content(t, one, two)
	s.Desire(t, stableState(2, two))
	wantServing(t, s, 2)
	if err := p.RollBack(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	p.installer.serves(t, 1, 0)
	s.Content(t, two, three)
	s.Desire(t, stableState(3, three))
	wantRefused(t, s, 3, "pinned")

	p.stop()
	p = r.start(t)
	p.installer.serves(t, 1, 0)
	s = r.welcome(t)
	s.Desire(t, stableState(2, two))
	wantRefused(t, s, 2, "pinned")
	if !p.Status().Pinned {
		t.Error("the status does not say that the agent is pinned")
	}
	if err := p.Unpin(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	s.Ended(t)
	s = r.welcome(t)
	s.Desire(t, stableState(2, two))
	wantServing(t, s, 2)
}

func TestAPinEndsTheCandidate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t)
	s := r.welcome(t)
	one, two := withRoutes(t, 1, "a"), withRoutes(t, 2, "a", "b")
	s.Content(t, empty, one)
	s.Content(t, one, two)
	s.Desire(t, candidateState(2, one, two, 10_000))
	wantServing(t, s, 2)
	if err := p.Pin(t.Context(), operator); err != nil {
		t.Fatal(err)
	}
	p.installer.serves(t, 1, 0)
}

func TestANewEpochForgetsWhatWasDropped(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t)
	s := r.welcome(t)
	one, two := withRoutes(t, 1, "a"), withRoutes(t, 2, "a", "b")
	s.Content(t, empty, one)
	s.Content(t, one, two)
	s.Desire(t, candidateState(2, one, two, 10_000))
	wantServing(t, s, 2)
	fail(p, "2", 2, 10_000)
	s.Acknowledgement(t)
	again := candidateState(1, one, two, 10_000)
	again.Epoch, again.RolloutId = 2, "another"
	s.Desire(t, again)
	wantServing(t, s, 1)
	if dropped := p.Status().Dropped; len(dropped) != 0 {
		t.Errorf("it still remembers %v", dropped)
	}
}

// The control plane's database was restored from before the epoch that the agent is in: it keeps the lane and what it serves, and says
// why to a control plane that it goes on listening to.
func TestAnEpochThatIsOverIsRefusedOnOneStream(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t)
	s := r.welcome(t)
	one, two := withRoutes(t, 1, "a"), withRoutes(t, 2, "b")
	state := func(epoch, generation int64, revision controlplanetest.Revision) *agentv1.DesiredState {
		desired := stableState(generation, revision)
		desired.Epoch = epoch
		return desired
	}
	lane := func(epoch, through int64) *agentv1.LaneBatch {
		return &agentv1.LaneBatch{Fleet: controlplanetest.Fleet, Epoch: epoch, Reset_: true, ThroughSequence: through}
	}
	s.Lane(t, lane(2, 5))
	s.Content(t, empty, one)
	s.Desire(t, state(2, 9, one))
	wantServing(t, s, 9)
	s.Lane(t, lane(1, 7))
	s.Content(t, one, two)
	s.Desire(t, state(1, 20, two))
	wantRefused(t, s, 20, "stale_generation")
	if status := p.Status(); !status.Connected || status.LaneSequence != 5 || status.StableRevision != 1 {
		t.Errorf("status %+v", status)
	}
	s.Lane(t, lane(3, 3))
	s.Desire(t, state(3, 21, two))
	wantServing(t, s, 21)
	if status := p.Status(); status.LaneSequence != 3 || status.StableRevision != 2 {
		t.Errorf("status %+v", status)
	}
}
