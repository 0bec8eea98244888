package fleet

import (
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/evidence"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// stickyCoin is a coin that is thrown for units, as all agents of a rollout throw it.
type stickyCoin struct {
	coin *agentv1.StickyCoin
	// counters are the agents among whom the units are shared out that are reported, in order.
	counters []string
}

// secretOf makes the key with which units of a rollout are hashed.
type secretOf func(fleetID, rolloutID int64) ([]byte, error)

// stickyOf returns nil if the rollout's coin is thrown for each request.
func stickyOf(fleetID int64, rollout *store.DeliveredRollout, secret secretOf) (*stickyCoin, error) {
	var strategy configv1.Strategy
	if err := proto.Unmarshal(rollout.Strategy, &strategy); err != nil {
		return nil, fmt.Errorf("reading the strategy of a rollout: %w", err)
	}
	if strategy.GetSticky() == nil || rollout.SharePPM <= 0 || rollout.SharePPM >= evidence.WholePPM {
		return nil, nil //nolint:nilnil // no stickiness is not an error
	}
	key, err := secret(fleetID, rollout.ID)
	if err != nil {
		return nil, err
	}
	settled, since := thrownSince(&strategy, rollout.SharePPM)
	s := &stickyCoin{coin: &agentv1.StickyCoin{By: strategy.GetSticky(), Secret: key, SettledPpm: uint32(settled)}}
	for agentID, step := range rollout.Joined {
		if step <= since {
			s.counters = append(s.counters, agentID)
		}
	}
	slices.Sort(s.counters)
	return s, nil
}

// thrownSince says at which share the coin was thrown before the present one, 0 if this is the first, and in which step that of
// the present share was thrown. Steps of the same share are one throw.
func thrownSince(strategy *configv1.Strategy, share int32) (settled, step int32) {
	most := float64(100 - defaultHoldbackPercent)
	if strategy.HoldbackPercent != nil {
		most = 100 - strategy.GetHoldbackPercent()
	}
	if strategy.GetShadow() != nil {
		step = 1 // the shadow step comes first
	}
	for _, one := range strategy.GetSteps() {
		ppm := int32(max(math.Round(min(one.GetTrafficPercent(), most)*evidence.WholePPM/100), 1))
		if ppm >= share {
			break
		}
		settled = max(settled, ppm)
		step++
	}
	return settled, step
}

// defaultHoldbackPercent is what stays with stable before the last step if the strategy does not say.
const defaultHoldbackPercent = 5

// of is the coin as one agent throws it; nil for none. An agent that joined after it was first thrown reports no units: others may
// have reported them.
func (s *stickyCoin) of(agentID string) *agentv1.StickyCoin {
	if s == nil {
		return nil
	}
	coin := &agentv1.StickyCoin{By: s.coin.GetBy(), Secret: s.coin.GetSecret(), SettledPpm: s.coin.GetSettledPpm()}
	if at, found := slices.BinarySearch(s.counters, agentID); found {
		coin.Counter, coin.Counters = uint32(at), uint32(len(s.counters))
	}
	return coin
}
