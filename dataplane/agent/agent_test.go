package agent_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"tidegate.dev/dataplane/agent"
	"tidegate.dev/dataplane/agent/controlplanetest"
	"tidegate.dev/dataplane/agent/journal"
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestARevisionServesAndThenIsAcknowledged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t)
	s := r.cp.Accept(t)
	if h := s.Hello; h.GetBootId() != p.BootID() || h.GetVersion() != "test" || len(h.GetHolds()) != 0 || h.GetGeneration() != 0 {
		t.Errorf("hello %v", h)
	}
	s.Welcome(t)
	one := withRoutes(t, 1, "a", "b", "c")
	s.Content(t, empty, one)
	s.Desire(t, stableState(1, one))
	wantServing(t, s, 1)
	now := p.installer.Serving()
	if now.Stable.Revision() != 1 || now.Stable.Routes() != 3 || now.Candidate != nil {
		t.Errorf("acknowledged before it serves: %+v", now)
	}
	s.Heartbeat(t, func(serving *agentv1.Serving) bool { return serving.GetStableRevision() == 1 })
}

func TestAFleetWithoutRevisionsServesNothingInOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t)
	s := r.welcome(t)
	s.Desire(t, &agentv1.DesiredState{Fleet: controlplanetest.Fleet, AgentId: controlplanetest.AgentID, Epoch: 1, Stable: &agentv1.RevisionReference{}})
	wantServing(t, s, 0)
	p.installer.serves(t, 0, 0)
	one := withRoutes(t, 1, "a")
	s.Content(t, empty, one)
	first := candidateState(1, empty, one, 1_000_000)
	first.Stable = nil
	s.Desire(t, first)
	wantServing(t, s, 1)
	p.installer.serves(t, 0, 1)
}

func TestCandidateBesideStableThenPromoted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t)
	s := r.welcome(t)
	one, two := withRoutes(t, 1, "a"), withRoutes(t, 2, "a", "b")
	s.Content(t, empty, one)
	s.Desire(t, stableState(1, one))
	wantServing(t, s, 1)
	s.Content(t, one, two)
	s.Desire(t, candidateState(2, one, two, 10_000))
	wantServing(t, s, 2)
	if now := p.installer.Serving(); now.Candidate.Revision() != 2 || now.SharePPM != 10_000 || now.RolloutID != "2" {
		t.Errorf("serving %+v", now)
	}
	candidate := p.installer.Serving().Candidate
	s.Desire(t, candidateState(3, one, two, 500_000))
	wantServing(t, s, 3)
	s.Desire(t, stableState(4, two))
	wantServing(t, s, 4)
	if now := p.installer.Serving(); now.Stable != candidate || now.Candidate != nil {
		t.Errorf("the promoted candidate was compiled again: %+v", now)
	}
	// The same installation under a new generation changes nothing.
	installs := p.installer.count()
	s.Desire(t, stableState(5, two))
	wantServing(t, s, 5)
	if p.installer.count() != installs {
		t.Error("what was served already was installed again")
	}
}

func TestStatesThatAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t)
	s := r.welcome(t)
	one, bad := withRoutes(t, 1, "a"), broken(t, 2)
	s.Content(t, empty, one)
	s.Desire(t, stableState(5, one))
	wantServing(t, s, 5)

	s.Desire(t, stableState(4, one))
	wantRefused(t, s, 4, "stale_generation")

	older := stableState(9, one)
	older.Epoch = 0
	s.Desire(t, older)
	wantRefused(t, s, 9, "stale_generation")

	foreign := stableState(6, one)
	foreign.AgentId = "another"
	s.Desire(t, foreign)
	wantRefused(t, s, 6, "identity")

	s.Desire(t, stableState(6, withRoutes(t, 7, "never-sent")))
	wantRefused(t, s, 6, "content_missing")

	s.Content(t, one, bad)
	s.Desire(t, candidateState(6, one, bad, 10_000))
	if ack := wantRefused(t, s, 6, snapshot.CodeReference); ack.GetErrors()[0].GetResource() != "routes/lost" || ack.GetServing().GetStableRevision() != 1 {
		t.Errorf("refused with %v", ack)
	}

	forged := r.cp.Sign(stableState(6, one))
	forged.Signature[0] ^= 1
	s.Send(t, &agentv1.ConnectResponse{Message: &agentv1.ConnectResponse_DesiredState{DesiredState: forged}})
	wantRefused(t, s, 0, "signature")

	p.installer.serves(t, 1, 0)
	newEpoch := stableState(1, one)
	newEpoch.Epoch = 2
	s.Desire(t, newEpoch)
	wantServing(t, s, 1)
}

func TestContentThatDoesNotHashToItsRootIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.start(t)
	s := r.welcome(t)
	one, other := withRoutes(t, 1, "a", "b"), withRoutes(t, 1, "a", "c")
	chunks := controlplanetest.Chunks(empty, one)
	for _, chunk := range chunks {
		chunk.To = other.Reference()
		s.Send(t, &agentv1.ConnectResponse{Message: &agentv1.ConnectResponse_Content{Content: chunk}})
	}
	s.Desire(t, stableState(1, other))
	wantRefused(t, s, 1, "root_mismatch")
	s.Content(t, empty, other)
	s.Desire(t, stableState(1, other))
	wantServing(t, s, 1)
}

func TestMessagesOutOfOrderEndTheStream(t *testing.T) {
	t.Parallel()
	one := withRoutes(t, 1, "a", "b")
	chunks := controlplanetest.Chunks(empty, one)
	tests := map[string]func(*controlplanetest.Session){
		"no welcome": func(s *controlplanetest.Session) { s.Desire(t, stableState(1, one)) },
		"a chunk is missing": func(s *controlplanetest.Session) {
			s.Welcome(t)
			s.Send(t, &agentv1.ConnectResponse{Message: &agentv1.ConnectResponse_Content{Content: chunks[1]}})
		},
		"the lane has a gap": func(s *controlplanetest.Session) {
			s.Welcome(t)
			s.Lane(t, &agentv1.LaneBatch{Fleet: controlplanetest.Fleet, Epoch: 1, AfterSequence: 5, ThroughSequence: 6})
		},
		"another fleet's lane": func(s *controlplanetest.Session) {
			s.Welcome(t)
			s.Lane(t, &agentv1.LaneBatch{Fleet: "another", Epoch: 1, Reset_: true, ThroughSequence: 6})
		},
	}
	for name, send := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.start(t)
			s := r.cp.Accept(t)
			send(s)
			s.Ended(t)
			r.cp.Accept(t) // and it comes back
		})
	}
}

func TestARestartServesFromTheDiskWithNoControlPlane(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t)
	s := r.welcome(t)
	one, two := withRoutes(t, 1, "a"), withRoutes(t, 2, "a", "b")
	s.Lane(t, laneBatch(0, 3, "key-3"))
	s.Content(t, empty, one)
	s.Desire(t, stableState(1, one))
	wantServing(t, s, 1)
	s.Content(t, one, two)
	s.Desire(t, candidateState(2, one, two, 20_000))
	wantServing(t, s, 2)
	killed := t.TempDir()
	if err := os.CopyFS(killed, os.DirFS(r.dir)); err != nil {
		t.Fatal(err)
	}
	p.stop()
	r.cp.Stop()

	began := time.Now()
	again := r.startIn(t, killed)
	again.installer.serves(t, 1, 2)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the start took %v", took)
	}
	if now := again.installer.Serving(); now.SharePPM != 20_000 || now.RolloutID != "2" {
		t.Errorf("serving %+v", now)
	}
	if again.lane.Counts().Keys != 1 {
		t.Errorf("the fast lane holds %+v", again.lane.Counts())
	}

	r.cp.Restart(t)
	s = r.cp.Accept(t)
	if status := again.Status(); !status.Configured || status.Connected || status.Generation != 2 || status.LaneSequence != 3 {
		t.Errorf("status %+v", status)
	}
	h := s.Hello
	if len(h.GetHolds()) != 2 || h.GetEpoch() != 1 || h.GetGeneration() != 2 || h.GetLaneSequence() != 3 || h.GetBootId() == p.BootID() {
		t.Errorf("hello %v", h)
	}
	s.Welcome(t)
	s.Desire(t, stableState(3, two))
	wantServing(t, s, 3)
}

