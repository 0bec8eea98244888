package upstream

import (
	"sync/atomic"
	"time"
)

// shareBuckets is how many parts a sliding window has, which it loses one by one.
const shareBuckets = 10

// share counts requests, and how many of them failed, within a window of time that slides. Each bucket is one word, so that
// nobody waits for anybody: which part of time it counts (24 bits), requests and failures (20 bits each).
type share struct {
	buckets [shareBuckets]atomic.Uint64
}

const (
	shareCountBits = 20
	shareCountMask = 1<<shareCountBits - 1
	shareEpochMask = 1<<24 - 1
)

// epoch numbers the parts of time.
func shareEpoch(now int64, window time.Duration) uint64 {
	return uint64(now) / uint64(max(window/shareBuckets, 1)) //nolint:gosec // never negative
}

func (s *share) add(now int64, window time.Duration, failed bool) {
	epoch := shareEpoch(now, window)
	bucket := &s.buckets[epoch%shareBuckets]
	for {
		word := bucket.Load()
		total, failures := word>>shareCountBits&shareCountMask, word&shareCountMask
		if word>>(2*shareCountBits) != epoch&shareEpochMask {
			total, failures = 0, 0
		}
		if total == shareCountMask {
			// It is the share that counts.
			total, failures = total/2, failures/2
		}
		total++
		if failed {
			failures++
		}
		if bucket.CompareAndSwap(word, epoch&shareEpochMask<<(2*shareCountBits)|total<<shareCountBits|failures) {
			return
		}
	}
}

// sum is what the window holds. Its oldest part is the one that began last and is not longer ago than the window.
func (s *share) sum(now int64, window time.Duration) (total, failures uint64) {
	epoch := shareEpoch(now, window)
	for back := range min(shareBuckets, epoch+1) {
		word := s.buckets[(epoch-back)%shareBuckets].Load()
		if word>>(2*shareCountBits) == (epoch-back)&shareEpochMask {
			total += word >> shareCountBits & shareCountMask
			failures += word & shareCountMask
		}
	}
	return total, failures
}

func (s *share) reset() {
	for i := range s.buckets {
		s.buckets[i].Store(0)
	}
}

func (s *share) adopt(from *share) {
	for i := range s.buckets {
		s.buckets[i].Store(from.buckets[i].Load())
	}
}
