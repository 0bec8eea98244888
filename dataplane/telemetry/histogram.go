package telemetry

import (
	"math"
	"math/bits"
	"time"
)

// Buckets is the number of buckets of a histogram of durations. Bucket i counts durations of at most 50 µs × 2^(i/4) that no
// lower one counts; the last has no bound. So neighbours differ by 19 %, and the range ends at about 12 minutes.
const Buckets = 96

const firstBound = 50 * time.Microsecond

// bounds are the buckets' upper ends in nanoseconds.
var bounds = func() (out [Buckets]int64) {
	for i := range out {
		out[i] = int64(float64(firstBound) * math.Pow(2, float64(i)/4))
	}
	out[Buckets-1] = math.MaxInt64
	return out
}()

// Bucket is the index of the bucket that counts d.
func Bucket(d time.Duration) int {
	if d <= firstBound {
		return 0
	}
	// The octave is known from the number's length; within it there are four bounds.
	octave := bits.Len64(uint64(d)/uint64(firstBound)) - 1
	i := min(4*octave, Buckets-1)
	for int64(d) > bounds[i] {
		i++
	}
	return i
}

// Bound is the upper end of bucket i; the last has none, which is the longest duration there is.
func Bound(i int) time.Duration { return time.Duration(bounds[i]) }
