package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// timings are durations of the same thing.
type timings struct{ all []time.Duration }

func (t *timings) add(more ...time.Duration) { t.all = append(t.all, more...) }

// quantile is the duration that a share of them does not exceed.
func (t *timings) quantile(share float64) time.Duration {
	if len(t.all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(t.all))
	return sorted[min(int(share*float64(len(sorted))), len(sorted)-1)]
}

// MarshalJSON writes milliseconds.
func (t timings) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]float64{
		"p50_ms": inMilliseconds(t.quantile(0.5)), "p99_ms": inMilliseconds(t.quantile(0.99)), "max_ms": inMilliseconds(t.quantile(1)),
	})
}

// String is p50, p99 and the longest.
func (t timings) String() string {
	return fmt.Sprintf("%v / %v / %v", rounded(t.quantile(0.5)), rounded(t.quantile(0.99)), rounded(t.quantile(1)))
}

func longest(durations []time.Duration) time.Duration { return slices.Max(durations) }

func inMilliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func rounded(d time.Duration) time.Duration {
	if d < 10*time.Millisecond {
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Millisecond)
}
