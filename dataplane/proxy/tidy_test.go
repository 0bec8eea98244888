package proxy

import (
	"testing"
	"time"
)

func TestMemoryIsGivenBackWhenManyConnectionsHaveComeAndNothingIsDone(t *testing.T) {
	t.Parallel()
	var tidy tidier
	at := time.Unix(1_000_000, 0)
	for i, step := range []struct {
		accepted uint64
		used     time.Duration // in this interval
		want     bool
	}{
		{1000, 0, false}, // the first look only begins
		{1000, time.Millisecond, true},
		{1100, time.Millisecond, false}, // too few since
		{1600, 2 * time.Second, false},  // busy
		{1600, 100 * time.Millisecond, true},
		{1600, 0, false},
	} {
		at = at.Add(tidyInterval)
		step.used += tidy.used
		if got := tidy.look(step.accepted, step.used, at); got != step.want {
			t.Errorf("look %d: %v", i, got)
		}
	}
	if processorTime() == 0 {
		t.Error("the process has used nothing")
	}
}
