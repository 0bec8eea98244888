package identity

import (
	"container/list"
	"sync"
)

// recent remembers the hashes of the last tokens and sessions that were good, so that a neighbour who guesses does not lock
// out those who share his address. It grants nothing: what it knows is still looked up.
type recent struct {
	limit int

	mu     sync.Mutex
	hashes map[string]*list.Element
	oldest *list.List // of string, the one that was good longest ago in front
}

func newRecent(limit int) *recent {
	return &recent{limit: limit, hashes: make(map[string]*list.Element), oldest: list.New()}
}

func (r *recent) add(hash []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := string(hash)
	if element, known := r.hashes[key]; known {
		r.oldest.MoveToBack(element)
		return
	}
	if r.oldest.Len() >= r.limit {
		delete(r.hashes, r.oldest.Remove(r.oldest.Front()).(string))
	}
	r.hashes[key] = r.oldest.PushBack(key)
}

func (r *recent) has(hash []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, known := r.hashes[string(hash)]
	return known
}
