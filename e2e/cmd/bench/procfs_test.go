package main

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestStatOfAProcessWithAnyName(t *testing.T) {
	t.Parallel()
	line := "42 (a) b (c) S 7 42 42 0 -1 4194560 100 0 0 0 250 130 9 9 20 0 1 0 100 1000 10 18446744073709551615\n"
	got, err := parseStat([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	want := stat{parent: 7, used: processorTime{User: 2500 * time.Millisecond, System: 1300 * time.Millisecond}}
	if got != want {
		t.Errorf("got %+v, not %+v", got, want)
	}
	for _, bad := range []string{"", "42 (a", "42 (a) S 7", "42 (a) S x 42 42 0 -1 1 1 0 0 0 y z"} {
		if _, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestMemoryOfARollup(t *testing.T) {
	t.Parallel()
	text := "00400000-7ffd1000 ---p 00000000 00:00 0  [rollup]\nRss:  2048 kB\nPss:  1024 kB\nPss_Anon: 512 kB\n"
	if got := parseMemory([]byte(text)); got != (memory{RSS: 2 << 20, PSS: 1 << 20}) {
		t.Errorf("got %+v", got)
	}
}

func TestTheTreeOfAProcessHasItsChildren(t *testing.T) {
	t.Parallel()
	child := exec.CommandContext(t.Context(), "sleep", "30")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = child.Process.Kill()
		_ = child.Wait()
	})
	pids, err := tree(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if pids[0] != os.Getpid() || !slices.Contains(pids, child.Process.Pid) {
		t.Errorf("the tree of %d is %v, without its child %d", os.Getpid(), pids, child.Process.Pid)
	}
	used, err := usedBy([]int{os.Getpid()})
	if err != nil || used.total() < 0 {
		t.Errorf("we used %v, %v", used, err)
	}
	if held, err := memoryOf(pids); err != nil || held.PSS <= 0 || held.RSS < held.PSS {
		t.Errorf("we hold %+v, %v", held, err)
	}
}
