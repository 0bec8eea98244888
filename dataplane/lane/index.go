package lane

import "sync/atomic"

// index is a hash table whose readers take no lock and whose writer copies only the bucket that changes. Writers must be
// kept apart by the caller.
type index[K comparable, V any] struct {
	hash func(K) uint64
	// buckets is replaced as a whole when the table grows.
	buckets atomic.Pointer[[]bucket[K, V]]
	// count belongs to the writer.
	count int
}

// bucket holds the entries whose hashes share their low bits. Its slice is never changed, only replaced.
type bucket[K comparable, V any] struct {
	entries atomic.Pointer[[]entry[K, V]]
}

type entry[K comparable, V any] struct {
	key   K
	value V
}

const (
	smallestIndex = 16
	// fullBucket is how many entries there are to a bucket, on average, when the table doubles.
	fullBucket = 4
)

func newIndex[K comparable, V any](hash func(K) uint64) *index[K, V] {
	i := &index[K, V]{hash: hash}
	buckets := make([]bucket[K, V], smallestIndex)
	i.buckets.Store(&buckets)
	return i
}

func (i *index[K, V]) bucket(key K) *bucket[K, V] {
	buckets := *i.buckets.Load()
	return &buckets[i.hash(key)&uint64(len(buckets)-1)]
}

func (i *index[K, V]) get(key K) (value V, ok bool) {
	entries := i.bucket(key).entries.Load()
	if entries == nil {
		return value, false
	}
	for n := range *entries {
		if (*entries)[n].key == key {
			return (*entries)[n].value, true
		}
	}
	return value, false
}

func (i *index[K, V]) set(key K, value V) {
	b := i.bucket(key)
	var old []entry[K, V]
	if entries := b.entries.Load(); entries != nil {
		old = *entries
	}
	next := make([]entry[K, V], 0, len(old)+1)
	for _, e := range old {
		if e.key != key {
			next = append(next, e)
		}
	}
	if len(next) == len(old) {
		i.count++
	}
	next = append(next, entry[K, V]{key, value})
	b.entries.Store(&next)
	if i.count > fullBucket*len(*i.buckets.Load()) {
		i.grow()
	}
}

func (i *index[K, V]) remove(key K) {
	b := i.bucket(key)
	entries := b.entries.Load()
	if entries == nil {
		return
	}
	next := make([]entry[K, V], 0, len(*entries))
	for _, e := range *entries {
		if e.key != key {
			next = append(next, e)
		}
	}
	if len(next) == len(*entries) {
		return
	}
	i.count--
	if len(next) == 0 {
		b.entries.Store(nil)
		return
	}
	b.entries.Store(&next)
}

// grow doubles the number of buckets. Readers go on in the old ones meanwhile.
func (i *index[K, V]) grow() {
	lists := make([][]entry[K, V], 2*len(*i.buckets.Load()))
	for key, value := range i.all() {
		at := i.hash(key) & uint64(len(lists)-1)
		lists[at] = append(lists[at], entry[K, V]{key, value})
	}
	buckets := make([]bucket[K, V], len(lists))
	for at := range lists {
		if len(lists[at]) > 0 {
			buckets[at].entries.Store(&lists[at])
		}
	}
	i.buckets.Store(&buckets)
}

// all visits every entry. Entries that are written meanwhile may be missed.
func (i *index[K, V]) all() func(yield func(K, V) bool) {
	return func(yield func(K, V) bool) {
		buckets := *i.buckets.Load()
		for at := range buckets {
			entries := buckets[at].entries.Load()
			if entries == nil {
				continue
			}
			for _, e := range *entries {
				if !yield(e.key, e.value) {
					return
				}
			}
		}
	}
}
