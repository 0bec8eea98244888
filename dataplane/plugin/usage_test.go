package plugin

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

func TestABucketRefillsEvenly(t *testing.T) {
	t.Parallel()
	type ask struct {
		at   time.Duration
		want Decision
	}
	perSecond := RateOf(2, time.Second, 0)
	cases := map[string]struct {
		rate Rate
		asks []ask
	}{
		"burst, then one every half second": {perSecond, []ask{
			{0, Decision{Allowed: true, Remaining: 1, Whole: 500 * time.Millisecond}},
			{0, Decision{Allowed: true, Remaining: 0, Whole: time.Second}},
			{0, Decision{Wait: 500 * time.Millisecond, Whole: time.Second}},
			{499 * time.Millisecond, Decision{Wait: time.Millisecond, Whole: 501 * time.Millisecond}},
			{500 * time.Millisecond, Decision{Allowed: true, Remaining: 0, Whole: time.Second}},
			{10 * time.Second, Decision{Allowed: true, Remaining: 1, Whole: 500 * time.Millisecond}},
		}},
		"a refusal costs nothing": {RateOf(1, time.Second, 1), []ask{
			{0, Decision{Allowed: true, Whole: time.Second}},
			{900 * time.Millisecond, Decision{Wait: 100 * time.Millisecond, Whole: 100 * time.Millisecond}},
			{time.Second, Decision{Allowed: true, Whole: time.Second}},
		}},
		"a burst of its own": {RateOf(60, time.Minute, 2), []ask{
			{0, Decision{Allowed: true, Remaining: 1, Whole: time.Second}},
			{0, Decision{Allowed: true, Remaining: 0, Whole: 2 * time.Second}},
			{0, Decision{Wait: time.Second, Whole: 2 * time.Second}},
		}},
		"time that goes back changes nothing": {perSecond, []ask{
			{time.Second, Decision{Allowed: true, Remaining: 1, Whole: 500 * time.Millisecond}},
			{0, Decision{Allowed: true, Remaining: 0, Whole: time.Second}},
			{0, Decision{Wait: 500 * time.Millisecond, Whole: time.Second}},
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := NewState()
			u := s.Usages("x")
			for i, ask := range c.asks {
				if got := u.Take(Subject{Name: "a"}, c.rate, s.began.Add(ask.at)); got != ask.want {
					t.Errorf("ask %d: %+v, want %+v", i, got, ask.want)
				}
			}
		})
	}
}

func TestALimitIsKeptInTheLongRun(t *testing.T) {
	t.Parallel()
	s := NewState()
	u, rate, random := s.Usages("x"), RateOf(100, time.Second, 10), rand.New(rand.NewPCG(1, 2))
	at, allowed := time.Duration(0), 0
	for at < time.Minute {
		at += time.Duration(random.Int64N(int64(2 * time.Millisecond)))
		if u.Take(Subject{}, rate, s.began.Add(at)).Allowed {
			allowed++
		}
	}
	if want := 6000 + 10; allowed < want-2 || allowed > want+1 {
		t.Errorf("%d allowed in a minute, want %d", allowed, want)
	}
}

func TestUsageOutlivesSettings(t *testing.T) {
	t.Parallel()
	s := NewState()
	first := s.Usages("plugin limit")
	generous, strict := RateOf(10, time.Hour, 0), RateOf(5, time.Hour, 0)
	for range 5 {
		first.Take(Subject{Name: "a"}, generous, s.began)
	}
	second := s.Usages("plugin limit")
	first.Release()
	if second.Take(Subject{Name: "a"}, strict, s.began).Allowed {
		t.Error("a stricter setting forgot what was used")
	}
	if d := second.Take(Subject{Name: "a"}, generous, s.began); !d.Allowed || d.Remaining != 4 {
		t.Errorf("%+v", d)
	}
	second.Refund(Subject{Name: "a"})
	if d := second.Peek(Subject{Name: "a"}, generous, s.began); d.Remaining != 4 {
		t.Errorf("after a refund: %+v", d)
	}
}

func TestSweepForgetsWhatIsWhole(t *testing.T) {
	t.Parallel()
	s := NewState()
	u, rate := s.Usages("x"), RateOf(1, time.Second, 0)
	u.Take(Subject{Name: "old"}, rate, s.began)
	u.Take(Subject{Name: "new"}, rate, s.began.Add(10*time.Second))
	s.Sweep(s.began.Add(10 * time.Second))
	if u.Take(Subject{Name: "new"}, rate, s.began.Add(10*time.Second)).Allowed {
		t.Error("a subject in use was forgotten")
	}
	u.Release()
	s.Sweep(s.began.Add(10 * time.Second))
	if len(s.usages) != 1 {
		t.Error("usage that still counts is gone")
	}
	s.Sweep(s.began.Add(time.Minute))
	if len(s.usages) != 0 {
		t.Error("usage that nobody holds is kept")
	}
}

func TestSubjectsAreBounded(t *testing.T) {
	t.Parallel()
	s := NewState()
	u, rate := s.Usages("x"), RateOf(10, time.Hour, 0)
	heavy := Subject{Name: "heavy"}
	for range 10 {
		u.Take(heavy, rate, s.began)
	}
	const many = 2 * usageShards * subjectsPerShard
	for i := range many {
		u.Take(Subject{Address: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})}, rate, s.began)
	}
	held := 0
	for i := range u.shards {
		held += len(u.shards[i].subjects)
	}
	if held > usageShards*subjectsPerShard {
		t.Error("held:", held)
	}
	if u.Take(heavy, rate, s.began).Allowed {
		t.Error("who used the most was forgotten")
	}
}

func BenchmarkTake(b *testing.B) {
	for _, subjects := range []int{1, 10_000} {
		b.Run(fmt.Sprint(subjects, " subjects"), func(b *testing.B) {
			s := NewState()
			u, rate, at := s.Usages("x"), RateOf(1e9, time.Second, 0), time.Now()
			names := make([]Subject, subjects)
			for i := range names {
				names[i] = Subject{Name: fmt.Sprint("consumer ", i)}
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					u.Take(names[i%subjects], rate, at)
				}
			})
		})
	}
}
