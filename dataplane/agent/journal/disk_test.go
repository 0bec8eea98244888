package journal

import (
	"testing"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// A disk that refuses a write is simulated by a log that was closed.
func TestAfterAFailedWriteTheNextBeginsAGeneration(t *testing.T) {
	t.Parallel()
	config := Config{StateDir: t.TempDir(), Fleet: "default", AgentID: "a1"}
	j, _, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	lane := func(after, through int64) *agentv1.JournalRecord {
		return LaneRecord(&agentv1.LaneBatch{AfterSequence: after, ThroughSequence: through, Reset_: after == 0})
	}
	if err := j.Append(lane(0, 1)); err != nil {
		t.Fatal(err)
	}
	if err := j.log.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(lane(1, 2)); err == nil || j.State().LaneSequence != 1 {
		t.Errorf("a failed write gives %v and the state %d", err, j.State().LaneSequence)
	}
	if err := j.Amend(lane(1, 2)); err != nil || j.State().LaneSequence != 2 {
		t.Errorf("an amendment gives %v and the state %d", err, j.State().LaneSequence)
	}
	if err := j.Append(lane(2, 3)); err != nil {
		t.Fatal(err)
	}
	again, recovery, err := Open(config)
	if err != nil || again.State().LaneSequence != 3 || len(recovery.Problems) > 0 {
		t.Errorf("recovered %v, %+v, %v", again.State().LaneSequence, recovery, err)
	}
	for _, each := range []*Journal{j, again} {
		if err := each.Close(); err != nil {
			t.Error(err)
		}
	}
}
