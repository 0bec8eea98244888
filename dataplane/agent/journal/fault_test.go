package journal_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tidegate.dev/dataplane/agent/journal"
)

// copyOf is the state as a kill at this moment leaves it.
func copyOf(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func filesIn(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, pattern := range []string{"*", "journal/*"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if content, err := os.ReadFile(path); err == nil {
				files[path] = content
			}
		}
	}
	return files
}

// isOneOf checks that a journal recovers to one of the states, and that it takes the next write.
func isOneOf(t *testing.T, dir string, states []string) (at int, recovery journal.Recovery) {
	t.Helper()
	j, recovery := open(t, dir)
	defer func() { _ = j.Close() }()
	at = slices.Index(states, summary(j.State()))
	if at < 0 {
		t.Fatalf("recovered a state that never was:\n%s\n%+v", summary(j.State()), recovery)
	}
	sequence := j.State().LaneSequence
	appendAll(t, j, laneKey(0, sequence+1, "next"))
	again, second := open(t, dir)
	defer func() { _ = again.Close() }()
	if got, want := summary(again.State()), summary(j.State()); got != want || len(second.Problems) > 0 {
		t.Fatalf("after the next write there is\n%s\nwant\n%s\n%+v", got, want, second)
	}
	return at, recovery
}

func write(t testing.TB, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

const newestLog = "journal/log-0000000000000001"

func TestATornEndIsCut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	states := fill(t, j)
	whole, err := os.ReadFile(filepath.Join(dir, newestLog))
	if err != nil {
		t.Fatal(err)
	}
	at := len(states) - 1
	for size := len(whole); size >= 0; size-- {
		torn := copyOf(t, dir)
		write(t, filepath.Join(torn, newestLog), whole[:size])
		got, recovery := isOneOf(t, torn, states)
		if got > at {
			t.Fatalf("%d bytes of the log hold more than a longer part did", size)
		}
		at = got
		if size >= 16 && len(recovery.Problems) > 0 {
			t.Fatalf("a torn end of %d bytes is called damage: %v", size, recovery.Problems)
		}
		if size < len(whole)-100 {
			size -= 6 // of the last record every byte, of the others some
		}
	}
}

func TestFlippedBitsGiveAStateThatWas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	states := fill(t, j)
	for path, content := range filesIn(t, dir) {
		name, err := filepath.Rel(dir, path)
		if err != nil {
			t.Fatal(err)
		}
		for bit := 0; bit < 8*len(content); bit += 53 {
			flipped := slices.Clone(content)
			flipped[bit/8] ^= 1 << (bit % 8)
			damaged := copyOf(t, dir)
			write(t, filepath.Join(damaged, name), flipped)
			isOneOf(t, damaged, states)
		}
	}
}

func TestADamagedCheckpointFallsBackToTheGenerationBefore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _, err := journal.Open(journal.Config{StateDir: dir, Fleet: "default", AgentID: "a1", MinLogSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	states := fill(t, j)
	for sequence := int64(9); sequence < 60; sequence++ {
		appendAll(t, j, laneKey(sequence, sequence+1, "k"))
		states = append(states, summary(j.State()))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	at, _ := isOneOf(t, copyOf(t, dir), states)
	if at != len(states)-1 {
		t.Fatalf("undamaged it recovers state %d of %d", at, len(states))
	}
	checkpoint := newest(t, dir, "checkpoint-*")
	content, err := os.ReadFile(filepath.Join(dir, checkpoint))
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{
		"empty": nil, "half": content[:len(content)/2], "without its end": content[:len(content)-20],
		"flipped": append(slices.Clone(content[:50]), append([]byte{content[50] ^ 4}, content[51:]...)...),
	} {
		crashed := copyOf(t, dir)
		write(t, filepath.Join(crashed, checkpoint), damaged)
		at, recovery := isOneOf(t, crashed, states)
		if at != len(states)-1 || len(recovery.Problems) == 0 {
			t.Errorf("%s: recovered state %d of %d, though the log before leads to all of it; %+v", name, at, len(states), recovery)
		}
	}
}

// An amendment is in a checkpoint and in no log: what follows it must not be replayed over a state without it.
func TestALogIsNotReplayedOverAGap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	states := fill(t, j)
	if err := j.Amend(laneKey(0, 10, "k")); err != nil {
		t.Fatal(err)
	}
	appendAll(t, j, journal.KeyHashKeyRecord([]byte{99}))
	states = append(states, summary(j.State()))
	checkpoint := newest(t, dir, "checkpoint-*")
	crashed := copyOf(t, dir)
	write(t, filepath.Join(crashed, checkpoint), nil)
	if at, recovery := isOneOf(t, crashed, states); at != len(states)-2 {
		t.Errorf("recovered state %d of %d, %+v", at, len(states), recovery)
	}
}

func newest(t *testing.T, dir, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "journal", pattern))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	name, err := filepath.Rel(dir, slices.Max(paths))
	if err != nil {
		t.Fatal(err)
	}
	return name
}

func TestEverythingDamagedIsEmptyAndWritable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	j, _ := open(t, dir)
	states := fill(t, j)
	for path := range filesIn(t, dir) {
		write(t, path, []byte("rubbish"))
	}
	at, recovery := isOneOf(t, dir, states)
	if at != 0 || len(recovery.Problems) == 0 {
		t.Errorf("recovered state %d, %+v", at, recovery)
	}
}

// FuzzRecover: whatever is on the disk, recovery ends, and the next write works and is found again.
func FuzzRecover(f *testing.F) {
	dir := f.TempDir()
	j, _ := open(f, dir)
	fill(f, j)
	key, err := os.ReadFile(filepath.Join(dir, "journal.key"))
	if err != nil {
		f.Fatal(err)
	}
	checkpoint, err := os.ReadFile(filepath.Join(dir, "journal/checkpoint-0000000000000001"))
	if err != nil {
		f.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(dir, newestLog))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(checkpoint, log)
	f.Add(checkpoint, log[:len(log)-3])
	f.Add(checkpoint[:40], log)
	f.Add([]byte{}, []byte("TGJ"))
	f.Fuzz(func(t *testing.T, checkpoint, log []byte) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "journal"), 0o700); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "journal.key"), key)
		write(t, filepath.Join(dir, "journal/checkpoint-0000000000000001"), checkpoint)
		write(t, filepath.Join(dir, newestLog), log)
		j, _ := open(t, dir)
		appendAll(t, j, laneKey(0, j.State().LaneSequence+1, "next"))
		again, recovery := open(t, dir)
		if got, want := summary(again.State()), summary(j.State()); got != want || len(recovery.Problems) > 0 {
			t.Fatalf("after the next write there is\n%s\nwant\n%s\n%+v", got, want, recovery)
		}
	})
}
