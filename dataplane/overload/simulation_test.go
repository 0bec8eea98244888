package overload

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"
)

// scenario is something that upstreams go through.
type scenario struct {
	name string
	world
	// capacity is the most that can be answered in a second, and usual the mean latency without a queue, at a time.
	capacity func(at time.Duration) float64
	usual    func(at time.Duration) time.Duration
	// from is when the limit has had the time to follow; what is demanded is demanded from then on.
	from time.Duration
	// share of the capacity that must be used, and how many times the usual p99 the p99 may be.
	share, slower float64
}

const usualService = 20 * time.Millisecond

func fixed(name string, workers int, load, deviation float64) scenario {
	capacity := float64(workers) / usualService.Seconds()
	return scenario{
		name: name, capacity: always(capacity), usual: always(usualService),
		world: world{
			workers: always(workers), service: jittered(usualService, deviation), arrivals: always(capacity * load), length: 20 * time.Second,
		},
		from: 5 * time.Second, share: 0.9, slower: 2,
	}
}

const change = 20 * time.Second

func atChange[T any](before, after T) func(time.Duration) T {
	return func(at time.Duration) T {
		if at < change {
			return before
		}
		return after
	}
}

// slowed makes requests take so many times longer from the change on.
func slowed(factor float64) func(time.Duration, *rand.Rand) time.Duration {
	usual := jittered(usualService, 0.5)
	return func(at time.Duration, r *rand.Rand) time.Duration {
		if at < change {
			return usual(at, r)
		}
		return time.Duration(float64(usual(at, r)) * factor)
	}
}

func scenarios() []scenario {
	usual := usualService
	half := fixed("half of the capacity is asked for", 30, 0.5, 1)
	half.capacity = half.arrivals
	half.share = 0.98
	five := fixed("5 x load", 30, 5, 1)
	even := fixed("5 x load, even times", 30, 5, 0.1)
	few := fixed("5 x load, 4 workers", 4, 5, 0.5)
	many := fixed("5 x load, 100 workers", 100, 5, 1)
	many.length = 12 * time.Second

	byItself := fixed("takes 3 x as long by itself", 30, 0.5, 0.5)
	byItself.workers, byItself.service = always(10_000), slowed(3)
	byItself.capacity, byItself.usual, byItself.from = byItself.arrivals, atChange(usual, 3*usual), change+4*time.Second
	much := byItself
	much.name, much.service, much.usual, much.from = "takes 20 x as long by itself", slowed(20), atChange(usual, 20*usual), change+12*time.Second

	third := fixed("a third of the workers is left", 30, 3, 0.5)
	third.workers = atChange(30, 10)
	third.capacity, third.from = atChange(1500., 500.), change+2*time.Second
	back := fixed("workers come back", 30, 3, 0.5)
	back.workers = atChange(10, 30)
	back.capacity, back.from = atChange(500., 1500.), change+4*time.Second
	dear := fixed("each request costs 3 x", 30, 3, 0.5)
	dear.service, dear.capacity, dear.usual = slowed(3), atChange(1500., 500.), atChange(usual, 3*usual)
	dear.from = change + 4*time.Second

	leak := fixed("a slow leak", 30, 3, 0.5)
	leak.workers = func(at time.Duration) int { return 30 - int(at.Seconds()/2) }
	leak.capacity = func(at time.Duration) float64 { return (30 - at.Seconds()/2 + 0.5) * 50 }
	bursts := fixed("bursts of 5 x, a second of five", 30, 3, 0.5)
	bursts.arrivals = func(at time.Duration) float64 {
		if at%(5*time.Second) < time.Second {
			return 7500
		}
		return 450
	}
	bursts.capacity = func(at time.Duration) float64 { return min(bursts.arrivals(at), 1500) }
	mixed := fixed("one in ten takes 10 x", 30, 3, 0.5)
	quick, slow := jittered(usual, 0.5), jittered(10*usual, 0.5)
	mixed.service = func(at time.Duration, r *rand.Rand) time.Duration {
		if r.IntN(10) == 0 {
			return slow(at, r)
		}
		return quick(at, r)
	}
	mixed.capacity, mixed.usual = always(1500/1.9), always(usual*19/10)
	shared := fixed("three agents, 3 x load", 30, 3, 0.5)
	shared.limiters = 3
	for _, s := range []*scenario{&byItself, &much, &third, &back, &dear, &leak} {
		s.length = 2 * change
	}
	return []scenario{half, five, even, few, many, byItself, much, third, back, dear, leak, bursts, mixed, shared}
}

