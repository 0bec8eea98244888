package upstream

import (
	"time"

	"github.com/cespare/xxhash/v2"
)

// Policy is how a target is chosen.
type Policy string

// The policies. All heed weights. Those with two choices take the better of two random targets (Mitzenmacher, "The Power of
// Two Choices in Randomized Load Balancing", 2001).
const (
	RoundRobin   Policy = "round_robin"
	Random       Policy = "random"
	LeastRequest Policy = "least_request"
	EWMA         Policy = "ewma"
	RingHash     Policy = "ring_hash"
	Maglev       Policy = "maglev"
)

// BalancingConfig says how targets are chosen.
type BalancingConfig struct {
	// Policy is RoundRobin if it is empty.
	Policy Policy
	// HashOn is what RingHash and Maglev hash; others ignore it.
	HashOn HashOn
	// ZoneAware keeps requests within the agent's zone as long as this share of its targets, in percent, is usable. 0 means 70.
	ZoneAware        bool
	MinUsablePercent int
}

// HashKind is a part of a request.
type HashKind uint8

// The parts.
const (
	HashNothing HashKind = iota
	HashHeader
	HashCookie
	HashAddress
	HashConsumer
)

// HashOn is the part of a request that decides its target. Name is that of a header, in canonical form, or of a cookie.
type HashOn struct {
	Kind HashKind
	Name string
}

const defaultMinUsablePercent = 70

func (c BalancingConfig) withDefaults() BalancingConfig {
	if c.Policy == "" {
		c.Policy = RoundRobin
	}
	if c.MinUsablePercent == 0 {
		c.MinUsablePercent = defaultMinUsablePercent
	}
	return c
}

// Hash makes a choice's Hash of the part of the request; it is the same on every agent. An empty part has none.
func Hash(part string) uint64 {
	if part == "" {
		return 0
	}
	return max(1, xxhash.Sum64String(part))
}

// HashBytes does the same of bytes.
func HashBytes(part []byte) uint64 { return max(1, xxhash.Sum64(part)) }

// HashOn is what a choice's Hash is made of.
func (s *Service) HashOn() HashOn { return s.config.Balancing.HashOn }

// Choice is what matters for the choice of a target.
type Choice struct {
	Window Window
	Now    time.Time
	// Avoid is a target that has just failed; nil for none.
	Avoid *Target
	// Hash stands for the part of the request that [Service.HashOn] names; 0 if it has none.
	Hash uint64
}

// choice is a Choice of one service.
type choice struct {
	service *Service
	avoid   *Target
	hash    uint64
	now     int64
	window  Window
}

func (c choice) admits(m *member) bool {
	return m.target != c.avoid && c.service.usable(m, c.window, c.now)
}

// policy chooses among targets. pick returns nil if it finds none that is admitted; it need not look at each.
type policy interface {
	pick(c choice) *member
}

func newPolicy(name Policy, members []*member) policy {
	switch name {
	case Random:
		return newLottery(members)
	case LeastRequest:
		return &twoChoices{lottery: newLottery(members), cost: runningCost}
	case EWMA:
		return &twoChoices{lottery: newLottery(members), cost: waitCost}
	case RingHash:
		return newRing(members)
	case Maglev:
		return newMaglev(members)
	case RoundRobin:
	}
	return newRotation(members)
}

// Pick chooses the target of a request, past those that failed lately and past the one to avoid. If none is usable it makes do
// with one that is not: serving badly is better than not serving. It returns nil if no target is known yet. Every Pick is
// followed by one [Service.Report] and, when the exchange with the target is over, one [Target.Done].
func (s *Service) Pick(c Choice) *Target {
	now := s.registry.clock.at(c.Now)
	t := s.choose(choice{s, c.Avoid, c.Hash, now, c.Window})
	if t != nil {
		t.windows[c.Window].load.begin(now)
	}
	return t
}

// Done says that an exchange with the target is over.
func (t *Target) Done(window Window) { t.windows[window].load.end() }

func (s *Service) choose(c choice) *Target {
	set := s.current.Load()
	switch {
	case set == nil:
		return nil
	case len(set.members) == 1:
		return set.members[0].target
	case set.near != nil && set.zones[c.window].enough(s, set, c):
		if m := set.near.pick(c); m != nil {
			return m.target
		}
	}
	if m := set.all.pick(c); m != nil {
		return m.target
	}
	return set.anyOf(c)
}

// anyOf looks at each target, beginning anywhere, and makes do with one that is not usable.
func (s *set) anyOf(c choice) *Target {
	size := len(s.members)
	from := int(randomOf(c.hash) % uint64(size))
	for i := range size {
		if m := &s.members[(from+i)%size]; c.admits(m) {
			return m.target
		}
	}
	for i := range size {
		if m := &s.members[(from+i)%size]; m.target != c.avoid {
			return m.target
		}
	}
	return s.members[from].target
}
