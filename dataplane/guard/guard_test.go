package guard_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tidegate.dev/dataplane/guard"
	"tidegate.dev/dataplane/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	noReason = iota
	noRoute
	upstreamTimeout
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// traffic is two arms of one rollout and the coin between them.
type traffic struct {
	counters          *telemetry.Counters
	baseline          *telemetry.Baseline
	stable, candidate *telemetry.Arm
	coin              *rand.Rand
	share             uint32
	candidateRequests int
	numbers           map[string]uint32
}

func newTraffic(share uint32) *traffic {
	t := &traffic{
		counters: telemetry.NewCounters([]string{"", "no_route", "upstream_timeout"}),
		coin:     rand.New(rand.NewPCG(1, uint64(share))), numbers: map[string]uint32{},
	}
	t.baseline = telemetry.NewBaseline(t.counters)
	t.setShare(share)
	return t
}

// setShare begins new arms, as an installation does.
func (t *traffic) setShare(share uint32) {
	t.share = share
	key := telemetry.ArmKey{Revision: 1, Arm: 1, RolloutID: "r", SharePPM: share}
	t.stable = t.counters.Open(key, 1000)
	key.Revision, key.Arm = 2, 2
	t.candidate = t.counters.Open(key, 1000)
}

func (t *traffic) request(route string, outcome func(candidate bool) (class, reason uint8)) {
	t.timed(route, func(candidate bool) (class, reason uint8, took time.Duration) {
		class, reason = outcome(candidate)
		return class, reason, time.Millisecond
	})
}

func (t *traffic) timed(route string, outcome func(candidate bool) (class, reason uint8, took time.Duration)) {
	candidate := uint32(t.coin.IntN(1_000_000)) < t.share
	arm := t.stable
	if candidate {
		arm = t.candidate
		t.candidateRequests++
	}
	class, reason, took := outcome(candidate)
	number := uint32(0)
	if route != "" {
		if t.numbers[route] == 0 {
			t.numbers[route] = uint32(len(t.numbers) + 1)
		}
		number = t.numbers[route]
	}
	arm.Record(number, route, class, reason, took)
}

func (t *traffic) fails(rate float64) bool { return t.coin.Float64() < rate }

func watch(t *testing.T, g *guard.Guard, c guard.Candidate) {
	t.Helper()
	c.RolloutID = "r"
	c.Routes = 10
	if c.Threshold == 0 {
		c.Threshold = 3 * 40 * 2 / 0.01 // three agents, 40 comparisons, half of 1 %
	}
	if err := g.Watch(c, start); err != nil {
		t.Fatal(err)
	}
}

func TestACandidateThatFailsEverythingGoesAfterAFewRequests(t *testing.T) {
	t.Parallel()
	traffic := newTraffic(10_000)
	g := guard.New(traffic.counters, traffic.baseline)
	watch(t, g, guard.Candidate{})
	for i := range 100_000 {
		traffic.request("orders", func(candidate bool) (uint8, uint8) {
			if candidate {
				return 5, noReason
			}
			return 2, noReason
		})
		if i%200 == 0 {
			if finding := g.Look(start.Add(time.Second)); finding != nil {
				if traffic.candidateRequests > 10 {
					t.Errorf("it took %d candidate requests", traffic.candidateRequests)
				}
				if finding.Metric != "upstream_5xx" || finding.After != time.Second || finding.RolloutID != "r" ||
					!strings.HasPrefix(finding.Explanation, "5xx 100 %") {
					t.Errorf("finding %+v", finding)
				}
				return
			}
		}
	}
	t.Errorf("after %d candidate requests it is still there", traffic.candidateRequests)
}

func TestWhatHitsBothArmsAlikeIsNotTheCandidates(t *testing.T) {
	t.Parallel()
	traffic := newTraffic(100_000)
	g := guard.New(traffic.counters, traffic.baseline)
	watch(t, g, guard.Candidate{})
	for i := range 200_000 {
		down := i > 50_000 && i < 100_000
		traffic.request("orders", func(bool) (uint8, uint8) {
			if down || traffic.fails(0.02) {
				return 5, noReason
			}
			return 2, noReason
		})
		if i%500 == 0 {
			if finding := g.Look(start); finding != nil {
				t.Fatalf("after %d requests: %+v", i, finding)
			}
		}
	}
}

