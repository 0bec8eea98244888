package proxy

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// sticky is a proxy whose candidate says so, and the share of it.
type sticky struct {
	*rig
	stable, candidate *snapshot.Snapshot
	by                snapshot.Stickiness
}

func newSticky(t *testing.T, by snapshot.Stickiness, more resources) *sticky {
	t.Helper()
	named := func(name string) resources {
		up := server(t, func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Arm", name) })
		all := simple(up.URL)
		for path, resource := range more {
			all[path] = resource
		}
		return all
	}
	s := &sticky{rig: newRig(t, nil), by: by}
	s.by.Secret = [32]byte{7}
	s.stable = s.compile(named("stable"), nil)
	s.candidate = s.compile(named("candidate"), s.stable)
	t.Cleanup(func() {
		s.proxy.Install(snapshot.Installation{})
		s.stable.Release()
		s.candidate.Release()
	})
	return s
}

// share sets the dial.
func (s *sticky) share(ppm uint32) {
	s.stable.Retain()
	s.candidate.Retain()
	s.counters.OpenUnits(telemetry.UnitsConfig{UnitCoin: telemetry.UnitCoin{RolloutID: "7", SharePPM: ppm}, Counters: 1})
	s.proxy.Install(snapshot.Installation{Stable: s.stable, Candidate: s.candidate, SharePPM: ppm, RolloutID: "7", Sticky: s.by})
}

func (s *sticky) arm(headers ...string) string { return s.get("/x", headers...).Header.Get("X-Arm") }

// units are how many units were seen, by arm.
func (s *sticky) units() (stable, candidate uint64) {
	s.counters.EachUnit(func(key telemetry.UnitKey, count telemetry.UnitCount) {
		switch {
		case key.Metric != telemetry.MetricRequests || key.Route != "":
		case key.Arm == stableArm:
			stable += count.All
		default:
			candidate += count.All
		}
	})
	return stable, candidate
}

func TestAHeaderStaysOnItsArmAndKeepsIt(t *testing.T) {
	t.Parallel()
	s := newSticky(t, snapshot.Stickiness{By: snapshot.StickyHeader, Name: "X-Tenant"}, nil)
	const tenants = 300
	had := map[int]bool{}
	for _, share := range []uint32{200_000, 600_000} {
		s.share(share)
		n := 0
		for i := range tenants {
			first := s.arm("X-Tenant", fmt.Sprint(i))
			if again := s.arm("x-tenant", fmt.Sprint(i)); again != first {
				t.Fatalf("at %d ppm tenant %d is answered by %s and by %s", share, i, first, again)
			}
			if first == "candidate" {
				n++
			} else if had[i] {
				t.Errorf("tenant %d lost the candidate", i)
			}
			had[i] = first == "candidate"
		}
		p := float64(share) / certain
		if d := math.Abs(float64(n) - tenants*p); d > 5*math.Sqrt(tenants*p*(1-p)) {
			t.Errorf("at %d ppm %d of %d tenants have the candidate", share, n, tenants)
		}
		if share == 200_000 {
			eventually(t, "each tenant is counted once", func() bool {
				stable, candidate := s.units()
				return stable == tenants-uint64(n) && candidate == uint64(n)
			})
		}
	}
	if n := s.counted(func(key telemetry.CellKey) bool { return key.RolloutID != "" }); n != 0 {
		t.Errorf("%d requests of units count as requests too", n)
	}
}

// What brings no unit, or one that is too long, has a coin of its own, and counts as it always did.
func TestWithoutAUnitEachRequestHasItsOwnCoin(t *testing.T) {
	t.Parallel()
	s := newSticky(t, snapshot.Stickiness{By: snapshot.StickyHeader, Name: "X-Tenant"}, nil)
	s.share(500_000)
	const requests = 100
	for name, headers := range map[string][]string{
		"none": nil, "empty": {"X-Tenant", ""}, "too long": {"X-Tenant", strings.Repeat("x", telemetry.LongestUnit+1)},
	} {
		seen := map[string]int{}
		for range requests {
			seen[s.arm(headers...)]++
		}
		if seen["stable"] < requests/5 || seen["candidate"] < requests/5 {
			t.Errorf("%s: the arms are %v", name, seen)
		}
	}
	eventually(t, "all are counted as requests", func() bool {
		return s.counted(func(key telemetry.CellKey) bool { return key.RolloutID == "7" && key.SharePPM == 500_000 }) == 3*requests
	})
	if stable, candidate := s.units(); stable+candidate != 0 {
		t.Errorf("%d units were counted", stable+candidate)
	}
}

func TestAConsumerStaysOnItsArmWithAllOfItsKeys(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]snapshot.Stickiness{
		"default headers": {By: snapshot.StickyConsumer}, "a header of its own": {By: snapshot.StickyConsumer, Name: "X-Secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			auth := &configv1.Plugin{Type: "key-auth"}
			if by.Name != "" {
				auth.Config = settings(t, map[string]any{"headers": []any{by.Name}})
			}
			s := newSticky(t, by, resources{"plugins/auth": auth})
			const consumers = 40
			s.share(500_000)
			send := func(key string) []string {
				if by.Name != "" {
					return []string{by.Name, key}
				}
				return []string{"Authorization", "Bearer " + key}
			}
			had := 0
			for i := range consumers {
				consumer := fmt.Sprintf("c%d", i)
				s.apply(consumerEntry(consumer, ""))
				arms := map[string]bool{}
				for _, letter := range "abc" {
					key, _ := configv1.FormatAPIKey(strings.Repeat(string(letter), configv1.APIKeyRandomLength-2) + fmt.Sprintf("%02d", i))
					s.apply(keyEntry(consumer+string(letter), consumer, key))
					arms[s.arm(send(key)...)] = true
				}
				if len(arms) != 1 || arms[""] {
					t.Fatalf("the keys of one consumer are answered by %v", arms)
				}
				if arms["candidate"] {
					had++
				}
			}
			if had < 5 || had > 35 {
				t.Errorf("%d of %d consumers have the candidate", had, consumers)
			}
			eventually(t, "each consumer is counted once", func() bool {
				stable, candidate := s.units()
				return stable == consumers-uint64(had) && candidate == uint64(had)
			})
			if status := s.get("/x", send("tg_nonsense")...).StatusCode; status != http.StatusUnauthorized {
				t.Errorf("a key that is none is answered with %d", status)
			}
		})
	}
}

