package upstream

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"testing"
	"time"
)

var everyPolicy = []Policy{RoundRobin, Random, LeastRequest, EWMA, RingHash, Maglev}

func balanced(policy Policy, targets []TargetConfig) Config {
	return Config{Name: "s", Targets: targets, Balancing: BalancingConfig{Policy: policy, HashOn: HashOn{Kind: HashAddress}}}
}

// spread chooses for so many keys and tells how often each target was chosen, by its host.
func spread(s *Service, times int) map[string]int {
	counts := map[string]int{}
	now := s.registry.clock.now()
	for i := range times {
		counts[s.choose(choice{service: s, window: 1, now: now, hash: Hash("key" + strconv.Itoa(i))}).Host()]++
	}
	return counts
}

func TestEveryPolicyHeedsWeights(t *testing.T) {
	t.Parallel()
	weights := []uint32{1, 2, 3, 4}
	for _, policy := range everyPolicy {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := acquire(t, NewRegistry(Environment{}), balanced(policy, targets(weights...)))
			const times = 100_000
			counts := spread(s, times)
			// Points on a circle are the least even.
			tolerance := map[Policy]float64{RingHash: 0.25}[policy]
			for i, w := range weights {
				want := times * float64(w) / 10
				if got := float64(counts[fmt.Sprint("target", i)]); math.Abs(got-want) > want*max(tolerance, 0.06) {
					t.Errorf("a target of weight %d was chosen %.0f times, want about %.0f", w, got, want)
				}
			}
		})
	}
}

func TestEveryPolicyLeavesOutWhatFailed(t *testing.T) {
	t.Parallel()
	for _, policy := range everyPolicy {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			s := acquire(t, NewRegistry(Environment{}), balanced(policy, targets(1, 1, 1, 1)))
			bad := s.Targets()[2]
			s.judge(1, bad, FailureConnect, s.registry.clock.now())
			counts := spread(s, 30_000)
			if counts[bad.Host()] != 0 {
				t.Error("it was chosen", counts[bad.Host()], "times")
			}
			for _, other := range s.Targets() {
				// Behind a point on the circle there is one that gets most of what the other had.
				if n := counts[other.Host()]; other != bad && (n < 5_000 || n > 15_000) {
					t.Errorf("%s was chosen %d times of 30000", other.Host(), n)
				}
			}
			for _, avoided := range s.Targets() {
				if got := s.choose(choice{service: s, window: 1, now: 1, hash: 7, avoid: avoided}); got == avoided {
					t.Error("the target to avoid was chosen")
				}
			}
		})
	}
}

// placed tells which target each of the keys has.
func placed(s *Service, keys int) []string {
	now := s.registry.clock.now()
	out := make([]string, keys)
	for i := range out {
		out[i] = s.choose(choice{service: s, window: 1, now: now, hash: Hash(strconv.Itoa(i))}).Host()
	}
	return out
}

// Of N targets one goes: the keys that it had move, and hardly any other (Maglev's paper, section 5.3: a few in a hundred).
func TestConsistentHashing(t *testing.T) {
	t.Parallel()
	const keys, n = 20_000, 10
	for policy, most := range map[Policy]float64{RingHash: 0, Maglev: 0.015} {
		t.Run(string(policy), func(t *testing.T) {
			t.Parallel()
			r := NewRegistry(Environment{})
			weights := make([]uint32, n)
			all := acquire(t, r, balanced(policy, targets(weights...)))
			before := placed(all, keys)
			if !slices.Equal(before, placed(all, keys)) {
				t.Fatal("a key has no place")
			}
			turned := targets(weights...)
			slices.Reverse(turned)
			if !slices.Equal(before, placed(acquire(t, r, balanced(policy, turned)), keys)) {
				t.Error("the order in which targets are listed matters")
			}
			gone := all.Targets()[3].Host()
			moved := func(after []string) (its, others float64) {
				for i := range before {
					switch {
					case before[i] == gone:
						its++
					case before[i] != after[i]:
						others++
					}
				}
				return its / keys, others / keys
			}
			fewer := slices.Delete(targets(weights...), 3, 4)
			its, others := moved(placed(acquire(t, r, balanced(policy, fewer)), keys))
			t.Logf("of %d targets one was removed: %.2f %% of the keys were its own, %.2f %% of the keys moved beside them", n, its*100, others*100)
			if its > 1.5/n || others > most {
				t.Errorf("%.3f moved, and %.3f without need", its, others)
			}
			// One that is left out for a while moves nothing but its own.
			all.judge(1, all.Targets()[3], FailureConnect, r.clock.now())
			if _, others := moved(placed(all, keys)); others > 0 {
				t.Errorf("an ejection moved %.4f without need", others)
			}
		})
	}
}

func TestARequestWithoutAKeyGoesAnywhere(t *testing.T) {
	t.Parallel()
	for _, policy := range []Policy{RingHash, Maglev} {
		s := acquire(t, NewRegistry(Environment{}), balanced(policy, targets(1, 1, 1)))
		if n := len(picks(s, 1, time.Now(), 100)); n != 3 {
			t.Error(policy, "chose", n, "targets")
		}
	}
	if Hash("") != 0 || Hash("a") == 0 || Hash("a") == Hash("b") {
		t.Error("hashes")
	}
}

