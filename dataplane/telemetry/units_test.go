package telemetry

import (
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var secret = [32]byte{1, 2, 3}

// within tells whether a number of successes is what a binomial gives, in all but one of some million cases.
func within(successes, of int, probability float64) bool {
	mean := float64(of) * probability
	return math.Abs(float64(successes)-mean) <= 5*math.Sqrt(mean*(1-probability))+1
}

func TestWhoHadTheCandidateKeepsIt(t *testing.T) {
	t.Parallel()
	const units = 20_000
	shares := []uint32{1, 10_000, 100_000, 500_000, 950_000, wholePPM}
	had := make([]int, len(shares))
	for i := range units {
		unit, before := UnitOf(&secret, "consumer-"+strconv.Itoa(i)), false
		for s, share := range shares {
			below := unit.Below(share)
			if before && !below {
				t.Fatalf("unit %d lost the candidate at %d ppm", i, share)
			}
			if before = below; below {
				had[s]++
			}
		}
	}
	for s, share := range shares {
		if p := float64(share) / wholePPM; !within(had[s], units, p) {
			t.Errorf("at %d ppm %d of %d units have the candidate", share, had[s], units)
		}
	}
}

// Whatever regularity a client gives to its names, the arm has none: not along a sequence, not by length, not by another secret.
func TestAClientCannotChooseItsPlace(t *testing.T) {
	t.Parallel()
	const n, share = 10_000, 200_000
	other := [32]byte{1, 2, 4}
	names := map[string]func(i int) string{
		"numbers":    strconv.Itoa,
		"lengths":    func(i int) string { return strings.Repeat("a", 1+i%LongestUnit) + strconv.Itoa(i/LongestUnit) },
		"one letter": func(i int) string { return fmt.Sprintf("tenant-%c-%d", 'a'+i%26, i/26) },
	}
	for name, of := range names {
		both, below := 0, 0
		for i := range n {
			unit := UnitOf(&secret, of(i))
			if unit.IsNone() {
				continue
			}
			if unit.Below(share) {
				below++
				if UnitOf(&other, of(i)).Below(share) {
					both++
				}
			}
		}
		if !within(below, n, 0.2) || !within(both, below, 0.2) {
			t.Errorf("%s: %d of %d have the candidate, and %d of them under another secret", name, below, n, both)
		}
	}
}

func TestWhatIsNoUnit(t *testing.T) {
	t.Parallel()
	for name, none := range map[string]bool{"": true, strings.Repeat("x", LongestUnit+1): true, strings.Repeat("x", LongestUnit): false, "a": false} {
		if UnitOf(&secret, name).IsNone() != none {
			t.Errorf("a name of %d bytes is none: %t", len(name), !none)
		}
	}
}

// unitsOf are the counts of units by arm, route and metric.
func unitsOf(c *Counters) map[string]UnitCount {
	all := map[string]UnitCount{}
	c.EachUnit(func(key UnitKey, count UnitCount) {
		all[strings.TrimSpace(fmt.Sprintf("%d %s %s", key.Arm, key.Metric, key.Route))] = count
	})
	return all
}

func coinOf(share, settled uint32) UnitsConfig {
	return UnitsConfig{UnitCoin: UnitCoin{RolloutID: "7", SharePPM: share, SettledPPM: settled}, Counters: 1}
}

// units are requests of two sticky arms.
type units struct {
	*Counters
	arms [3]*Arm
}

func newUnits(config UnitsConfig) *units {
	c := NewCounters([]string{"", "no_route"})
	u := c.OpenUnits(config)
	return &units{Counters: c, arms: [3]*Arm{1: c.OpenSticky(ArmKey{Revision: 1, Arm: 1}, 10, u), 2: c.OpenSticky(ArmKey{Revision: 2, Arm: 2}, 10, u)}}
}

func (u *units) request(arm int, name, route string, class, reason uint8) {
	var r Running
	u.arms[arm].Throw(&r, UnitOf(&secret, name))
	if route != "" {
		u.arms[arm].Enter(&r, 1, route, time.Now())
	}
	u.arms[arm].Record(1, route, u.arms[arm].Leave(&r, route, class, reason, time.Millisecond), reason, time.Millisecond)
}

func TestAUnitCountsOnceByAMetric(t *testing.T) {
	t.Parallel()
	u := newUnits(coinOf(500_000, 0))
	for range 5 {
		u.request(2, "acme", "a", 5, 0)
		u.request(2, "acme", "b", 5, 0)
		u.request(2, "acme", "b", 2, 0)
		u.request(2, "acme", "", 4, 1)
		u.request(1, "other", "a", 2, 0)
	}
	want := map[string]UnitCount{
		"2 requests": {1, 1}, "2 requests a": {1, 1}, "2 requests b": {1, 1},
		"2 upstream_5xx": {1, 1}, "2 upstream_5xx a": {1, 1}, "2 upstream_5xx b": {1, 1},
		"2 gateway.no_route": {1, 1},
		"1 requests":         {1, 1}, "1 requests a": {1, 1},
	}
	if got := unitsOf(u.Counters); !maps.Equal(got, want) {
		t.Errorf("counted\n%v, want\n%v", got, want)
	}
	requests := uint64(0)
	u.Each(func(key CellKey, n uint64, _ *[Buckets]uint64) {
		requests += n
		if key.RolloutID != "" || key.SharePPM != 0 {
			t.Errorf("requests of units are evidence: %+v", key)
		}
	})
	if requests != 25 {
		t.Errorf("%d requests were counted, want 25", requests)
	}
}

func TestWhatIsApartIsNotInTheTotal(t *testing.T) {
	t.Parallel()
	config := coinOf(500_000, 0)
	config.Apart = func(route, metric string) bool {
		return route == "new" && metric == MetricRequests || route == "a" && metric == "gateway.no_route"
	}
	u := newUnits(config)
	u.request(2, "acme", "new", 5, 0)
	u.request(2, "acme", "a", 4, 1)
	want := map[string]UnitCount{
		"2 requests new": {1, 1}, "2 upstream_5xx new": {1, 1}, "2 requests a": {1, 1}, "2 gateway.no_route a": {1, 1}, "2 requests": {1, 1},
	}
	if got := unitsOf(u.Counters); !maps.Equal(got, want) {
		t.Errorf("counted\n%v, want\n%v", got, want)
	}
}

func TestAUnitIsReportedByOneAgentAndOnlyIfItsCoinIsFresh(t *testing.T) {
	t.Parallel()
	const agents, n, share, settled = 3, 3_000, 500_000, 200_000
	owned, all := uint64(0), uint64(0)
	for agent := range uint32(agents) {
		config := coinOf(share, settled)
		config.Counter, config.Counters = agent, agents
		u := newUnits(config)
		for i := range n {
			u.request(2, strconv.Itoa(i), "", 5, 0)
		}
		count := unitsOf(u.Counters)["2 upstream_5xx"]
		owned, all = owned+count.Owned, count.All
	}
	if owned != all || !within(int(all), n, 0.8) {
		t.Errorf("%d agents report %d units of %d that are fresh, of %d", agents, owned, all, n)
	}
	config := coinOf(share, 0)
	config.Counters = 0
	u := newUnits(config)
	u.request(2, "acme", "", 5, 0)
	if count := unitsOf(u.Counters)["2 upstream_5xx"]; count != (UnitCount{1, 0}) {
		t.Errorf("an agent that reports none has counted %v", count)
	}
}

// A client that makes up names costs no more memory than others, and cannot hide other clients.
func TestMillionsOfUnitsAreASample(t *testing.T) {
	t.Parallel()
	const n, share = 100_000, 100_000
	u := newUnits(coinOf(share, 0))
	for i := range n {
		unit := UnitOf(&secret, strconv.Itoa(i))
		arm := uint8(1)
		if unit.Below(share) {
			arm = 2
		}
		u.arms[arm].units.count(unit, arm, "", unitSeen, unitReasons+1)
	}
	counted := unitsOf(u.Counters)
	candidate, control := counted["2 gateway.no_route"].All, counted["1 gateway.no_route"].All
	marks := u.arms[1].units.marks
	if len(marks) > mostUnitMarks || u.arms[1].units.halved == 0 || u.UnitsLeftOut() == 0 {
		t.Errorf("%d marks, halved %d times, %d left out", len(marks), u.arms[1].units.halved, u.UnitsLeftOut())
	}
	if candidate+control < mostUnitMarks/2 || !within(int(candidate), int(candidate+control), 0.1) {
		t.Errorf("%d units of the candidate and %d of the control were counted", candidate, control)
	}
	before := maps.Clone(counted)
	for i := range n { // all of them again: none counts twice
		unit := UnitOf(&secret, strconv.Itoa(i))
		u.arms[1].units.count(unit, 1+b2u(unit.Below(share)), "", unitSeen, unitReasons+1)
	}
	if got := unitsOf(u.Counters); !maps.Equal(got, before) {
		t.Errorf("counted again: %v, was %v", got, before)
	}
}

func b2u(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}

func TestWhatWasCountedOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	u := newUnits(coinOf(500_000, 0))
	u.request(2, "acme", "a", 5, 0)
	memory := u.RememberUnits()
	u.FreezeUnits()
	u.request(2, "late", "a", 5, 0)
	if got := unitsOf(u.Counters)["2 upstream_5xx"].All; got != 1 {
		t.Errorf("a process that gives way counts on: %d", got)
	}
	next := NewCounters([]string{"", "no_route"})
	next.RecallUnits(memory)
	again := &units{Counters: next}
	again.arms[2] = next.OpenSticky(ArmKey{Revision: 2, Arm: 2}, 10, next.OpenUnits(coinOf(500_000, 0)))
	again.request(2, "acme", "a", 5, 0)
	again.request(2, "new", "a", 5, 0)
	if got := unitsOf(next)["2 upstream_5xx a"].All; got != 1 {
		t.Errorf("the next process counts %d units, want the new one alone", got)
	}
	if next.OpenUnits(coinOf(500_000, 0)) != next.UnitsOf("7") {
		t.Error("the same coin counts anew")
	}
	other := next.OpenUnits(coinOf(600_000, 500_000))
	if other != next.UnitsOf("7") || len(other.marks) != 0 {
		t.Error("another coin does not begin anew")
	}
}

