package upstream

import (
	"sync/atomic"
	"time"
)

// rotation is weighted round robin: the targets in the order of smooth weighted round robin (as nginx has it), written down
// once, and a position that moves by one.
type rotation struct {
	order    []*Target
	position atomic.Uint64
}

// longestRotation bounds the order; weights are scaled down to fit.
const longestRotation = 8192

func newRotation(targets []*Target) *rotation {
	weights := scaledWeights(targets)
	total := int64(0)
	for _, w := range weights {
		total += w
	}
	r := &rotation{order: make([]*Target, 0, total)}
	current := make([]int64, len(targets))
	for range total {
		best := 0
		for i := range targets {
			current[i] += weights[i]
			if current[i] > current[best] {
				best = i
			}
		}
		current[best] -= total
		r.order = append(r.order, targets[best])
	}
	return r
}

func scaledWeights(targets []*Target) []int64 {
	divisor, total := int64(0), int64(0)
	for _, t := range targets {
		divisor = greatestDivisor(int64(t.weight), divisor)
		total += int64(t.weight)
	}
	total /= divisor
	weights := make([]int64, len(targets))
	for i, t := range targets {
		weights[i] = int64(t.weight) / divisor
		if total > longestRotation {
			weights[i] = max(1, weights[i]*longestRotation/total)
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

// pick returns the next target that may be chosen and is not avoid. If none may be, it returns the next one all the same:
// serving badly is better than not serving.
func (r *rotation) pick(window Window, now time.Time, avoid *Target) *Target {
	position := r.position.Add(1) - 1
	size := uint64(len(r.order))
	first := r.order[position%size]
	for i := range size {
		t := r.order[(position+i)%size]
		if t != avoid && t.Available(window, now) {
			return t
		}
	}
	return first
}