func laneBatch(after, through int64, names ...string) *agentv1.LaneBatch {
	batch := &agentv1.LaneBatch{Fleet: controlplanetest.Fleet, Epoch: 1, AfterSequence: after, ThroughSequence: through, Reset_: after == 0}
	for _, name := range names {
		batch.Entries = append(batch.Entries, &agentv1.LaneEntry{
			Sequence: through, Kind: configv1.Kind_KIND_KEY, Name: name,
			Material: &agentv1.LaneEntry_Key{Key: &agentv1.KeyMaterial{Consumer: "acme", Hash: []byte(strings.Repeat(name, 32)[:32])}},
		})
	}
	return batch
}

func TestTheLaneIsAppliedOnceAndInOrder(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t)
	s := r.welcome(t)
	s.Lane(t, laneBatch(0, 3, "key-3"))
	s.Lane(t, laneBatch(3, 5, "key-5"))
	s.Lane(t, laneBatch(3, 5, "key-5")) // twice
	revoked := laneBatch(5, 6)
	revoked.Entries = []*agentv1.LaneEntry{{Sequence: 6, Kind: configv1.Kind_KIND_KEY, Name: "key-3", Deleted: true}}
	s.Lane(t, revoked)
	s.Lane(t, laneBatch(0, 2, "key-3")) // an old database: it would bring the revoked key back
	s.Lane(t, laneBatch(2, 8, "key-8"))
	s.Heartbeat(t, func(serving *agentv1.Serving) bool { return serving.GetLaneSequence() == 6 })
	one := withRoutes(t, 1, "a")
	s.Content(t, empty, one)
	s.Desire(t, stableState(1, one))
	wantServing(t, s, 1)
	if _, sequence := p.lane.Position(); sequence != 6 || p.lane.Counts().Keys != 1 {
		t.Errorf("the lane is held up to %d with %+v", sequence, p.lane.Counts())
	}
}

// A lane from nothing takes effect as a whole: what is held is served until its last part has come, also over a cut.
func TestALaneFromNothingTakesEffectAsAWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t)
	s := r.welcome(t)
	s.Lane(t, laneBatch(0, 3, "old"))
	s.Heartbeat(t, func(serving *agentv1.Serving) bool { return serving.GetLaneSequence() == 3 })
	part := func(after, through int64, incomplete bool, names ...string) *agentv1.LaneBatch {
		batch := laneBatch(after, through, names...)
		batch.Epoch, batch.Reset_, batch.Incomplete = 2, after == 0, incomplete
		return batch
	}
	s.Lane(t, part(0, 10, true, "new-1"))
	s.Lane(t, part(10, 20, true, "new-2"))
	s.Close()
	s = r.welcome(t)
	if begun := s.Hello.GetPartialLane(); begun.GetEpoch() != 2 || begun.GetThroughSequence() != 20 || s.Hello.GetLaneSequence() != 3 {
		t.Errorf("the hello tells of the lane %d and the parts %v", s.Hello.GetLaneSequence(), begun)
	}
	if epoch, sequence := p.lane.Position(); epoch != 1 || sequence != 3 || p.lane.Counts().Keys != 1 {
		t.Errorf("before the last part (%d, %d) is held with %+v", epoch, sequence, p.lane.Counts())
	}
	gone := part(20, 25, false, "new-3")
	gone.Entries = append(gone.Entries, &agentv1.LaneEntry{Sequence: 25, Kind: configv1.Kind_KIND_KEY, Name: "new-1", Deleted: true})
	s.Lane(t, gone)
	s.Heartbeat(t, func(serving *agentv1.Serving) bool { return serving.GetLaneSequence() == 25 })
	if epoch, sequence := p.lane.Position(); epoch != 2 || sequence != 25 || p.lane.Counts().Keys != 2 {
		t.Errorf("after the last part (%d, %d) is held with %+v", epoch, sequence, p.lane.Counts())
	}
	p.stop()
	p = r.start(t)
	s = r.welcome(t)
	if s.Hello.GetLaneSequence() != 25 || s.Hello.GetPartialLane() != nil || p.lane.Counts().Keys != 2 {
		t.Errorf("after a restart the lane is held up to %d with %+v", s.Hello.GetLaneSequence(), p.lane.Counts())
	}
	s.Lane(t, part(0, 50, true, "torn"))
	s.Lane(t, part(60, 70, false, "gap"))
	s.Ended(t)
}

