package agent_test

import (
	"strconv"
	"testing"
	"time"

	"tidegate.dev/dataplane/agent/controlplanetest"
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func stickyState(generation int64, stable, candidate controlplanetest.Revision) *agentv1.DesiredState {
	state := candidateState(generation, stable, candidate, 500_000)
	state.Sticky = &agentv1.StickyCoin{
		By:     &configv1.Stickiness{By: &configv1.Stickiness_Header{Header: "x-tenant"}},
		Secret: []byte("0123456789abcdef0123456789abcdef"), Counters: 1,
	}
	return state
}

// failUnits lets one request of each of some units of the candidate fail, as the proxy would.
func failUnits(p *process, from, to int) {
	arm := p.counters.OpenSticky(telemetry.ArmKey{Revision: 2, Arm: 2}, 3, p.counters.UnitsOf("2"))
	for i := from; i < to; i++ {
		var r telemetry.Running
		arm.Throw(&r, telemetry.UnitOf(new([32]byte), strconv.Itoa(i)))
		arm.Leave(&r, "a", 5, 0, time.Millisecond)
	}
}

// startSticky is a process with a sticky candidate.
func (r *rig) startSticky(t *testing.T) *process {
	t.Helper()
	p := r.start(t)
	s := r.welcome(t)
	one, two := withRoutes(t, 1, "a"), withRoutes(t, 2, "a", "b")
	s.Content(t, empty, one)
	s.Content(t, one, two)
	s.Desire(t, stickyState(2, one, two))
	wantServing(t, s, 2)
	sticky := p.installer.Serving().Sticky
	if sticky.By != snapshot.StickyHeader || sticky.Name != "x-tenant" || string(sticky.Secret[:4]) != "0123" {
		t.Fatalf("the coin is %+v", sticky)
	}
	return p
}

func (p *process) failedUnits() (all uint64) {
	p.counters.EachUnit(func(key telemetry.UnitKey, count telemetry.UnitCount) {
		if key.Metric == "upstream_5xx" && key.Route == "" {
			all += count.All
		}
	})
	return all
}

func TestAUnitIsCountedOnceThoughTheProcessIsAnother(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.startSticky(t)
	failUnits(p, 0, 3)
	eventually(t, "the units are on the disk", func() bool { return r.evidenceHas(`"bad":3}`) })
	p.stop()

	// A successor serves with the same coin, and counts when the units before are known to it, and not sooner.
	next, proceed := r.startPreview(t)
	if next.counters.UnitsOf("2") != nil {
		t.Error("a process that only prepares counts units")
	}
	proceed()
	r.welcome(t)
	if installs := next.installer.count(); installs != 2 {
		t.Errorf("it was installed %d times, want once more to count", installs)
	}
	failUnits(next, 0, 5)
	if n := next.failedUnits(); n != 2 {
		t.Errorf("the next process counts %d units, want the two that are new", n)
	}
	eventually(t, "it judges by the units of both", func() bool { return r.evidenceHas(`"bad":5}`) })
}

func TestACandidateThatFailsItsUnitsIsDropped(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.startSticky(t)
	for range 100 {
		failUnits(p, 0, 1)
	}
	eventually(t, "the one unit is on the disk", func() bool { return r.evidenceHas(`"bad":1}`) })
	p.installer.serves(t, 1, 2) // one client that always fails is no evidence
	failUnits(p, 1, 40)
	p.installer.serves(t, 1, 0)
}