func TestACookieIsSetAndKeepsTheClientOnItsArm(t *testing.T) {
	t.Parallel()
	s := newSticky(t, snapshot.Stickiness{By: snapshot.StickyCookie, Name: "arm"}, nil)
	s.share(500_000)
	seen := map[string]bool{}
	for range 40 {
		first := s.get("/x")
		cookies := first.Cookies()
		if len(cookies) != 1 || cookies[0].Name != "arm" || !cookies[0].HttpOnly || cookies[0].SameSite != http.SameSiteLaxMode || cookies[0].Path != "/" {
			t.Fatalf("the cookies are %v", cookies)
		}
		arm := first.Header.Get("X-Arm")
		seen[arm] = true
		for range 3 {
			again := s.get("/x", "Cookie", "other=1; arm="+cookies[0].Value)
			if again.Header.Get("X-Arm") != arm || len(again.Cookies()) != 0 {
				t.Fatalf("with the cookie: %s after %s, and %v", again.Header.Get("X-Arm"), arm, again.Cookies())
			}
		}
	}
	if len(seen) != 2 {
		t.Errorf("only %v answered", seen)
	}
	eventually(t, "each client is counted once", func() bool {
		stable, candidate := s.units()
		return stable+candidate == 40
	})
	s.stable.Retain()
	s.proxy.Install(snapshot.Installation{Stable: s.stable})
	if cookies := s.get("/x").Cookies(); len(cookies) != 0 {
		t.Errorf("without a candidate the cookies are %v", cookies)
	}
}

// BenchmarkSticky is a whole exchange as in BenchmarkExchange, with a coin that is thrown for requests or for units.
func BenchmarkSticky(b *testing.B) {
	url := fixedUpstream(b)
	for name, by := range map[string]snapshot.Stickiness{
		"each request": {}, "header": {By: snapshot.StickyHeader, Name: "User-Agent"}, "consumer": {By: snapshot.StickyConsumer},
	} {
		b.Run(name, func(b *testing.B) {
			r := newRig(b, func(c *Config) { c.AccessLog = nil })
			stable := r.compile(simple(url), nil)
			candidate := r.compile(simple(url), stable)
			r.apply(consumerEntry("acme", ""), keyEntry("k1", "acme", goodKey))
			r.counters.OpenUnits(telemetry.UnitsConfig{UnitCoin: telemetry.UnitCoin{RolloutID: "7", SharePPM: 500_000}})
			r.proxy.Install(snapshot.Installation{Stable: stable, Candidate: candidate, SharePPM: 500_000, RolloutID: "7", Sticky: by})
			askFor(b, r.proxy.Address().String(), benchRequest)
			b.StopTimer()
			r.proxy.Install(snapshot.Installation{})
		})
	}
}