// result is what of the capacity was used, and how latencies compare with those of an upstream that nobody keeps waiting.
type result struct {
	share, mean, p99 float64
}

func (s *scenario) judge(o *outcome) (r result) {
	list := o.between(s.from, s.length)
	capacity := 0.
	for at := s.from; at < s.length; at += 10 * time.Millisecond {
		capacity += s.capacity(at) / 100
	}
	var took, usual time.Duration
	random := rand.New(rand.NewPCG(3, 4))
	alone := make([]done, len(list))
	for i, d := range list {
		alone[i].took = s.service(d.began, random)
		took, usual = took+d.took, usual+s.usual(d.began)
	}
	r.share = float64(len(list)) / capacity
	if len(list) > 0 {
		r.mean = float64(took) / float64(usual)
		r.p99 = float64(percentile(list, 0.99)) / float64(percentile(alone, 0.99))
	}
	return r
}

func ours() gate { return newLimiterAt(Config{}, simulationBegins) }

func TestLimitsFollowTheirUpstreams(t *testing.T) {
	t.Parallel()
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			o := simulate(s.world, ours)
			r := s.judge(o)
			t.Logf("%.0f %% of the capacity, mean %.2f x, p99 %.2f x, limits %v", 100*r.share, r.mean, r.p99, o.limits[0][len(o.limits[0])-10:])
			if r.share < s.share {
				t.Errorf("%.0f %% of the capacity was used, want %.0f %%", 100*r.share, 100*s.share)
			}
			if r.p99 > s.slower {
				t.Errorf("the p99 is %.2f times that without a queue, want at most %g times", r.p99, s.slower)
			}
		})
	}
}

// The law was chosen by this table.
func TestRivals(t *testing.T) {
	if os.Getenv("TIDEGATE_SIMULATE") == "" {
		t.Skip("set TIDEGATE_SIMULATE=1 to compare laws")
	}
	laws := []struct {
		name string
		make func() gate
	}{
		{"none", newNone}, {"AIMD", newAIMD}, {"Vegas", newVegas}, {"Gradient2", newGradient2}, {"search", ours},
	}
	var out strings.Builder
	for _, s := range scenarios() {
		fmt.Fprintf(&out, "\n| %s |", s.name)
		for _, law := range laws {
			r := s.judge(simulate(s.world, law.make))
			fmt.Fprintf(&out, " %.0f %% / %.1f x |", 100*r.share, r.p99)
		}
	}
	t.Log(out.String())
}

func TestWhatMattersLeastIsRefusedFirst(t *testing.T) {
	t.Parallel()
	s := fixed("", 30, 3, 0.5)
	s.sheddable, s.critical = 1./3, 1./6 // of 3 x the capacity: 1 sheddable, 1.5 usual, 0.5 critical
	o := simulate(s.world, ours)
	list := o.between(s.from, s.length)
	var served [criticalities]float64
	for _, d := range list {
		served[d.kind] += 1 / (s.length - s.from).Seconds() / s.capacity(0)
	}
	t.Logf("of the capacity: %.2f critical, %.2f default, %.2f sheddable", served[Critical], served[Default], served[Sheddable])
	if served[Critical] < 0.45 || served[Default] < 0.4 || served[Sheddable] > 0.05 {
		t.Errorf("of the capacity %.2f was critical (0.5 asked), %.2f default (1.5 asked), %.2f sheddable (1 asked)", served[Critical], served[Default], served[Sheddable])
	}
}

func TestAgentsShareAnUpstream(t *testing.T) {
	t.Parallel()
	s := fixed("", 30, 3, 0.5)
	s.limiters, s.length = 3, 60*time.Second
	o := simulate(s.world, ours)
	served := make([]int, 3)
	list := o.between(s.from, s.length)
	for _, d := range list {
		served[d.gate]++
	}
	t.Log("served", served)
	for i, n := range served {
		if n < len(list)/10 {
			t.Errorf("agent %d has %d of %d", i, n, len(list))
		}
	}
}