func TestAContentGoesOnWhereItsStreamWasCut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t)
	s := r.welcome(t)
	one := withRoutes(t, 1, "a", "b", "c")
	chunks := controlplanetest.Chunks(empty, one)
	send := func(chunk *agentv1.ContentChunk) {
		s.Send(t, &agentv1.ConnectResponse{Message: &agentv1.ConnectResponse_Content{Content: chunk}})
	}
	send(chunks[0])
	send(chunks[1])
	s.Heartbeat(t, func(*agentv1.Serving) bool { return true })
	s.Close()
	s = r.welcome(t)
	begun := s.Hello.GetPartialContent()
	var digest revision.Digest
	for _, chunk := range chunks[:begun.GetChunks()] {
		digest = revision.NextChunk(digest, journal.DeltaOf(chunk.GetUpserts(), chunk.GetDeletes()))
	}
	if begun.GetChunks() == 0 || begun.GetChunks() > 2 || !bytes.Equal(begun.GetDigest(), digest[:]) || begun.GetTo().GetRevision() != 1 {
		t.Fatalf("the hello tells of %v", begun)
	}
	for _, chunk := range chunks[begun.GetChunks():] {
		send(chunk)
	}
	s.Desire(t, stableState(1, one))
	wantServing(t, s, 1)
	p.installer.serves(t, 1, 0)
}

func TestARevisionWaitsForTheLane(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t)
	s := r.welcome(t)
	one, two := withRoutes(t, 1, "a"), withRoutes(t, 2, "b")
	s.Content(t, empty, one)
	s.Desire(t, stableState(1, one))
	wantServing(t, s, 1)
	s.Content(t, one, two)
	needing := stableState(2, two)
	needing.Stable.LaneSequence = 4
	s.Desire(t, needing)
	s.Lane(t, laneBatch(0, 3, "key-3"))
	s.Heartbeat(t, func(serving *agentv1.Serving) bool { return serving.GetLaneSequence() == 3 })
	p.installer.serves(t, 1, 0)
	s.Lane(t, laneBatch(3, 4))
	wantServing(t, s, 2)
	p.installer.serves(t, 2, 0)
}

func TestAPanicOfTheCompilerIsARefusal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.adjust = func(c *agent.Config) {
		compile := c.Compile
		c.Compile = func(in snapshot.Input) (*snapshot.Snapshot, error) {
			if in.Revision == 2 {
				panic("out of wits")
			}
			return compile(in)
		}
	}
	p := r.start(t)
	s := r.welcome(t)
	one, two := withRoutes(t, 1, "a"), withRoutes(t, 2, "b")
	s.Content(t, empty, one)
	s.Desire(t, stableState(1, one))
	wantServing(t, s, 1)
	s.Content(t, one, two)
	s.Desire(t, candidateState(2, one, two, 10_000))
	if ack := wantRefused(t, s, 2, "panic"); !strings.Contains(ack.GetErrors()[0].GetMessage(), "out of wits") {
		t.Errorf("refused with %v", ack)
	}
	p.installer.serves(t, 1, 0)
}

