package upstream

import (
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// maglev is consistent hashing by a table (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI
// 2016, section 3.4): each target prefers the table's places in an order of its own, and they take turns in taking the first
// that is free. The shares are as even as can be, and a lookup is one step.
type maglev struct {
	members []*member
	table   []uint16
	lottery *lottery
}

// maglevSizes are primes. The table has about 1000 places for each target as far as that goes, so that few keys move without
// need; the paper advises more than 100.
var maglevSizes = [...]uint64{4093, 16381, 65537}

func newMaglev(members []*member) *maglev {
	size := maglevSizes[len(maglevSizes)-1]
	for _, prime := range maglevSizes {
		if prime >= 1000*uint64(len(members)) {
			size = prime
			break
		}
	}
	// The same targets make the same table, in whatever order they are given.
	members = slices.SortedFunc(slices.Values(members), func(a, b *member) int {
		return strings.Compare(a.target.key.address(), b.target.key.address())
	})
	m := &maglev{members: members, table: make([]uint16, size), lottery: newLottery(members)}
	m.fill()
	return m
}

// turn is a target's way through the places that it prefers: offset, offset+skip, offset+2·skip and so on.
type turn struct {
	next, skip uint64
	// credit grows by the weight in each round; a turn costs the largest weight.
	credit uint64
}

func (m *maglev) fill() {
	size := uint64(len(m.table))
	heaviest := uint64(1)
	turns := make([]turn, len(m.members))
	for i, member := range m.members {
		hash := xxhash.Sum64String(member.target.key.address())
		turns[i] = turn{next: hash % size, skip: mix(hash)%(size-1) + 1}
		heaviest = max(heaviest, uint64(member.weight))
	}
	taken := make([]bool, size)
	for free := size; free > 0; {
		for i := range turns {
			t := &turns[i]
			if t.credit += uint64(m.members[i].weight); t.credit < heaviest {
				continue
			}
			t.credit -= heaviest
			for taken[t.next] {
				t.next = (t.next + t.skip) % size
			}
			taken[t.next] = true
			m.table[t.next] = uint16(i) //nolint:gosec // a service has at most 1024 targets, a directory fewer than 65536
			if free--; free == 0 {
				return
			}
		}
	}
}

// pick hashes again while the target is not admitted, so that those of one that is left out are spread over all others, and
// those keep theirs.
func (m *maglev) pick(c choice) *member {
	if c.hash == 0 {
		return m.lottery.pick(c)
	}
	hash := c.hash
	for range drawsAtMost {
		if member := m.members[m.table[hash%uint64(len(m.table))]]; c.admits(member) {
			return member
		}
		hash = mix(hash)
	}
	return nil
}
