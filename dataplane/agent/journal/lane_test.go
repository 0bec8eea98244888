package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"tidegate.dev/dataplane/agent/journal"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// resetOf is a lane from nothing with many keys of some size.
func resetOf(keys, size int) *agentv1.LaneBatch {
	batch := &agentv1.LaneBatch{Fleet: "default", Epoch: 1, Reset_: true, ThroughSequence: int64(keys) + 100}
	for i := range keys {
		batch.Entries = append(batch.Entries, &agentv1.LaneEntry{
			Sequence: int64(i) + 1, Kind: configv1.Kind_KIND_KEY, Name: fmt.Sprint("key-", i),
			Material: &agentv1.LaneEntry_Key{Key: &agentv1.KeyMaterial{Consumer: "acme", Hash: make([]byte, size)}},
		})
	}
	return batch
}

// Wherever a crash cuts a lane that takes several records, it is held wholly or not at all, and can be continued.
func TestALargeLaneIsHeldWhollyOrNotAtAll(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	appendAll(t, j, laneKey(0, 7, "former"))
	before := summary(j.State())
	records := journal.LaneRecords(resetOf(200, 100_000))
	if len(records) < 4 {
		t.Fatalf("the lane is in %d records", len(records))
	}
	log := filepath.Join(dir, newestLog)
	small, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, j, records[:len(records)-1]...) // what a crash leaves
	torn := copyOf(t, dir)
	appendAll(t, j, records[len(records)-1])
	whole := summary(j.State())
	if whole == before || j.State().LaneSequence != 300 {
		t.Fatalf("the lane is held up to %d", j.State().LaneSequence)
	}
	if k, recovery := open(t, copyOf(t, dir)); summary(k.State()) != whole || len(recovery.Problems) > 0 {
		t.Errorf("after a restart the lane is held up to %d: %v", k.State().LaneSequence, recovery.Problems)
	}
	if info, err := os.Stat(filepath.Join(torn, newestLog)); err != nil || info.Size() <= int64(len(small)) {
		t.Fatalf("nothing was torn: %v", err)
	}
	k, recovery := open(t, torn)
	if summary(k.State()) != before || len(recovery.Problems) > 0 {
		t.Errorf("of a lane that was cut off this is held: %s\n%v", summary(k.State()), recovery.Problems)
	}
	appendAll(t, k, laneKey(7, 9, "next"))
	after := summary(k.State())
	if l, recovery := open(t, copyOf(t, torn)); summary(l.State()) != after || len(recovery.Problems) > 0 {
		t.Errorf("what follows a lane that was cut off is %s\n%v", summary(l.State()), recovery.Problems)
	}
}

// BenchmarkLaneFromNothing keeps a lane of a million keys, as an agent does that is new.
func BenchmarkLaneFromNothing(b *testing.B) {
	batch := resetOf(1_000_000, 32)
	for b.Loop() {
		j, _ := open(b, b.TempDir())
		if err := j.Append(journal.LaneRecords(batch)...); err != nil {
			b.Fatal(err)
		}
	}
}
