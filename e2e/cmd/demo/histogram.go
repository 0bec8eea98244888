package main

import (
	"math"
	"time"
)

// histogram counts lengths of time in buckets that are 2 % wide, from 10 microseconds to some minutes.
type histogram struct {
	buckets [1000]uint64
	total   uint64
}

const (
	smallest = 10 * time.Microsecond
	growth   = 1.02
)

func (h *histogram) add(length time.Duration) {
	i := 0
	if length > smallest {
		i = int(math.Log(float64(length)/float64(smallest)) / math.Log(growth))
	}
	h.buckets[min(i, len(h.buckets)-1)]++
	h.total++
}

// quantile is the length that the share q of all stays below, to 2 %; 0 if there are none.
func (h *histogram) quantile(q float64) time.Duration {
	wanted := uint64(math.Ceil(q * float64(h.total)))
	var seen uint64
	for i, n := range h.buckets {
		if seen += n; n > 0 && seen >= wanted {
			return time.Duration(float64(smallest) * math.Pow(growth, float64(i+1)))
		}
	}
	return 0
}
