package telemetry

import (
	"sync"
	"testing"
	"time"
)

// seasoned is a coin that lines are drawn for: stable's requests take 2 ms, 8 ms (5 %) and 30 ms (1 %).
func seasoned(t testing.TB) (c *Counters, stable, candidate *Arm, lines *Lines, now time.Time) {
	t.Helper()
	c = NewCounters([]string{"", "upstream_timeout"})
	now = time.Unix(1_700_000_000, 0)
	at := now
	c.now = func() time.Time { return at }
	b := NewBaseline(c)
	before := &traffic{arm: c.Open(ArmKey{Revision: 1, Arm: 1}, 1)}
	before.serve(1770, 2*time.Millisecond)
	before.serve(180, 8*time.Millisecond)
	before.serve(50, 30*time.Millisecond)
	stable = c.Open(ArmKey{Revision: 1, Arm: 1, RolloutID: "7", SharePPM: 10_000}, 1)
	candidate = c.Open(ArmKey{Revision: 2, Arm: 2, RolloutID: "7", SharePPM: 10_000}, 1)
	stable.Record(1, "orders", 2, 0, time.Millisecond)
	b.Update(now)
	now = now.Add(warmUp)
	b.Update(now)
	return c, stable, candidate, b.Lines(), now
}

// overdueOf is what was counted of an arm's requests while they ran.
func overdueOf(c *Counters, arm *Arm) (out Slower) {
	c.EachOverdue(func(key CellKey, slower Slower) {
		if key.Arm == arm.ArmKey.Arm && key.Aged && key.Route == "orders" && key.Opening == arm.opening {
			out = slower
		}
	})
	return out
}

// cellsOf is what was counted of an arm's requests when they had ended, and how many of those are slow by that alone.
func cellsOf(c *Counters, arm *Arm, lines *Lines) (aged, others uint64, slower Slower) {
	c.Each(func(key CellKey, requests uint64, buckets *[Buckets]uint64) {
		if key.Opening != arm.opening {
			return
		}
		if key.Aged {
			aged += requests
		} else {
			others += requests
		}
		more, _ := lines.Count(key, buckets, new([Buckets]uint64))
		for i := range more {
			slower[i] += more[i]
		}
	})
	return aged, others, slower
}

func TestARequestIsSlowWhenItsAgeCrossesALine(t *testing.T) {
	t.Parallel()
	c, stable, candidate, lines, now := seasoned(t)
	for _, arm := range []*Arm{candidate, stable} { // both alike
		hangs, quick := new(Running), new(Running)
		arm.Enter(hangs, 1, "orders", now)
		arm.Enter(quick, 1, "orders", now)
		c.Sweep(lines, now.Add(5*time.Millisecond))
		if got := overdueOf(c, arm); got != (Slower{}) {
			t.Errorf("arm %d: after 5 ms %v are slow", arm.ArmKey.Arm, got)
		}
		if class := arm.Leave(quick, "orders", 2, 0, 5*time.Millisecond); class != 2 {
			t.Errorf("a quick request has the class %d", class)
		}
		for age, want := range map[time.Duration]Slower{10 * time.Millisecond: {1, 0, 0}, 11 * time.Millisecond: {1, 0, 0}} {
			c.Sweep(lines, now.Add(age))
			if got := overdueOf(c, arm); got != want {
				t.Errorf("arm %d: after %s %v are slow, want %v", arm.ArmKey.Arm, age, got, want)
			}
		}
		c.Sweep(lines, now.Add(time.Second))
		c.Sweep(lines, now.Add(2*time.Second))
		if got := overdueOf(c, arm); got != (Slower{1, 1, 1}) {
			t.Errorf("arm %d: after 2 s %v are slow", arm.ArmKey.Arm, got)
		}
		arm.Record(1, "orders", arm.Leave(hangs, "orders", 2, 0, 3*time.Second), 0, 3*time.Second)
		aged, _, slower := cellsOf(c, arm, lines)
		if aged != 1 || slower != (Slower{}) || overdueOf(c, arm) != (Slower{1, 1, 1}) {
			t.Errorf("arm %d: when it has ended %d aged, %v more are slow, %v were", arm.ArmKey.Arm, aged, slower, overdueOf(c, arm))
		}
	}
}

