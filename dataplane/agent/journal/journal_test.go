package journal_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/dataplane/agent/journal"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func open(t testing.TB, dir string) (*journal.Journal, journal.Recovery) {
	t.Helper()
	j, recovery, err := journal.Open(journal.Config{StateDir: dir, Fleet: "default", AgentID: "a1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j, recovery
}

func appendAll(t testing.TB, j *journal.Journal, records ...*agentv1.JournalRecord) {
	t.Helper()
	if err := j.Append(records...); err != nil {
		t.Fatal(err)
	}
}

// routes is a content of n routes whose bodies tell apart the variant.
func routes(from *revision.Content, n int, variant string) *revision.Content {
	var delta revision.Delta
	for i := range n {
		key := revision.Key{Kind: configv1.Kind_KIND_ROUTE, Name: fmt.Sprintf("r%d", i)}
		delta.Upserts = append(delta.Upserts, revision.Resource{Key: key, Body: fmt.Appendf(nil, "%s %d", variant, i)})
	}
	return from.Apply(delta)
}

func reference(number int64, content *revision.Content) *agentv1.RevisionReference {
	root := content.Root()
	return &agentv1.RevisionReference{Revision: number, Root: root[:]}
}

func contentRecord(fromNumber int64, from *revision.Content, number int64, to *revision.Content) *agentv1.JournalRecord {
	record := &agentv1.ContentRecord{From: reference(fromNumber, from), To: reference(number, to)}
	delta := revision.Diff(from, to)
	for _, r := range delta.Upserts {
		record.Upserts = append(record.Upserts, &agentv1.EncodedResource{Kind: r.Kind, Name: r.Name, Body: r.Body})
	}
	for _, k := range delta.Deletes {
		record.Deletes = append(record.Deletes, &agentv1.ResourceName{Kind: k.Kind, Name: k.Name})
	}
	return journal.ContentRecord(record)
}

func desired(generation int64, stable, candidate *agentv1.RevisionReference) *agentv1.JournalRecord {
	return journal.DesiredRecord(&agentv1.DesiredState{
		Fleet: "default", Epoch: 1, Generation: generation, Stable: stable, Candidate: candidate, CandidateSharePpm: 10_000,
	})
}

func laneKey(after, sequence int64, name string) *agentv1.JournalRecord {
	return journal.LaneRecord(&agentv1.LaneBatch{
		Fleet: "default", Epoch: 1, AfterSequence: after, ThroughSequence: sequence, Reset_: after == 0,
		Entries: []*agentv1.LaneEntry{{
			Sequence: sequence, Kind: configv1.Kind_KIND_KEY, Name: name,
			Material: &agentv1.LaneEntry_Key{Key: &agentv1.KeyMaterial{Consumer: "acme", Hash: []byte(name)}},
		}},
	})
}

// summary is all that a state says, to compare.
func summary(s *journal.State) string {
	text := fmt.Sprintf("desired %s\nprevious %v\nlane %v %v\nkey %x\ntickets %x\n",
		s.Desired, s.PreviousStable.GetRevision(), s.LaneEpoch, s.LaneSequence, s.KeyHashKey, s.SessionTicketSecret)
	for _, d := range s.Dropped {
		text += fmt.Sprintf("dropped %d %s\n", d.GetRevision(), d.GetReason())
	}
	held := map[string]string{}
	for _, r := range s.Holds() {
		content, _ := s.Content(r.GetRoot())
		held[content.Root().String()] = fmt.Sprintf("holds %d %d\n", r.GetRevision(), content.Len())
	}
	for _, root := range slices.Sorted(maps.Keys(held)) {
		text += root + held[root]
	}
	for _, e := range s.Lane().GetEntries() {
		text += fmt.Sprintf("lane %d %s\n", e.GetSequence(), e.GetName())
	}
	return text
}

// fill appends a story with every type of record and returns what the state says after each Append, the empty one first.
func fill(t testing.TB, j *journal.Journal) []string {
	one := routes(revision.NewContent(), 40, "one")
	two := routes(one, 3, "two")
	steps := []*agentv1.JournalRecord{
		journal.KeyHashKeyRecord([]byte("hash key")),
		journal.SessionTicketSecretRecord([]byte("secret of tickets")),
		laneKey(0, 7, "k7"),
		contentRecord(0, revision.NewContent(), 1, one),
		desired(1, reference(1, one), nil),
		laneKey(7, 9, "k9"),
		contentRecord(1, one, 2, two),
		desired(2, reference(1, one), reference(2, two)),
		journal.DroppedRecord(&agentv1.DroppedRevision{Revision: 2, RolloutId: "x", Reason: "bad"}),
		desired(3, reference(2, two), nil),
	}
	states := []string{summary(j.State())}
	for _, record := range steps {
		appendAll(t, j, record)
		states = append(states, summary(j.State()))
	}
	return states
}

func TestWhatWasAppendedIsThereAfterAKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, recovery := open(t, dir)
	if recovery.Generation != 0 || len(recovery.Problems) > 0 {
		t.Errorf("a new journal found %+v", recovery)
	}
	states := fill(t, j)
	again, recovery := open(t, copyOf(t, dir)) // no Close: the process was killed
	if got, want := summary(again.State()), states[len(states)-1]; got != want {
		t.Errorf("recovered\n%s\nwant\n%s", got, want)
	}
	if recovery.CutBytes != 0 || len(recovery.Problems) > 0 || recovery.Records != 10 {
		t.Errorf("recovery %+v", recovery)
	}
	if again.State().PreviousStable.GetRevision() != 1 {
		t.Errorf("the stable revision before is %v", again.State().PreviousStable)
	}
}

