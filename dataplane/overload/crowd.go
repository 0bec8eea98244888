package overload

import "sync/atomic"

// Crowd bounds how many exchanges the process serves at once, whatever they wait for. Its methods may be called by several
// goroutines; a nil crowd bounds nothing.
//
// It counts nothing itself: whoever counts exchanges does so in parts, so that processors do not wait for each other. As long as
// a part is well below its share of the bound, the others need not be asked.
type Crowd struct {
	// Set once.
	most int
	// rooms are how many exchanges may run for one of a criticality to be let in, and easy how many of one part.
	rooms, easy [criticalities]int64

	// Atomic.
	refused [criticalities]atomic.Uint64
}

// easyShare is how much of its share a part may hold, in percent, without the others being asked.
const easyShare = 75

// NewCrowd makes a bound for exchanges that are counted in so many parts. 0 exchanges are not bounded.
func NewCrowd(most, parts int) *Crowd {
	if most <= 0 {
		return nil
	}
	c := &Crowd{most: most}
	for i := range criticalities {
		c.rooms[i] = int64(i.room(int32(most))) //nolint:gosec // a flag bounds it
		c.easy[i] = c.rooms[i] * easyShare / 100 / int64(parts)
	}
	return c
}

// Admit tells whether an exchange may go on that is counted already: mine is the count of its part, and all counts all parts.
func (c *Crowd) Admit(criticality Criticality, mine int64, all func() int64) bool {
	if c == nil || mine <= c.easy[criticality] {
		return true
	}
	if all() <= c.rooms[criticality] {
		return true
	}
	c.refused[criticality].Add(1)
	return false
}

// Most is the bound; 0 means none.
func (c *Crowd) Most() int {
	if c == nil {
		return 0
	}
	return c.most
}

// Refused is how many exchanges of a criticality were not let in.
func (c *Crowd) Refused(criticality Criticality) uint64 {
	if c == nil {
		return 0
	}
	return c.refused[criticality].Load()
}