func TestReasonsOfTheGatewayAreJudgedOneByOne(t *testing.T) {
	t.Parallel()
	traffic := newTraffic(500_000)
	g := guard.New(traffic.counters, traffic.baseline)
	watch(t, g, guard.Candidate{})
	for range 2_000 {
		// The candidate lost a route: 404 by the gateway where stable is answered by the upstream.
		traffic.request("", func(candidate bool) (uint8, uint8) {
			if candidate {
				return 4, noRoute
			}
			return 2, noReason
		})
	}
	if finding := g.Look(start); finding == nil || finding.Metric != "gateway.no_route" || finding.Route != "" {
		t.Errorf("finding %+v", finding)
	}
}

// milliseconds is a duration as upstreams take them: mostly short, with a long tail.
func (t *traffic) milliseconds(median float64) time.Duration {
	return time.Duration(median * math.Exp(0.6*t.coin.NormFloat64()) * float64(time.Millisecond))
}

func TestACandidateThatIsSlowerOnOneRouteGoes(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name            string
		share           uint32
		median, added   float64
		goes            bool
		atMostCandidate int
	}{
		{"20 ms on a quick route", 10_000, 3, 20, true, 30},
		{"20 ms on a route that takes 40 ms", 100_000, 40, 20, true, 600},
		{"ten times slower", 10_000, 5, 45, true, 20},
		{"1 ms", 100_000, 3, 1, false, 0},
		{"nothing", 500_000, 30, 0, false, 0},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			traffic := newTraffic(each.share)
			g := guard.New(traffic.counters, traffic.baseline)
			watch(t, g, guard.Candidate{})
			now := start
			for i := range 60_000 {
				if i%200 == 0 { // the tenth of a second
					now = now.Add(100 * time.Millisecond)
					if i%2000 == 0 {
						traffic.baseline.Update(now)
					}
					if finding := g.Look(now); finding != nil {
						warm := traffic.candidateRequests - int(10_000*float64(each.share)/1e6)
						if !each.goes || !strings.HasPrefix(finding.Metric, "slower.") {
							t.Fatalf("finding %+v", finding)
						}
						if warm > each.atMostCandidate {
							t.Errorf("it took %d candidate requests after the warm-up: %s", warm, finding.Explanation)
						}
						return
					}
				}
				traffic.timed("orders", func(candidate bool) (uint8, uint8, time.Duration) {
					took := traffic.milliseconds(each.median)
					if candidate {
						took += time.Duration(each.added * float64(time.Millisecond))
					}
					return 2, noReason, took
				})
			}
			if each.goes {
				t.Error("it is still there")
			}
		})
	}
}

func TestOneBadRouteAmongManyIsFound(t *testing.T) {
	t.Parallel()
	traffic := newTraffic(100_000)
	g := guard.New(traffic.counters, traffic.baseline)
	watch(t, g, guard.Candidate{})
	// The total is noisy: other routes fail often, on both arms.
	for i := range 100_000 {
		if i%100 != 0 {
			traffic.request("noisy", func(bool) (uint8, uint8) {
				if traffic.fails(0.3) {
					return 5, upstreamTimeout
				}
				return 2, noReason
			})
		} else {
			traffic.request("quiet", func(candidate bool) (uint8, uint8) {
				if candidate {
					return 5, upstreamTimeout
				}
				return 2, noReason
			})
		}
		if i%1000 == 0 {
			if finding := g.Look(start); finding != nil {
				if finding.Route != "quiet" || !strings.Contains(finding.Explanation, "on route quiet") {
					t.Errorf("finding %+v", finding)
				}
				return
			}
		}
	}
	t.Error("the bad route was not found")
}

