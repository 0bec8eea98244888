package upstream

import (
	"cmp"
	"slices"
	"sort"
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// ring is consistent hashing (Karger et al., 1997): each target has points on a circle, as many as its weight says, and a
// request goes to the first target behind its own point.
type ring struct {
	points  []point
	lottery *lottery
}

type point struct {
	hash   uint64
	member *member
}

const (
	// pointsOfATarget is how many points a target of average weight has: the shares then differ by about a tenth.
	pointsOfATarget = 160
	// mostPoints bounds the circle.
	mostPoints = 1 << 18
)

func newRing(members []*member) *ring {
	total := uint64(0)
	for _, m := range members {
		total += uint64(m.weight)
	}
	size := min(uint64(len(members))*pointsOfATarget, mostPoints)
	r := &ring{lottery: newLottery(members), points: make([]point, 0, size)}
	for _, m := range members {
		name := m.target.key.address() + "/"
		for i := range max(1, (uint64(m.weight)*size+total/2)/total) {
			r.points = append(r.points, point{xxhash.Sum64String(name + strconv.FormatUint(i, 10)), m})
		}
	}
	slices.SortFunc(r.points, func(a, b point) int {
		if a.hash == b.hash {
			return cmp.Compare(a.member.target.key.address(), b.member.target.key.address())
		}
		return cmp.Compare(a.hash, b.hash)
	})
	return r
}

// pick goes on along the circle past targets that are not admitted, so that all others keep theirs.
func (r *ring) pick(c choice) *member {
	if c.hash == 0 {
		return r.lottery.pick(c)
	}
	from := sort.Search(len(r.points), func(i int) bool { return r.points[i].hash >= c.hash })
	var refused *member
	for i := range len(r.points) {
		m := r.points[(from+i)%len(r.points)].member
		if m == refused {
			continue
		}
		if c.admits(m) {
			return m
		}
		refused = m
	}
	return nil
}