func TestAnotherProcessReadsWithoutWriting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	states := fill(t, j)
	before := files(t, dir)
	reader, recovery, err := journal.Read(journal.Config{StateDir: dir, Fleet: "default", AgentID: "a1"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := summary(reader.State()), states[len(states)-1]; got != want || len(recovery.Problems) > 0 {
		t.Errorf("read\n%s\nwant\n%s, %v", got, want, recovery)
	}
	if err := reader.Append(journal.KeyHashKeyRecord([]byte("x"))); !errors.Is(err, journal.ErrReadOnly) || !reader.ReadOnly() {
		t.Error("it can be written to:", err)
	}
	if err := reader.Close(); err != nil {
		t.Error(err)
	}
	if after := files(t, dir); after != before {
		t.Errorf("the folder was\n%s\nand is\n%s", before, after)
	}
	// The process that writes goes on.
	appendAll(t, j, journal.KeyHashKeyRecord([]byte("another")))
	if _, _, err := journal.Read(journal.Config{StateDir: t.TempDir(), Fleet: "default", AgentID: "a1"}); err == nil {
		t.Error("a folder without a journal is read")
	}
}

// files says what is in the journal's folder, and how large.
func files(t *testing.T, dir string) (text string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		text += fmt.Sprintln(path, info.Size())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestALogThatOutgrowsItsCheckpointBeginsAGeneration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _, err := journal.Open(journal.Config{StateDir: dir, Fleet: "default", AgentID: "a1", MinLogSize: 4 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	fill(t, j)
	for sequence := int64(9); sequence < 400; sequence++ {
		appendAll(t, j, laneKey(sequence, sequence+1, fmt.Sprintf("k%d", sequence%20)))
	}
	files, err := filepath.Glob(filepath.Join(dir, "journal", "*"))
	if err != nil || len(files) != 4 {
		t.Errorf("two generations have 4 files, there are %v, %v", files, err)
	}
	again, recovery := open(t, copyOf(t, dir))
	if recovery.Generation < 3 || recovery.Generation > 30 {
		t.Errorf("after 400 records the generation is %d", recovery.Generation)
	}
	if got, want := summary(again.State()), summary(j.State()); got != want {
		t.Errorf("recovered\n%s\nwant\n%s", got, want)
	}
}

func TestALargeStateIsWrittenInParts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _, err := journal.Open(journal.Config{StateDir: dir, Fleet: "default", AgentID: "a1", MinLogSize: 1, GrowthFactor: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.Close() }()
	var delta revision.Delta
	for i := range 9 {
		key := revision.Key{Kind: configv1.Kind_KIND_ROUTE, Name: fmt.Sprint(i)}
		delta.Upserts = append(delta.Upserts, revision.Resource{Key: key, Body: make([]byte, 1<<20)})
	}
	big := revision.NewContent().Apply(delta)
	appendAll(t, j, contentRecord(0, revision.NewContent(), 1, big), desired(1, reference(1, big), nil))
	again, recovery := open(t, copyOf(t, dir))
	if recovery.Generation != 2 || recovery.Records != 0 {
		t.Errorf("the state is not from a checkpoint: %+v", recovery)
	}
	if got, want := summary(again.State()), summary(j.State()); got != want {
		t.Errorf("recovered\n%s\nwant\n%s", got, want)
	}
}

func TestAnAppendThatDoesNotFitChangesNothing(t *testing.T) {
	t.Parallel()
	j, _ := open(t, t.TempDir())
	states := fill(t, j)
	one := routes(revision.NewContent(), 1, "elsewhere")
	for name, record := range map[string]*agentv1.JournalRecord{
		"a content from one that is not held": contentRecord(8, one, 9, routes(one, 2, "x")),
		"a root that is not the content's":    contentRecordWithRoot(one, make([]byte, 31)),
		"a desired state without its content": desired(9, reference(9, one), nil),
		"a lane with a gap":                   laneKey(50, 51, "k"),
		"no record at all":                    {},
	} {
		if err := j.Append(laneKey(9, 10, "first"), record); err == nil {
			t.Errorf("%s was taken", name)
		}
		if got := summary(j.State()); got != states[len(states)-1] {
			t.Errorf("%s changed the state to\n%s", name, got)
		}
	}
}

func contentRecordWithRoot(content *revision.Content, root []byte) *agentv1.JournalRecord {
	record := contentRecord(0, revision.NewContent(), 9, content)
	record.GetContent().To.Root = root
	return record
}

func TestSpareContentsAreForgottenAlikeInMemoryAndOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	base := routes(revision.NewContent(), 5, "base")
	appendAll(t, j, contentRecord(0, revision.NewContent(), 1, base), desired(1, reference(1, base), nil))
	for number := int64(2); number < 12; number++ {
		appendAll(t, j, contentRecord(1, base, number, routes(base, 2, fmt.Sprint(number))))
	}
	if n := len(j.State().Holds()); n != 5 {
		t.Errorf("%d contents are held, want the desired one and four more", n)
	}
	again, _ := open(t, copyOf(t, dir))
	if got, want := summary(again.State()), summary(j.State()); got != want {
		t.Errorf("recovered\n%s\nwant\n%s", got, want)
	}
}

func TestTheJournalOfAnotherAgentIsIgnored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	fill(t, j)
	other, recovery, err := journal.Open(journal.Config{StateDir: copyOf(t, dir), Fleet: "default", AgentID: "a2"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if other.State().Desired != nil || len(recovery.Problems) == 0 {
		t.Errorf("it took %v, %+v", other.State().Desired, recovery)
	}
}

func TestAmendedRecordsReachTheDiskWithTheNextAppend(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	fill(t, j)
	if err := j.Amend(laneKey(9, 10, "k10")); err != nil {
		t.Fatal(err)
	}
	appendAll(t, j, laneKey(10, 11, "k11"))
	again, _ := open(t, copyOf(t, dir))
	if got, want := summary(again.State()), summary(j.State()); got != want {
		t.Errorf("recovered\n%s\nwant\n%s", got, want)
	}
}

func TestNothingOnTheDiskIsReadableWithoutTheKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	secret := "a secret that must not be found"
	appendAll(t, j, journal.LaneRecord(&agentv1.LaneBatch{
		Epoch: 1, ThroughSequence: 1, Reset_: true,
		Entries: []*agentv1.LaneEntry{{Name: "s", Material: &agentv1.LaneEntry_Secret{
			Secret: &agentv1.SecretMaterial{Value: secret},
		}}},
	}))
	for path, content := range filesIn(t, dir) {
		if slices.Contains([]string{secret}, string(content)) || contains(content, secret) {
			t.Errorf("%s shows the secret", path)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v, %v", path, info.Mode(), err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "journal.key")); err != nil {
		t.Fatal(err)
	}
	again, recovery := open(t, copyOf(t, dir))
	if again.State().LaneSequence != 0 || len(recovery.Problems) == 0 {
		t.Errorf("read without its key: %v, %+v", again.State().Lane(), recovery)
	}
}

func contains(b []byte, text string) bool {
	for i := range b {
		if i+len(text) <= len(b) && string(b[i:i+len(text)]) == text {
			return true
		}
	}
	return false
}

// BenchmarkAppend shows that a change costs what changed: the state has 10,000 routes.
func BenchmarkAppend(b *testing.B) {
	j, _ := open(b, b.TempDir())
	content := routes(revision.NewContent(), 10_000, "base")
	appendAll(b, j, contentRecord(0, revision.NewContent(), 1, content), desired(1, reference(1, content), nil))
	for i := 0; b.Loop(); i++ {
		next := routes(content, 1, fmt.Sprint(i))
		number := int64(i + 2)
		appendAll(b, j, contentRecord(number-1, content, number, next), desired(number, reference(number, next), nil))
		content = next
	}
	b.ReportMetric(float64(proto.Size(j.State().Desired)), "bytes/desired")
}