func TestANewRouteHasAnAbsoluteGate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		requests int
		badShare float64
		fails    bool
	}{
		"works":                   {requests: 500, badShare: 0.05},
		"fails, too few requests": {requests: 19, badShare: 1},
		"fails":                   {requests: 30, badShare: 0.9, fails: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			traffic := newTraffic(999_999)
			g := guard.New(traffic.counters, traffic.baseline)
			watch(t, g, guard.Candidate{NewRoutes: map[string]bool{"new": true}})
			for i := range tt.requests {
				traffic.request("new", func(bool) (uint8, uint8) {
					if float64(i) < tt.badShare*float64(tt.requests) {
						return 5, upstreamTimeout
					}
					return 2, noReason
				})
			}
			if finding := g.Look(start); (finding != nil) != tt.fails {
				t.Errorf("finding %+v", finding)
			}
		})
	}
}

func TestEvidenceIsKeptFromStepToStepAndNotFromRolloutToRollout(t *testing.T) {
	t.Parallel()
	traffic := newTraffic(10_000)
	g := guard.New(traffic.counters, traffic.baseline)
	watch(t, g, guard.Candidate{})
	bad := func(n int) {
		for range n {
			traffic.candidate.Record(1, "orders", 5, noReason, time.Millisecond)
		}
	}
	bad(1)
	if finding := g.Look(start); finding != nil {
		t.Fatalf("one bad request is enough: %+v", finding)
	}
	traffic.setShare(20_000)
	watch(t, g, guard.Candidate{})
	bad(1)
	if finding := g.Look(start); finding != nil {
		t.Fatalf("two bad requests are enough: %+v", finding)
	}
	traffic.setShare(30_000)
	watch(t, g, guard.Candidate{})
	bad(3)
	if finding := g.Look(start); finding == nil {
		t.Error("five bad requests of the candidate and none of the control, over three steps, are not enough")
	}
	g.Rest()
	if finding := g.Look(start); finding != nil {
		t.Errorf("at rest it says %+v", finding)
	}
	if err := g.Watch(guard.Candidate{RolloutID: "another", Threshold: 100}, start); err != nil {
		t.Fatal(err)
	}
	if finding := g.Look(start); finding != nil {
		t.Errorf("another rollout is judged by %+v", finding)
	}
}

func TestWithoutAThresholdNothingFails(t *testing.T) {
	t.Parallel()
	traffic := newTraffic(500_000)
	g := guard.New(traffic.counters, traffic.baseline)
	if err := g.Watch(guard.Candidate{RolloutID: "r"}, start); err != nil {
		t.Fatal(err)
	}
	for range 1_000 {
		traffic.candidate.Record(1, "orders", 5, noReason, time.Millisecond)
	}
	if finding := g.Look(start); finding != nil {
		t.Errorf("it says %+v", finding)
	}
}

func TestATestThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	nothing := telemetry.NewCounters([]string{""})
	if err := guard.New(nothing, telemetry.NewBaseline(nothing)).Watch(guard.Candidate{RolloutID: "r", Tolerance: 0.5}, start); err == nil {
		t.Error("a tolerance below 1 was taken")
	}
}

// BenchmarkLook has 1,000 routes with traffic in both arms, a tenth of them with errors.
func BenchmarkLook(b *testing.B) {
	traffic := newTraffic(100_000)
	g := guard.New(traffic.counters, traffic.baseline)
	if err := g.Watch(guard.Candidate{RolloutID: "r", Threshold: 1e9, Routes: 1000}, start); err != nil {
		b.Fatal(err)
	}
	for i := range 200_000 {
		traffic.request(strconv.Itoa(i%1000), func(bool) (uint8, uint8) {
			if i%1000 < 100 && traffic.fails(0.1) {
				return 5, upstreamTimeout
			}
			return 2, noReason
		})
	}
	for b.Loop() {
		for i := range 100 {
			traffic.request(strconv.Itoa(i), func(bool) (uint8, uint8) { return 2, noReason })
		}
		if finding := g.Look(start); finding != nil {
			b.Fatal(finding.Explanation)
		}
	}
}

