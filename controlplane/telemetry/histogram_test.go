package telemetry

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"tidegate.dev/controlplane/store"
)

func TestQuantilesLieWithinABucketOfTheTruth(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var histogram store.Histogram
	durations := make([]time.Duration, 20_000)
	for i := range durations {
		durations[i] = time.Duration(float64(time.Millisecond) * math.Exp(2*random.NormFloat64()))
		bucket := 0
		for bucket < store.HistogramBuckets-1 && durations[i] > upperBound(bucket) {
			bucket++
		}
		histogram[bucket]++
	}
	slices.Sort(durations)
	for _, q := range []float64{0.2, 0.5, 0.9, 0.95, 0.99, 0.999} {
		truth := durations[int(q*float64(len(durations)))]
		if truth < firstBound {
			t.Fatalf("q %v is %v, below what the histogram tells apart", q, truth)
		}
		if ratio := float64(quantile(&histogram, q)) / float64(truth); ratio < 0.84 || ratio > 1.19 {
			t.Errorf("q %v is %v, in truth %v", q, quantile(&histogram, q), truth)
		}
	}
}

func TestQuantilesAtTheEdges(t *testing.T) {
	t.Parallel()
	if got := quantile(&store.Histogram{}, 0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
	if got := quantile(&store.Histogram{0: 4}, 0.5); got != 25*time.Microsecond {
		t.Errorf("in the first bucket: %v", got)
	}
	last := store.Histogram{store.HistogramBuckets - 1: 1}
	if got := quantile(&last, 0.99); got != upperBound(store.HistogramBuckets-2) {
		t.Errorf("in the last bucket: %v", got)
	}
}