func TestTheLessBusyIsChosen(t *testing.T) {
	t.Parallel()
	s := acquire(t, NewRegistry(Environment{}), balanced(LeastRequest, targets(1, 1, 1)))
	busy := s.Targets()[0]
	for range 5 {
		busy.windows[1].load.begin(1)
	}
	// Now and then it is drawn with itself.
	if n := spread(s, 3000)[busy.Host()]; n > 5 {
		t.Error("the busy one was chosen", n, "times")
	}
	for range 5 {
		busy.windows[1].load.answer(1, true)
		busy.Done(1)
	}
	if n := spread(s, 3000)[busy.Host()]; n < 800 {
		t.Error("it was chosen", n, "times when it was no more busy than others")
	}
	if busy.windows[1].load.running() != 0 || busy.windows[1].load.waiting() != 0 {
		t.Error("what is over is counted")
	}
}

func TestTheFasterIsChosen(t *testing.T) {
	t.Parallel()
	s := acquire(t, NewRegistry(Environment{}), balanced(EWMA, targets(1, 1, 1)))
	slow, now := s.Targets()[0], s.registry.clock.now()
	answer := func(target *Target, took time.Duration) {
		target.windows[1].load.begin(now)
		s.report(1, target, FailureNone, took, now)
		target.Done(1)
	}
	for _, target := range s.Targets() {
		answer(target, 10*time.Millisecond)
	}
	answer(slow, time.Second)
	for range 3 {
		slow.windows[1].load.begin(now)
		s.report(1, slow, Failure503, time.Microsecond, now)
		slow.Done(1)
	}
	at := func(after time.Duration) (n int) {
		for range 3000 {
			if s.choose(choice{service: s, window: 1, now: now + int64(after)}) == slow {
				n++
			}
		}
		return n
	}
	if n := at(0); n > 5 {
		t.Error("the slow one was chosen", n, "times")
	}
	// What is known of it fades, as it does of the others; new answers of theirs do the rest.
	now += int64(averageSpan)
	for _, other := range s.Targets()[1:] {
		answer(other, 400*time.Millisecond)
	}
	if n := at(0); n < 700 {
		t.Error("it was chosen", n, "times when it was no slower any more")
	}
}

func TestAveragesForget(t *testing.T) {
	t.Parallel()
	const ms = int64(time.Millisecond)
	var mean, peak average
	add := func(value time.Duration, at int64) {
		mean.add(value, at, false)
		peak.add(value, at, true)
	}
	add(100*time.Millisecond, ms)
	add(200*time.Millisecond, 1001*ms)
	near := func(what string, got float64, want time.Duration) {
		if math.Abs(got-float64(want)) > float64(want)/100 {
			t.Errorf("%s is %v, want %v", what, time.Duration(got), want)
		}
	}
	near("the mean", mean.at(1001*ms, false), 109520*time.Microsecond)
	near("the peak", peak.at(1001*ms, false), 200*time.Millisecond)
	near("the faded peak", peak.at(11001*ms, true), 73576*time.Microsecond)
	add(0, 11001*ms)
	near("the peak after a fast answer", peak.at(11001*ms, false), 73576*time.Microsecond)
	// The clock's milliseconds wrap in the word.
	var wrapped average
	wrapped.add(100, (1<<32-1)*ms, false)
	wrapped.add(0, (1<<32+999)*ms, false)
	near("the mean across a wrap", wrapped.at((1<<32+999)*ms, false), 90)
}

func TestRequestsStayInTheirZone(t *testing.T) {
	t.Parallel()
	r := NewRegistry(Environment{Zone: "a"})
	config := balanced(RoundRobin, targets(1, 1, 1, 1, 1, 1))
	config.Balancing.ZoneAware, config.Balancing.MinUsablePercent = true, 60
	for i := range config.Targets {
		config.Targets[i].Zone = []string{"a", "b"}[i%2]
	}
	s := acquire(t, r, config)
	now := time.Now()
	zones := func() (n int) {
		for target := range picks(s, 1, now, 60) {
			if slices.Index(s.Targets(), target)%2 == 0 {
				n++
			} else {
				n += 10
			}
		}
		now = now.Add(zoneLook)
		return n
	}
	if got := zones(); got != 3 {
		t.Error("with all usable:", got)
	}
	s.judge(1, s.Targets()[0], FailureConnect, r.clock.at(now))
	if got := zones(); got != 2 {
		t.Error("with two of three usable:", got)
	}
	s.judge(1, s.Targets()[2], FailureConnect, r.clock.at(now))
	if got := zones(); got != 31 {
		t.Error("with one of three usable:", got)
	}
	elsewhere := acquire(t, NewRegistry(Environment{Zone: "c"}), config)
	if n := len(picks(elsewhere, 1, now, 60)); n != 6 {
		t.Error("an agent in a zone without targets uses", n)
	}
}

func BenchmarkPick(b *testing.B) {
	for _, policy := range everyPolicy {
		for _, n := range []int{3, 100} {
			b.Run(fmt.Sprintf("%s/%d", policy, n), func(b *testing.B) {
				s := acquire(b, NewRegistry(Environment{}), balanced(policy, targets(make([]uint32, n)...)))
				c := Choice{Window: 1, Now: time.Now()}
				b.ReportAllocs()
				for i := range b.N {
					c.Hash = uint64(i) * 0x9e3779b97f4a7c15
					t := s.Pick(c)
					s.report(1, t, FailureNone, time.Millisecond, int64(i))
					t.Done(1)
				}
			})
		}
	}
}