// A unit whose requests hang is slow before they end.
func TestAUnitIsSlowWhenItsRequestIs(t *testing.T) {
	t.Parallel()
	c, _, _, _, now := seasoned(t)
	b := NewBaseline(c)
	u := c.OpenUnits(coinOf(500_000, 0))
	arm := c.OpenSticky(ArmKey{Revision: 2, Arm: 2}, 10, u)
	b.Update(now)
	now = now.Add(warmUp)
	b.Update(now)
	var one, two Running
	for _, r := range []*Running{&one, &two} {
		arm.Throw(r, UnitOf(&secret, "acme"))
		arm.Enter(r, 1, "orders", now)
	}
	c.Sweep(b.Lines(), now.Add(time.Minute))
	slow := unitsOf(c)
	if slow["2 slower.p50"].All != 1 || slow["2 slower.p95 orders"].All != 1 || slow["2 requests"].All != 1 {
		t.Errorf("while they hang: %v", slow)
	}
	arm.Leave(&one, "orders", 2, 0, time.Minute)
	arm.Leave(&two, "orders", 2, 0, time.Minute)
	if got := unitsOf(c); !maps.Equal(got, slow) {
		t.Errorf("at their end: %v, were %v", got, slow)
	}
}

func TestUnitsAreCountedWhileTheyAreRead(t *testing.T) {
	t.Parallel()
	u := newUnits(coinOf(500_000, 0))
	var clients sync.WaitGroup
	for client := range 4 {
		clients.Go(func() {
			for i := range 2_000 {
				u.request(1+client%2, strconv.Itoa(i), "a", 5, 0)
			}
		})
	}
	for range 50 {
		unitsOf(u.Counters)
		u.RememberUnits()
		u.Sweep(new(Lines), time.Now())
	}
	clients.Wait()
	counts := unitsOf(u.Counters)
	if sum := counts["1 upstream_5xx a"].All + counts["2 upstream_5xx a"].All; sum != 2_000 {
		t.Errorf("%d units were counted, want 2000", sum)
	}
}

func BenchmarkUnit(b *testing.B) {
	b.Run("hash", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_ = UnitOf(&secret, "9f86d081-884c-7d65-9a2f-eaa0c55ad015")
		}
	})
	b.Run("count", func(b *testing.B) {
		u := newUnits(coinOf(500_000, 0))
		var r Running
		unit := UnitOf(&secret, "acme")
		b.ReportAllocs()
		for b.Loop() {
			u.arms[2].Throw(&r, unit)
			u.arms[2].Enter(&r, 1, "orders", time.Time{})
			_ = u.arms[2].Leave(&r, "orders", 2, 0, time.Millisecond)
		}
	})
}
