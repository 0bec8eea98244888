package fleet

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestWhenACoinIsThrownAnew(t *testing.T) {
	t.Parallel()
	of := func(percents ...float64) *configv1.Strategy {
		strategy := &configv1.Strategy{}
		for _, percent := range percents {
			strategy.Steps = append(strategy.Steps, &configv1.Step{AgentsPercent: 100, TrafficPercent: percent})
		}
		return strategy
	}
	shadowed := of(10, 50, 100)
	shadowed.Shadow = &configv1.Shadow{}
	none := of(10, 100, 100)
	none.HoldbackPercent = proto.Float64(0.5)
	for name, each := range map[string]struct {
		strategy      *configv1.Strategy
		share         int32
		settled, step int32
	}{
		"first":                     {of(1, 10, 50, 100), 10_000, 0, 0},
		"second":                    {of(1, 10, 50, 100), 100_000, 10_000, 1},
		"the same share is one":     {of(50, 50, 50, 100), 500_000, 0, 0},
		"after a shadow step":       {shadowed, 500_000, 100_000, 2},
		"first after a shadow step": {shadowed, 100_000, 0, 1},
		"all but the holdback":      {of(10, 100, 100), 950_000, 100_000, 1},
		"another holdback":          {none, 995_000, 100_000, 1},
	} {
		if settled, step := thrownSince(each.strategy, each.share); settled != each.settled || step != each.step {
			t.Errorf("%s: thrown in step %d after %d ppm, want %d and %d", name, step, settled, each.step, each.settled)
		}
	}
}

func TestUnitsAreSharedOutAmongThoseWhoBegan(t *testing.T) {
	t.Parallel()
	strategy, err := proto.Marshal(&configv1.Strategy{
		Sticky: &configv1.Stickiness{By: &configv1.Stickiness_Header{Header: "x-tenant"}},
		Steps: []*configv1.Step{
			{Agents: 1, TrafficPercent: 10},
			{AgentsPercent: 50, TrafficPercent: 50},
			{AgentsPercent: 100, TrafficPercent: 50},
			{AgentsPercent: 100, TrafficPercent: 100},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	rollout := &store.DeliveredRollout{ID: 3, SharePPM: 500_000, Strategy: strategy, Joined: map[string]int32{"b": 0, "a": 1, "late": 2}}
	secret := func(fleetID, rolloutID int64) ([]byte, error) { return []byte{byte(fleetID), byte(rolloutID)}, nil }
	sticky, err := stickyOf(9, rollout, secret)
	if err != nil {
		t.Fatal(err)
	}
	for agent, want := range map[string][2]uint32{"a": {0, 2}, "b": {1, 2}, "late": {0, 0}} {
		coin := sticky.of(agent)
		if coin.GetCounter() != want[0] || coin.GetCounters() != want[1] || coin.GetSettledPpm() != 100_000 ||
			coin.GetBy().GetHeader() != "x-tenant" || !bytes.Equal(coin.GetSecret(), []byte{9, 3}) {
			t.Errorf("%s throws %v", agent, coin)
		}
	}
	for name, share := range map[string]int32{"in shadow": 0, "all traffic": 1_000_000} {
		rollout.SharePPM = share
		if sticky, err := stickyOf(9, rollout, secret); err != nil || sticky.of("a") != nil {
			t.Errorf("%s: %v, %v", name, sticky, err)
		}
	}
}
