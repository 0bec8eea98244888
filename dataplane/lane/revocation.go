package lane

import "sync"

// Revocation is the end of somebody's right to be served. The versions of one key, or of one consumer, share one, so that
// whoever waits is told even if the entry changed in between.
type Revocation struct {
	mu      sync.Mutex
	ended   bool
	waiting map[*waiter]struct{}
}

type waiter struct{ tell func() }

// OnEnd calls tell once when the right ends, at once if it has ended already. It must be quick: the writer of the lane waits
// for it. After stop returned, tell is not called any more unless it was already under way.
func (r *Revocation) OnEnd(tell func()) (stop func()) {
	r.mu.Lock()
	if r.ended {
		r.mu.Unlock()
		tell()
		return func() {}
	}
	w := &waiter{tell}
	if r.waiting == nil {
		r.waiting = make(map[*waiter]struct{})
	}
	r.waiting[w] = struct{}{}
	r.mu.Unlock()
	return func() {
		r.mu.Lock()
		delete(r.waiting, w)
		r.mu.Unlock()
	}
}

func (r *Revocation) end() {
	r.mu.Lock()
	waiting := r.waiting
	r.ended, r.waiting = true, nil
	r.mu.Unlock()
	for w := range waiting {
		w.tell()
	}
}
