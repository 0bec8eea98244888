package telemetry_test

import (
	"fmt"
	"testing"
	"time"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/telemetry"
)

func ordinary(route string, requests uint64) *agentv1.Cell {
	return &agentv1.Cell{
		Revision: 1, Arm: stable, Route: route, StatusClass: 2, Requests: requests, Buckets: []uint32{20, 3}, BucketCounts: []uint64{requests - 1, 1},
	}
}

// What an agent counted is kept by minutes, through whichever replica it came, and each report in one minute alone.
func TestAgentsAreKeptApartByMinutes(t *testing.T) {
	t.Parallel()
	i := newIntake(t)
	one, two := i.agent("one"), i.agent("two")
	first, second := i.replica(), i.replica()
	a, b := i.connect(first, one), i.connect(second, one)
	a.send("boot", 1, ordinary("orders", 10))
	a.stored("boot", 1)
	i.execute("UPDATE telemetry_cursors SET window_at = window_at - interval '2 minutes'") // time passes
	b.send("boot", 1, ordinary("orders", 10))                                              // again
	b.send("boot", 2, ordinary("orders", 20), ordinary("users", 5))
	b.stored("boot", 2)
	i.execute("UPDATE telemetry_cursors SET window_at = window_at - interval '1 minute'")
	a.send("boot", 3, ordinary("users", 7))
	a.stored("boot", 3)
	other := i.connect(first, two)
	other.send("boot", 1, ordinary("orders", 100))
	other.stored("boot", 1)

	for name, check := range map[string]struct {
		query telemetry.Query
		want  int64
	}{
		"all":                {telemetry.Query{}, 142},
		"one agent":          {telemetry.Query{Agent: one}, 42},
		"one agent's route":  {telemetry.Query{Agent: one, Route: "users"}, 12},
		"the other":          {telemetry.Query{Agent: two}, 100},
		"no agent":           {telemetry.Query{Agent: "nobody"}, 0},
		"its other revision": {telemetry.Query{Agent: one, Revision: 2}, 0},
	} {
		if got := requests(i.query(check.query)); got != check.want {
			t.Errorf("%s: %d requests, want %d", name, got, check.want)
		}
	}
	apart := i.query(telemetry.Query{GroupBy: []string{"agent"}, Window: 10 * time.Minute, Step: 5 * time.Second})
	if len(apart) != 2 || requests(apart) != 142 {
		t.Fatalf("by agent: %+v", apart)
	}
	for _, series := range apart {
		points := map[string]int{one: 3, two: 1}[series.Labels["agent"]]
		if len(series.Points) != points {
			t.Errorf("agent %s has %d points, want %d: steps are minutes", series.Labels["agent"], len(series.Points), points)
		}
		if p50 := series.Points[0].P50; p50 < time.Millisecond || p50 > 2*time.Millisecond {
			t.Errorf("p50 is %v", p50)
		}
	}
}

func TestAnAgentOfManyRoutesIsKeptWithinABound(t *testing.T) {
	t.Parallel()
	i := newIntake(t)
	agent := i.agent("one")
	reports := i.connect(i.replica(), agent)
	var cells []*agentv1.Cell
	for n := range 1000 {
		cells = append(cells, ordinary(fmt.Sprint("route-", n), 2))
	}
	reports.send("boot", 1, cells...)
	reports.stored("boot", 1)
	apart := i.query(telemetry.Query{Agent: agent, GroupBy: []string{"route"}})
	if len(apart) > 300 || requests(apart) != 2000 {
		t.Errorf("%d routes are kept apart, with %d requests", len(apart), requests(apart))
	}
	if all := i.query(telemetry.Query{GroupBy: []string{"route"}}); len(all) != 1000 {
		t.Errorf("of all agents together %d routes are kept apart", len(all))
	}
}

func TestTrafficIsAskedByHours(t *testing.T) {
	t.Parallel()
	i := newIntake(t)
	reports := i.connect(i.replica(), i.agent("one"))
	reports.send("boot", 1, ordinary("orders", 10), ordinary("users", 5), ordinary("", 3))
	reports.stored("boot", 1)
	i.execute("UPDATE telemetry_traffic SET at = at - interval '20 hours'")
	reports.send("boot", 2, ordinary("orders", 2))
	reports.stored("boot", 2)
	i.execute("INSERT INTO telemetry_traffic VALUES ($1, 'orders', now() - interval '2 days', 1000), ($1, '', now() - interval '2 days', 1000)", i.fleet.ID)
	var of map[string]int64
	var sum int64
	err := i.store.View(t.Context(), func(tx *store.Tx) (err error) {
		of, sum, err = tx.TrafficOf(t.Context(), i.fleet.ID, []string{"orders", "nothing"}, 24*time.Hour)
		return err
	})
	if err != nil || sum != 20 || of["orders"] != 12 || len(of) != 1 {
		t.Errorf("%v of %d, %v", of, sum, err)
	}
}
