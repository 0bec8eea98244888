package local

import (
	"slices"
	"syscall"
	"testing"
	"time"
)

// TestAProcessThatHandsOverLivesOn has a process start another in its group and end, as an agent does that is upgraded.
func TestAProcessThatHandsOverLivesOn(t *testing.T) {
	t.Parallel()
	s, seen := supervise(t, SupervisorConfig{FirstPause: 10 * time.Millisecond})
	err := s.Start(t.Context(), Process{
		Name: "agent", Path: "/bin/sh", Args: []string{"-c", "sleep 1000 & exit 0"}, Restart: true, HandsOver: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	handed := func(times int) int {
		t.Helper()
		deadline := time.Now().Add(20 * time.Second)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for len(seen.of(EventSucceeded)) < times {
			if time.Now().After(deadline) {
				t.Fatalf("it handed over %d times, not %d", len(seen.of(EventSucceeded)), times)
			}
			<-tick.C
		}
		return s.PID("agent")
	}
	first := handed(1)
	if len(seen.of(EventExited)) > 0 {
		t.Error("it counts as ended while its successor runs")
	}
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second := handed(2)
	if second == first || !slices.Equal(seen.of(EventExited), []string{"agent"}) {
		t.Errorf("when its successor was killed: %d after %d, ended %v", second, first, seen.of(EventExited))
	}
	if err := s.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if pid := youngestOf(second); pid != 0 {
		t.Errorf("process %d is left", pid)
	}
	if stat, err := groupFromProc(second); err == nil && slices.Contains(stat, second) {
		t.Error("the successor lives")
	}
}
