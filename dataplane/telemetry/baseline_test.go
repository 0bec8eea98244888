package telemetry

import (
	"fmt"
	"testing"
	"time"
)

// traffic records requests of one route, and keeps what was read of their cell.
type traffic struct {
	arm    *Arm
	before [Buckets]uint64
}

func (tr *traffic) serve(n int, took time.Duration) {
	for range n {
		tr.arm.Record(1, "orders", 2, 0, took)
	}
}

// slower counts what came since the last call.
func (tr *traffic) slower(c *Counters, lines *Lines) (out Slower, known bool) {
	c.Each(func(key CellKey, _ uint64, buckets *[Buckets]uint64) {
		if key.Arm == tr.arm.Arm && key.RolloutID == tr.arm.RolloutID && key.Opening == tr.arm.opening {
			out, known = lines.Count(key, buckets, &tr.before)
			tr.before = *buckets
		}
	})
	return out, known
}

func TestACandidateIsHeldAgainstWhatStableTookBefore(t *testing.T) {
	t.Parallel()
	c := NewCounters([]string{""})
	now := time.Unix(1_700_000_000, 0)
	c.now = func() time.Time { return now }
	b := NewBaseline(c)
	alone := &traffic{arm: c.Open(ArmKey{Revision: 1, Arm: 1}, 1)}
	alone.serve(885, 2*time.Millisecond)
	alone.serve(90, 8*time.Millisecond)
	alone.serve(25, 30*time.Millisecond)
	b.Update(now)
	stable := &traffic{arm: c.Open(ArmKey{Revision: 1, Arm: 1, RolloutID: "7", SharePPM: 10_000}, 1)}
	candidate := &traffic{arm: c.Open(ArmKey{Revision: 2, Arm: 2, RolloutID: "7", SharePPM: 10_000}, 1)}
	stable.serve(100, 2*time.Millisecond)
	candidate.serve(100, 22*time.Millisecond)
	b.Update(now)
	if _, known := candidate.slower(c, b.Lines()); known {
		t.Error("durations are compared while the candidate's connections are new")
	}
	now = now.Add(warmUp)
	b.Update(now)
	lines := b.Lines()
	stable.slower(c, lines)
	stable.serve(100, 2*time.Millisecond)
	candidate.serve(60, 22*time.Millisecond)
	candidate.serve(40, 70*time.Millisecond)
	if got, known := stable.slower(c, lines); !known || got != (Slower{}) {
		t.Errorf("stable, which is as it was, counts %v as slow (known: %t)", got, known)
	}
	if got, known := candidate.slower(c, lines); !known || got != (Slower{100, 100, 40}) {
		t.Errorf("of the candidate %v are slow (known: %t), want 100, 100 and 40", got, known)
	}
}

func TestASlowdownThatNobodyNoticesIsNone(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		usual, now time.Duration
		slow       bool
	}{
		{200 * time.Microsecond, 3 * time.Millisecond, false},
		{200 * time.Microsecond, 8 * time.Millisecond, true},
		{5 * time.Millisecond, 25 * time.Millisecond, true},
		{time.Second, 1100 * time.Millisecond, false},
		{time.Second, 2 * time.Second, true},
	} {
		t.Run(fmt.Sprint(each.usual, " to ", each.now), func(t *testing.T) {
			t.Parallel()
			var d durations
			d.buckets[Bucket(each.usual)], d.total = 5000, 5000
			for i, line := range d.lines() {
				if got := Bucket(each.now) > int(line); got != each.slow {
					t.Errorf("slower than %s: %t, want %t", Quantiles[i].Name, got, each.slow)
				}
			}
		})
	}
}

func TestLinesNeedEnoughRequestsAndForgetOldOnes(t *testing.T) {
	t.Parallel()
	c := NewCounters([]string{""})
	now := time.Unix(1_700_000_000, 0)
	c.now = func() time.Time { return now }
	b := NewBaseline(c)
	tr := &traffic{arm: c.Open(ArmKey{Revision: 1, Arm: 1, RolloutID: "7", SharePPM: 10_000}, 1)}
	tr.serve(150, time.Millisecond)
	b.Update(now)
	if lines := b.routes["orders"].lines(); lines[0] == never || lines[1] != never || lines[2] != never {
		t.Errorf("after 150 requests the lines are %v, want only that of the median", lines)
	}
	now = now.Add(20 * baselineHalfLife)
	b.Update(now)
	if len(b.routes) != 0 {
		t.Error("what was long ago still counts")
	}
	tr.arm.Close()
	now = now.Add(2 * retention)
	b.Update(now)
	if len(b.coins) != 0 || len(b.last) != 0 {
		t.Errorf("%d coins and %d cells are kept for an arm that is gone", len(b.coins), len(b.last))
	}
}
