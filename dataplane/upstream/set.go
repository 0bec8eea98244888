package upstream

// set is the targets of a service at one time. It never changes; discovery replaces it as a whole.
type set struct {
	// members are all targets, local those of the agent's own zone; nil if zones do not matter.
	members []member
	local   []int
	// all and near choose among all targets and among those of the own zone.
	all, near policy

	// Atomic.
	zones [Windows]zoneState
}

// member is a target as one service uses it.
type member struct {
	target *Target
	// prober is nil if nobody asks how the target is.
	prober *prober
	weight uint32
	zone   string
	// joined is when it came to targets that were there already, 0 if it was there from the beginning.
	joined int64
}

// newSet makes a set of members, which are not empty.
func newSet(members []member, c *Config, zone string) *set {
	s := &set{members: members, all: newPolicy(c.Balancing.Policy, pointers(members))}
	if !c.Balancing.ZoneAware || zone == "" {
		return s
	}
	var near []*member
	for i := range members {
		if members[i].zone == zone {
			s.local = append(s.local, i)
			near = append(near, &members[i])
		}
	}
	if len(near) > 0 && len(near) < len(members) {
		s.near = newPolicy(c.Balancing.Policy, near)
	}
	return s
}

// members are the service's targets now; none if no directory knows any.
func (s *Service) members() []member {
	if set := s.current.Load(); set != nil {
		return set.members
	}
	return nil
}

func pointers(members []member) []*member {
	out := make([]*member, len(members))
	for i := range members {
		out[i] = &members[i]
	}
	return out
}