func TestHeartbeatsGoOnWhileCompilingAndTheNewestStateWins(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	compiling, goOn := make(chan int64, 10), make(chan struct{})
	r.adjust = func(c *agent.Config) {
		compile := c.Compile
		c.Compile = func(in snapshot.Input) (*snapshot.Snapshot, error) {
			compiling <- in.Revision
			<-goOn
			return compile(in)
		}
	}
	r.start(t)
	s := r.welcome(t)
	one, two, three := withRoutes(t, 1, "a"), withRoutes(t, 2, "b"), withRoutes(t, 3, "c")
	for _, each := range []controlplanetest.Revision{one, two, three} {
		s.Content(t, empty, each)
	}
	s.Desire(t, stableState(1, one))
	<-compiling
	for range 3 {
		s.Heartbeat(t, func(serving *agentv1.Serving) bool { return serving.GetStableRevision() == 0 })
	}
	s.Desire(t, stableState(2, two))
	s.Desire(t, stableState(3, three))
	s.Heartbeat(t, func(*agentv1.Serving) bool { return true })
	s.Heartbeat(t, func(*agentv1.Serving) bool { return true })
	close(goOn)
	wantServing(t, s, 3)
}

// fail lets the candidate fail requests until the guard has seen enough.
func fail(p *process, rolloutID string, revision int64, sharePPM uint32) {
	arm := p.counters.Open(telemetry.ArmKey{Revision: revision, Arm: 2, RolloutID: rolloutID, SharePPM: sharePPM}, 3)
	for range 100 {
		arm.Record(1, "a", 5, 0, time.Millisecond)
	}
}

func TestABadCandidateIsDroppedReportedAndRemembered(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t)
	s := r.welcome(t)
	one, two := withRoutes(t, 1, "a"), withRoutes(t, 2, "a", "b")
	s.Content(t, empty, one)
	s.Desire(t, stableState(1, one))
	wantServing(t, s, 1)
	s.Content(t, one, two)
	s.Desire(t, candidateState(2, one, two, 10_000))
	wantServing(t, s, 2)
	fail(p, "2", 2, 10_000)
	p.installer.serves(t, 1, 0)
	ack := s.Acknowledgement(t)
	if ack.GetStatus() != agentv1.Acknowledgement_STATUS_DROPPED || ack.GetGeneration() != 2 ||
		ack.GetErrors()[0].GetCode() != "evidence" || !strings.Contains(ack.GetErrors()[0].GetMessage(), "5xx 100 %") {
		t.Errorf("reported %v", ack)
	}
	s.Desire(t, candidateState(3, one, two, 20_000))
	wantRefused(t, s, 3, "dropped")
	p.stop()

	again := r.start(t)
	again.installer.serves(t, 1, 0)
	s = r.cp.Accept(t)
	if dropped := s.Hello.GetDropped(); len(dropped) != 1 || dropped[0].GetRevision() != 2 || dropped[0].GetRolloutId() != "2" {
		t.Errorf("after a restart it says it dropped %v", dropped)
	}
	s.Welcome(t)
	s.Desire(t, candidateState(2, one, two, 10_000))
	wantRefused(t, s, 2, "dropped")
	// What was taken back as a candidate may become stable by an operator's will.
	s.Desire(t, stableState(4, two))
	wantServing(t, s, 4)
}

func TestACandidateIsDroppedWithNoControlPlane(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p := r.start(t)
	s := r.welcome(t)
	one, two := withRoutes(t, 1, "a"), withRoutes(t, 2, "a", "b")
	s.Content(t, empty, one)
	s.Content(t, one, two)
	s.Desire(t, candidateState(2, one, two, 10_000))
	wantServing(t, s, 2)
	r.cp.Stop()
	fail(p, "2", 2, 10_000)
	p.installer.serves(t, 1, 0)
	r.cp.Restart(t)
	if dropped := r.cp.Accept(t).Hello.GetDropped(); len(dropped) != 1 || !strings.Contains(dropped[0].GetReason(), "5xx 100 %") {
		t.Errorf("it says it dropped %v", dropped)
	}
}

