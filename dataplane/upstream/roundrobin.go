package upstream

import "sync/atomic"

// rotation is weighted round robin: the targets in the order of smooth weighted round robin (as nginx has it), written down
// once, and a position that moves by one.
type rotation struct {
	order    []*member
	position atomic.Uint64
}

// longestRotation bounds the order; weights are scaled down to fit.
const longestRotation = 8192

func newRotation(members []*member) *rotation {
	weights := scaledWeights(members, longestRotation)
	total := int64(0)
	for _, w := range weights {
		total += w
	}
	r := &rotation{order: make([]*member, 0, total)}
	current := make([]int64, len(members))
	for range total {
		best := 0
		for i := range members {
			current[i] += weights[i]
			if current[i] > current[best] {
				best = i
			}
		}
		current[best] -= total
		r.order = append(r.order, members[best])
	}
	return r
}

// scaledWeights are weights in the same proportions, as small as they can be, and with a sum of about most if they would have a
// larger one.
func scaledWeights(members []*member, most int64) []int64 {
	divisor, total := int64(0), int64(0)
	for _, m := range members {
		divisor = greatestDivisor(int64(m.weight), divisor)
		total += int64(m.weight)
	}
	total /= divisor
	weights := make([]int64, len(members))
	for i, m := range members {
		weights[i] = int64(m.weight) / divisor
		if total > most {
			weights[i] = max(1, weights[i]*most/total)
		}
	}
	return weights
}

func greatestDivisor(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// longestWalk is how far along the order a usable target is looked for; it holds some targets many times.
const longestWalk = 32

// pick returns the next target that is admitted. The turns of one that is left out are shared by all others, for the position
// goes on behind whoever took one.
func (r *rotation) pick(c choice) *member {
	size := uint64(len(r.order))
	position := r.position.Add(1) - 1
	leftOut := uint64(0)
	for i := range min(size, longestWalk) {
		m := r.order[(position+i)%size]
		if c.admits(m) {
			if leftOut > 0 {
				r.position.Add(leftOut)
			}
			return m
		}
		if !m.looksUsable(c.window, c.now) {
			leftOut++
		}
	}
	return nil
}
