package telemetry

import (
	"math"
	"time"

	"tidegate.dev/controlplane/store"
)

// firstBound is the upper bound of bucket 0; each following one is a quarter of an octave wider.
const firstBound = 50 * time.Microsecond

// upperBound is the longest duration that bucket i counts; the last bucket has none, and its lower bound is given.
func upperBound(i int) time.Duration {
	return time.Duration(float64(firstBound) * math.Exp2(float64(min(i, store.HistogramBuckets-2))/4))
}

// quantile is the duration that a share q (0 to 1) of the requests did not exceed, by linear interpolation within the bucket
// that holds it. Without requests it is 0.
func quantile(h *store.Histogram, q float64) time.Duration {
	var total int64
	for _, count := range h {
		total += count
	}
	if total == 0 {
		return 0
	}
	rank, below := q*float64(total), int64(0)
	for i, count := range h {
		if count == 0 || float64(below+count) < rank {
			below += count
			continue
		}
		lower := time.Duration(0)
		if i > 0 {
			lower = upperBound(i - 1)
		}
		inside := (rank - float64(below)) / float64(count)
		return lower + time.Duration(inside*float64(upperBound(i)-lower))
	}
	return upperBound(store.HistogramBuckets - 1)
}