func TestACandidateWithoutAControlPlaneIsSuspended(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.adjust = func(c *agent.Config) { c.DeadMan = 300 * time.Millisecond }
	p := r.start(t)
	s := r.welcome(t)
	one, two := withRoutes(t, 1, "a"), withRoutes(t, 2, "a", "b")
	s.Content(t, empty, one)
	s.Content(t, one, two)
	s.Desire(t, candidateState(2, one, two, 10_000))
	wantServing(t, s, 2)
	r.cp.Stop()
	p.installer.serves(t, 1, 0)
	r.cp.Restart(t)
	s = r.cp.Accept(t)
	if len(s.Hello.GetDropped()) != 0 {
		t.Errorf("a suspended candidate counts as dropped: %v", s.Hello.GetDropped())
	}
	s.Welcome(t)
	s.Desire(t, candidateState(2, one, two, 10_000))
	wantServing(t, s, 2)
	p.installer.serves(t, 1, 2)
}

// A process that dies is simulated by a copy of its folder, taken while it runs.
func TestTwoDeathsAfterTakingARevisionGoBackToTheOneBefore(t *testing.T) {
	t.Parallel()
	for name, state := range map[string]func(one, two controlplanetest.Revision) *agentv1.DesiredState{
		"stable": func(_, two controlplanetest.Revision) *agentv1.DesiredState { return stableState(2, two) },
		"candidate": func(one, two controlplanetest.Revision) *agentv1.DesiredState {
			return candidateState(2, one, two, 10_000)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			p := r.start(t)
			s := r.welcome(t)
			one, two := withRoutes(t, 1, "a"), withRoutes(t, 2, "a", "b")
			s.Content(t, empty, one)
			s.Desire(t, stableState(1, one))
			wantServing(t, s, 1)
			s.Content(t, one, two)
			s.Desire(t, state(one, two))
			wantServing(t, s, 2)
			died := func() string {
				dir := t.TempDir()
				if err := os.CopyFS(dir, os.DirFS(r.dir)); err != nil {
					t.Fatal(err)
				}
				p.stop()
				return dir
			}
			r.dir = died()
			p = r.start(t)
			if h := r.cp.Accept(t).Hello; len(h.GetDropped()) != 0 {
				t.Errorf("after one death it gave up %v", h.GetDropped())
			}
			r.dir = died()
			p = r.start(t)
			p.installer.serves(t, 1, 0)
			s = r.cp.Accept(t)
			if d := s.Hello.GetDropped(); len(d) != 1 || d[0].GetRevision() != 2 || !strings.Contains(d[0].GetReason(), "died 2 times") {
				t.Errorf("it says it gave up %v", d)
			}
			s.Welcome(t)
			s.Desire(t, state(one, two))
			wantRefused(t, s, 2, map[string]string{"stable": "crash_loop", "candidate": "dropped"}[name])
			three := withRoutes(t, 3, "c")
			s.Content(t, one, three)
			s.Desire(t, stableState(3, three))
			wantServing(t, s, 3)
		})
	}
}

func TestAProcessThatEndsInOrderHasNotDied(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	one, two := withRoutes(t, 1, "a"), withRoutes(t, 2, "a", "b")
	p := r.start(t)
	s := r.welcome(t)
	s.Content(t, empty, one)
	s.Desire(t, stableState(1, one))
	wantServing(t, s, 1)
	s.Content(t, one, two)
	s.Desire(t, stableState(2, two))
	wantServing(t, s, 2)
	for range 3 {
		p.stop()
		p = r.start(t)
		p.installer.serves(t, 2, 0)
	}
}
