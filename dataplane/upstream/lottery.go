package upstream

import "math/rand/v2"

// lottery draws a target with a probability proportional to its weight, in constant time: by the alias method (Walker 1974, in
// the form of Vose 1991).
type lottery struct {
	members []*member
	columns []column
}

// column is drawn with the same probability as any other. It stands for its own target below the limit, else for the alias.
type column struct {
	limit uint32
	alias uint32
}

func newLottery(members []*member) *lottery {
	l := &lottery{members: members, columns: make([]column, len(members))}
	total := 0.0
	for _, m := range members {
		total += float64(m.weight)
	}
	shares := make([]float64, len(members))
	var small, large []int
	for i, m := range members {
		shares[i] = float64(m.weight) * float64(len(members)) / total
		if shares[i] < 1 {
			small = append(small, i)
		} else {
			large = append(large, i)
		}
	}
	const whole = 1<<32 - 1
	for len(small) > 0 && len(large) > 0 {
		under, over := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		l.columns[under] = column{uint32(shares[under] * whole), uint32(over)} //nolint:gosec // below whole
		if shares[over] -= 1 - shares[under]; shares[over] < 1 {
			large = large[:len(large)-1]
			small = append(small, over)
		}
	}
	for _, i := range append(small, large...) {
		l.columns[i] = column{whole, uint32(i)} //nolint:gosec // an index
	}
	return l
}

func (l *lottery) draw() int {
	random := rand.Uint64()
	i := int((random >> 32) * uint64(len(l.columns)) >> 32)    //nolint:gosec // below len
	if column := l.columns[i]; uint32(random) > column.limit { //nolint:gosec // the lower half
		return int(column.alias)
	}
	return i
}

// drawsAtMost is how often a usable target is drawn for, before each is looked at.
const drawsAtMost = 8

func (l *lottery) pick(c choice) *member {
	for range drawsAtMost {
		if m := l.members[l.draw()]; c.admits(m) {
			return m
		}
	}
	return nil
}

// randomOf is a number that looks random: made of the hash if there is one, so that it is the same for the same hash.
func randomOf(hash uint64) uint64 {
	if hash == 0 {
		return rand.Uint64()
	}
	return mix(hash)
}

// mix is the finalizer of SplitMix64 (Steele, Lea, Flood, 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
