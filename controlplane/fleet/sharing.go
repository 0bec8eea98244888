package fleet

import (
	"container/list"
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// loadTimeout bounds one read for all who wait for it.
const loadTimeout = 30 * time.Second

// shared keeps what many sessions need and one has loaded: of sessions that ask for the same at the same time one loads, and
// what was used last stays, up to a limit of bytes. Keys must name their value for ever.
type shared[K comparable, V any] struct {
	limit int
	size  func(V) int
	group singleflight.Group

	mu      sync.Mutex
	entries map[K]*list.Element
	recent  *list.List // of sharedEntry, most recently used first
	bytes   int
}

type sharedEntry[K comparable, V any] struct {
	key   K
	value V
	bytes int
}

func newShared[K comparable, V any](limit int, size func(V) int) *shared[K, V] {
	return &shared[K, V]{limit: limit, size: size, entries: map[K]*list.Element{}, recent: list.New()}
}

// get returns the value of the key, from memory or from load. A caller whose context ends stops waiting; the load goes on for
// the others, and is bounded by loadTimeout.
func (s *shared[K, V]) get(ctx context.Context, key K, load func(context.Context) (V, error)) (value V, err error) {
	if value, ok := s.lookup(key); ok {
		return value, nil
	}
	loaded := s.group.DoChan(fmt.Sprintf("%#v", key), func() (any, error) {
		if value, ok := s.lookup(key); ok {
			return value, nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), loadTimeout)
		defer cancel()
		value, err := load(ctx)
		if err == nil {
			s.keep(key, value)
		}
		return value, err
	})
	select {
	case result := <-loaded:
		if result.Err != nil {
			return value, result.Err
		}
		value, _ = result.Val.(V)
		return value, nil
	case <-ctx.Done():
		return value, context.Cause(ctx)
	}
}

func (s *shared[K, V]) lookup(key K) (value V, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	element, ok := s.entries[key]
	if !ok {
		return value, false
	}
	s.recent.MoveToFront(element)
	entry, _ := element.Value.(sharedEntry[K, V])
	return entry.value, true
}

// keep remembers a value unless it is larger than the limit by itself, and forgets what was not used for longest.
func (s *shared[K, V]) keep(key K, value V) {
	s.mu.Lock()
	defer s.mu.Unlock()
	entry := sharedEntry[K, V]{key: key, value: value, bytes: s.size(value)}
	if _, present := s.entries[key]; present || entry.bytes > s.limit {
		return
	}
	s.entries[key] = s.recent.PushFront(entry)
	s.bytes += entry.bytes
	for s.bytes > s.limit {
		oldest, _ := s.recent.Remove(s.recent.Back()).(sharedEntry[K, V])
		delete(s.entries, oldest.key)
		s.bytes -= oldest.bytes
	}
}
