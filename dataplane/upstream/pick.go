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

// longestWalk is how far along the order a usable target is looked for; it holds some targets many times.
const longestWalk = 32

// pickInTurn returns the next target that is usable and is not avoid. If none is, it returns the next one all the same: serving
// badly is better than not serving.
func (s *Service) pickInTurn(window Window, now time.Time, avoid *Target) *Target {
	r := s.rotation
	position := r.position.Add(1) - 1
	size := uint64(len(r.order))
	for i := range min(size, longestWalk) {
		if t := r.order[(position+i)%size]; t != avoid && s.usable(t, window, now) {
			return t
		}
	}
	return s.pickAny(window, now, avoid, position)
}

// pickAny looks at each target, and makes do with one that is not usable.
func (s *Service) pickAny(window Window, now time.Time, avoid *Target, position uint64) *Target {
	size := uint64(len(s.targets))
	for i := range size {
		if t := s.targets[(position+i)%size]; t != avoid && s.usable(t, window, now) {
			return t
		}
	}
	if t := s.targets[position%size]; t != avoid {
		return t
	}
	return s.targets[(position+1)%size]
}