func TestWhatAChangeMeansToBringAboutIsNotHeldAgainstIt(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name   string
		share  float64
		failed bool
	}{{"as it said", 0.10, false}, {"more than it said", 0.60, true}} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			traffic := newTraffic(200_000)
			g := guard.New(traffic.counters, traffic.baseline)
			watch(t, g, guard.Candidate{Expected: []guard.Expected{{Route: "orders", Reason: "no_route", Share: 0.12}}})
			var finding *guard.Finding
			for i := 0; i < 20_000 && finding == nil; i++ {
				traffic.request("orders", func(candidate bool) (uint8, uint8) {
					if candidate && traffic.fails(each.share) {
						return 4, noRoute
					}
					return 2, noReason
				})
				if i%100 == 0 {
					finding = g.Look(start)
				}
			}
			if (finding != nil) != each.failed {
				t.Errorf("finding %+v", finding)
			}
		})
	}
}

func TestWhatIsRecalledIsWhatWasRemembered(t *testing.T) {
	t.Parallel()
	traffic := newTraffic(100_000)
	g := guard.New(traffic.counters, traffic.baseline)
	watch(t, g, guard.Candidate{Root: "00"})
	for range 500 {
		traffic.request("orders", func(bool) (uint8, uint8) {
			if traffic.fails(0.1) {
				return 5, upstreamTimeout
			}
			return 2, noReason
		})
	}
	if finding := g.Look(start); finding != nil {
		t.Fatalf("finding %+v", finding)
	}
	memory, ok := g.Remember(start.Add(time.Minute))
	if !ok || memory.Watched != time.Minute || len(memory.Routes) != 1 || memory.Total.Metrics["gateway.upstream_timeout"].LogPeak < 0 {
		t.Fatalf("it remembers %+v", memory)
	}
	text, err := json.Marshal(memory)
	if err != nil {
		t.Fatal(err)
	}
	var read guard.Memory
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	for name, root := range map[string]string{"of the same content": "00", "of another": "11"} {
		nothing := telemetry.NewCounters([]string{""})
		next := guard.New(nothing, telemetry.NewBaseline(nothing))
		next.Recall(read, start)
		watch(t, next, guard.Candidate{Root: root})
		again, _ := next.Remember(start)
		if same := reflect.DeepEqual(again.Total, memory.Total) && reflect.DeepEqual(again.Routes, memory.Routes); same != (root == "00") {
			t.Errorf("%s: it recalls %+v of %+v", name, again, memory)
		}
	}
}

func TestACandidateWhoseRequestsHangGoesBeforeTheyEnd(t *testing.T) {
	t.Parallel()
	traffic := newTraffic(100_000)
	g := guard.New(traffic.counters, traffic.baseline)
	watch(t, g, guard.Candidate{})
	now := start
	serve := func() {
		for range 1000 {
			traffic.timed("orders", func(bool) (uint8, uint8, time.Duration) { return 2, noReason, time.Millisecond })
		}
		traffic.baseline.Update(now)
		if finding := g.Look(now); finding != nil {
			t.Fatalf("finding %+v", finding)
		}
	}
	serve()
	now = now.Add(6 * time.Second)
	serve()
	var running [40]telemetry.Running
	for i := range running {
		traffic.candidate.Enter(&running[i], 1, "orders", now)
	}
	traffic.counters.Sweep(traffic.baseline.Lines(), now.Add(time.Millisecond))
	if finding := g.Look(now); finding != nil {
		t.Fatalf("requests that have just begun: %+v", finding)
	}
	traffic.counters.Sweep(traffic.baseline.Lines(), now.Add(time.Second))
	finding := g.Look(now)
	if finding == nil || !strings.HasPrefix(finding.Metric, "slower.") {
		t.Fatalf("finding %+v", finding)
	}
	if arm := finding.Decision.Candidate; arm.Bad != uint64(len(running)) || arm.Bad > arm.Requests {
		t.Errorf("it counts %+v", arm)
	}
}
