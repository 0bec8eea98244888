package agent_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidegate.dev/dataplane/agent"
	"tidegate.dev/dataplane/agent/controlplanetest"
	"tidegate.dev/dataplane/telemetry"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// failTimes lets some requests of the candidate of rollout "2" fail.
func failTimes(p *process, times int) {
	arm := p.counters.Open(telemetry.ArmKey{Revision: 2, Arm: 2, RolloutID: "2", SharePPM: 10_000}, 3)
	for range times {
		arm.Record(1, "a", 5, 0, time.Millisecond)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not in time: %s", what)
		}
	}
}

func (r *rig) evidenceFile() string { return filepath.Join(r.dir, "evidence") }

// evidenceHas tells whether the file of evidence says something.
func (r *rig) evidenceHas(text string) bool {
	content, err := os.ReadFile(r.evidenceFile())
	return err == nil && bytes.Contains(content, []byte(text))
}

// watchTwo is a process whose candidate has failed twice, which is not enough.
func (r *rig) watchTwo(t *testing.T) (p *process, one, two controlplanetest.Revision) {
	t.Helper()
	p = r.start(t)
	s := r.welcome(t)
	one, two = withRoutes(t, 1, "a"), withRoutes(t, 2, "a", "b")
	s.Content(t, empty, one)
	s.Content(t, one, two)
	s.Desire(t, candidateState(2, one, two, 10_000))
	wantServing(t, s, 2)
	failTimes(p, 2)
	eventually(t, "the evidence is on the disk", func() bool {
		return r.evidenceHas(`"upstream_5xx":{"bad":[{"share_ppm":10000,"candidate":{"requests":0,"bad":2}`)
	})
	p.installer.serves(t, 1, 2)
	return p, one, two
}

func wantDropped(t *testing.T, s *controlplanetest.Session) {
	t.Helper()
	if ack := s.Acknowledgement(t); ack.GetStatus() != agentv1.Acknowledgement_STATUS_DROPPED || !strings.Contains(ack.GetErrors()[0].GetMessage(), "5xx 100 %") {
		t.Errorf("reported %v, want the candidate to be dropped", ack)
	}
}

func TestEvidenceSurvivesTheProcess(t *testing.T) {
	t.Parallel()
	for name, killed := range map[string]bool{"that ends in order": false, "that is killed": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			p, _, _ := r.watchTwo(t)
			if killed { // what the disk says at that moment is all that is left
				dir := t.TempDir()
				if err := os.CopyFS(dir, os.DirFS(r.dir)); err != nil {
					t.Fatal(err)
				}
				p.stop()
				r.dir = dir
			} else {
				p.stop()
			}
			again := r.start(t)
			again.installer.serves(t, 1, 2)
			s := r.welcome(t)
			failTimes(again, 2)
			wantDropped(t, s)
			again.installer.serves(t, 1, 0)
		})
	}
}

func TestEvidenceIsHandedOverToASuccessor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, _, _ := r.watchTwo(t)
	// The successor serves from the disk while the one before still writes there, and fails in this time.
	next, proceed := r.startPreview(t)
	next.installer.serves(t, 1, 2)
	failTimes(next, 2)
	p.stop()
	proceed()
	next.installer.serves(t, 1, 0)
	if dropped := r.cp.Accept(t).Hello.GetDropped(); len(dropped) > 0 && !strings.Contains(dropped[0].GetReason(), "5xx") {
		t.Errorf("it says it dropped %v", dropped) // or it says so in the stream, if that was quicker
	}
}

func TestDamagedEvidenceCostsTheEvidenceAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, one, two := r.watchTwo(t)
	p.stop()
	content, err := os.ReadFile(r.evidenceFile())
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 1
	if err := os.WriteFile(r.evidenceFile(), content, 0o600); err != nil {
		t.Fatal(err)
	}
	again := r.start(t)
	again.installer.serves(t, 1, 2)
	s := r.welcome(t)
	failTimes(again, 2)
	eventually(t, "the evidence begins anew", func() bool { return r.evidenceHas(`"bad":2}`) })
	s.Desire(t, candidateState(3, one, two, 20_000))
	wantServing(t, s, 3) // it is still there
}

func TestEvidenceIsOfOneRolloutAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, one, two := r.watchTwo(t)
	p.stop()
	again := r.start(t)
	s := r.welcome(t)
	other := candidateState(3, one, two, 10_000)
	other.RolloutId = "3"
	s.Desire(t, other)
	wantServing(t, s, 3)
	arm := again.counters.Open(telemetry.ArmKey{Revision: 2, Arm: 2, RolloutID: "3", SharePPM: 10_000}, 3)
	for range 2 {
		arm.Record(1, "a", 5, 0, time.Millisecond)
	}
	eventually(t, "the other rollout is judged", func() bool { return r.evidenceHas(`"rollout_id":"3"`) && r.evidenceHas(`"bad":2}`) })
	again.installer.serves(t, 1, 2)
}

// A candidate that was suspended for want of a control plane is judged by all that was seen of it.
func TestEvidenceSurvivesASuspension(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.adjust = func(c *agent.Config) { c.DeadMan = 300 * time.Millisecond }
	p, one, two := r.watchTwo(t)
	r.cp.Stop()
	p.installer.serves(t, 1, 0)
	r.cp.Restart(t)
	s := r.cp.Accept(t)
	s.Welcome(t)
	s.Desire(t, candidateState(2, one, two, 10_000))
	wantServing(t, s, 2)
	failTimes(p, 2)
	wantDropped(t, s)
}
