package overload

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fill takes all the room that there is for the usual.
func fill(t *testing.T, l *Limiter) (tickets []Ticket) {
	t.Helper()
	for {
		ticket, ok := l.TryAcquire(time.Now(), Default)
		if !ok {
			return tickets
		}
		tickets = append(tickets, ticket)
	}
}

func TestNoLimiterLimitsNothing(t *testing.T) {
	t.Parallel()
	var l *Limiter
	ticket, ok := l.Acquire(time.Now(), Sheddable)
	if !ok {
		t.Error("it refuses")
	}
	l.Release(ticket, time.Now(), Answered)
	l.Adopt(NewLimiter(Config{}))
}

func TestAReserveIsLeftToWhatMattersMore(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit                        int32
		sheddable, usually, critical int32
	}{{1, 1, 1, 1}, {4, 3, 3, 4}, {20, 16, 19, 20}, {1000, 800, 950, 1000}} {
		if s, d, cr := Sheddable.room(c.limit), Default.room(c.limit), Critical.room(c.limit); s != c.sheddable || d != c.usually || cr != c.critical {
			t.Errorf("limit %d leaves %d, %d, %d", c.limit, s, d, cr)
		}
	}
}

func TestRefusalIsQuickAndTheQueueBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(Config{})
		fill(t, l)
		began := time.Now()
		var group sync.WaitGroup
		var atOnce atomic.Int32
		for range 100 {
			group.Go(func() {
				if _, ok := l.Acquire(time.Now(), Default); ok {
					t.Error("there is room")
				}
				if time.Since(began) == 0 {
					atOnce.Add(1)
				}
			})
		}
		group.Wait()
		if took := time.Since(began); took != mostPatience {
			t.Errorf("the last was refused after %v", took)
		}
		if n := atOnce.Load(); n != 95 {
			t.Errorf("%d were refused at once, want all but a quarter of the limit of 20", n)
		}
		if n := l.queue.waiting.Load(); n != 0 {
			t.Errorf("%d still wait", n)
		}
		if n := l.Refused(Default); n != 101 {
			t.Errorf("%d refusals were counted", n)
		}
	})
}

func TestRoomGoesToWhatMattersMostAndThenToTheLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(Config{})
		usual := fill(t, l)
		critical, ok := l.TryAcquire(time.Now(), Critical)
		if !ok {
			t.Fatal("what is critical has no reserve")
		}
		order := make(chan string, 8)
		ask := func(name string, c Criticality) {
			go func() {
				if _, ok := l.Acquire(time.Now(), c); ok {
					order <- name
				} else {
					order <- name + " refused"
				}
			}()
			synctest.Wait()
		}
		expect := func(want string) {
			t.Helper()
			synctest.Wait()
			select {
			case got := <-order:
				if got != want {
					t.Errorf("%s, want %s", got, want)
				}
			default:
				t.Errorf("nothing, want %s", want)
			}
		}
		ask("sheddable", Sheddable)
		ask("first", Default)
		ask("second", Default)
		ask("third", Default)
		ask("critical", Critical)
		// The queue has five places.
		ask("critical too", Critical)
		expect("sheddable refused")
		l.Release(critical, time.Now(), Answered)
		expect("critical too")
		l.Release(usual[0], time.Now(), Answered)
		expect("critical")
		// Of 20, 20 run, and the usual may be 19.
		l.Release(usual[1], time.Now(), Answered)
		l.Release(usual[2], time.Now(), Answered)
		expect("third")
		l.Release(usual[3], time.Now(), Answered)
		expect("second")
		time.Sleep(mostPatience) //nolint:forbidigo // the clock is the test's
		expect("first refused")
	})
}

func TestWhatStreamsGivesItsRoomBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := NewLimiter(Config{})
		tickets := fill(t, l)
		late := time.Now()
		for {
			time.Sleep(time.Second) //nolint:forbidigo // the clock is the test's
			if ticket, ok := l.TryAcquire(time.Now(), Default); ok {
				l.Release(ticket, time.Now(), Untold)
				break
			}
			if time.Since(late) > time.Minute {
				t.Fatal("exchanges without an answer hold their room for ever")
			}
		}
		if held := time.Since(late); held < shortestLease {
			t.Errorf("room was taken away after %v", held)
		}
		if n := l.Running(); n != 0 {
			t.Errorf("%d run", n)
		}
		for _, ticket := range tickets {
			l.Release(ticket, time.Now(), Answered)
		}
		if n := l.Running(); n != 0 {
			t.Errorf("%d run, after those gave back what they did not have", n)
		}
		if l.seen.Load() != 0 {
			t.Error("streams are samples of latency")
		}
	})
}

func TestErrorsAreNoSamples(t *testing.T) {
	t.Parallel()
	l := NewLimiter(Config{})
	for range 1000 {
		ticket, _ := l.Acquire(time.Now(), Default)
		l.Release(ticket, time.Now(), Untold)
	}
	if l.law.own != 0 || l.Running() != 0 {
		t.Error("quick errors are taken for a quick upstream")
	}
}

func TestALimiterAdoptsWhatAnotherFound(t *testing.T) {
	t.Parallel()
	of := func(own, limit float64) *Limiter {
		l := NewLimiter(Config{})
		l.law.own, l.law.limit = own, limit
		return l
	}
	fresh := NewLimiter(Config{})
	fresh.Adopt(of(0.02, 300))
	if fresh.law.own != 0.02 || fresh.Limit() != 300 {
		t.Error("a new one has", fresh.law.own, fresh.Limit())
	}
	both := of(0.01, 100)
	both.Adopt(of(0.02, 30))
	if both.law.own != 0.02 || both.Limit() != 100 {
		t.Error("both have", both.law.own, both.Limit())
	}
	both.Configure(Config{MaxLimit: 50})
	if both.Limit() != 50 {
		t.Error("the limit is", both.Limit(), "though it may be 50 at most")
	}
}

// Whatever happens at the same time, no room is lost and none is invented.
func TestRoomIsKept(t *testing.T) {
	t.Parallel()
	l := NewLimiter(Config{MinLimit: 8, MaxLimit: 8})
	var group sync.WaitGroup
	var running, most atomic.Int32
	for i := range 32 {
		group.Go(func() {
			for n := range 2000 {
				ticket, ok := l.Acquire(time.Now(), Criticality((i+n)%int(criticalities)))
				if !ok {
					continue
				}
				now := running.Add(1)
				for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
				}
				if n%100 == 0 {
					wait := time.NewTimer(time.Millisecond)
					<-wait.C
				}
				running.Add(-1)
				l.Release(ticket, time.Now(), Outcome(n%3))
			}
		})
	}
	group.Wait()
	if l.Running() != 0 || l.queue.waiting.Load() != 0 {
		t.Errorf("%d run and %d wait at the end", l.Running(), l.queue.waiting.Load())
	}
	if n := most.Load(); n > 8 {
		t.Errorf("%d ran at once, the limit is 8", n)
	}
}

func BenchmarkLimiter(b *testing.B) {
	one := func(b *testing.B, l *Limiter) {
		now := time.Now()
		ticket, ok := l.Acquire(now, Default)
		if !ok {
			b.Error("refused")
		}
		l.Release(ticket, now.Add(time.Millisecond), Answered)
	}
	b.Run("off", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			one(b, nil)
		}
	})
	b.Run("serial", func(b *testing.B) {
		l := NewLimiter(Config{MinLimit: 1000})
		b.ReportAllocs()
		for b.Loop() {
			one(b, l)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		l := NewLimiter(Config{MinLimit: 1000})
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				one(b, l)
			}
		})
	})
	b.Run("refusal", func(b *testing.B) {
		l := NewLimiter(Config{MinLimit: 1, MaxLimit: 1})
		now := time.Now()
		_, _ = l.TryAcquire(now, Default)
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := l.TryAcquire(now, Default); ok {
				b.Fatal("admitted")
			}
		}
	})
}