// What it crosses after the last sweep is told by its end, if the upstream answered.
func TestTheEndTellsWhatTheNextSweepWouldHave(t *testing.T) {
	t.Parallel()
	for answered, want := range map[bool]Slower{true: {1, 1, 1}, false: {1, 0, 0}} {
		c, _, candidate, lines, now := seasoned(t)
		r := new(Running)
		candidate.Enter(r, 1, "orders", now)
		c.Sweep(lines, now.Add(10*time.Millisecond))
		reason := uint8(1)
		if answered {
			reason = 0
		}
		candidate.Leave(r, "orders", 5, reason, time.Second)
		if got := overdueOf(c, candidate); got != want {
			t.Errorf("answered %t: %v, want %v", answered, got, want)
		}
	}
}

func TestWithoutACoinNothingIsKnownOfWhatRuns(t *testing.T) {
	t.Parallel()
	c, _, _, lines, now := seasoned(t)
	for _, key := range []ArmKey{{Revision: 1, Arm: 1}, {Revision: 2, Arm: 2, RolloutID: "7", SharePPM: 1_000_000}, {Revision: 2, Arm: 1, RolloutID: "7"}} {
		arm, r := c.Open(key, 1), new(Running)
		arm.Enter(r, 1, "orders", now)
		c.Sweep(lines, now.Add(time.Minute))
		if class := arm.Leave(r, "orders", 2, 0, time.Minute); class != 2 || r.shard != nil || overdueOf(c, arm) != (Slower{}) {
			t.Errorf("%+v: it was watched", key)
		}
	}
}

func TestRequestsComeAndGoWhileTheyAreSwept(t *testing.T) {
	t.Parallel()
	c, _, candidate, lines, now := seasoned(t)
	const clients, each = 8, 2_000
	ended := make(chan struct{})
	var sweeping, serving sync.WaitGroup
	sweeping.Go(func() {
		for at := now; ; at = at.Add(time.Millisecond) {
			select {
			case <-ended:
				return
			default:
				c.Sweep(lines, at)
				c.EachOverdue(func(CellKey, Slower) {})
			}
		}
	})
	for range clients {
		serving.Go(func() {
			var r Running
			for i := range each {
				candidate.Enter(&r, 1, "orders", now)
				took := time.Duration(i%2) * 10 * time.Millisecond
				candidate.Record(1, "orders", candidate.Leave(&r, "orders", 2, 0, took), 0, took)
			}
		})
	}
	serving.Wait()
	close(ended)
	sweeping.Wait()
	aged, others, slower := cellsOf(c, candidate, lines)
	if aged+others != clients*each || overdueOf(c, candidate)[0] != aged {
		t.Errorf("%d aged and %d others of %d; %v were counted while they ran", aged, others, clients*each, overdueOf(c, candidate))
	}
	if slower[0] > others {
		t.Errorf("%d of %d are slow at their end", slower[0], others)
	}
	for i := range candidate.running.shards {
		if candidate.running.shards[i].first != nil {
			t.Error("something runs still")
		}
	}
}

// BenchmarkEnterAndLeave is what an exchange pays: without a coin, and with one.
func BenchmarkEnterAndLeave(b *testing.B) {
	_, _, watched, _, now := seasoned(b)
	alone := NewCounters([]string{""}).Open(ArmKey{Revision: 1, Arm: 1}, 1)
	for name, arm := range map[string]*Arm{"no coin": alone, "a coin": watched} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				var r Running
				for pb.Next() {
					arm.Enter(&r, 1, "orders", now)
					_ = arm.Leave(&r, "orders", 2, 0, time.Millisecond)
				}
			})
		})
	}
}

// BenchmarkSweep visits ten thousand requests that run.
func BenchmarkSweep(b *testing.B) {
	c, _, candidate, lines, now := seasoned(b)
	running := make([]Running, 10_000)
	for i := range running {
		candidate.Enter(&running[i], 1, "orders", now)
	}
	for b.Loop() {
		c.Sweep(lines, now.Add(5*time.Millisecond))
	}
}
