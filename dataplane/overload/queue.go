package overload

import (
	"sync"
	"sync/atomic"
	"time"
)

// queue holds those who wait for room. It smooths out arrivals that come in bunches; it is no place to stay, so it is short and
// nobody stays in it for more than a few milliseconds. The last to come is let in first: whoever has waited already is the
// likelier to be refused anyway, and serving the others makes them fast instead of all of them slow.
type queue struct {
	// Atomic.
	waiting atomic.Int32
	longest atomic.Int32
	// patience is how long one waits, in nanoseconds.
	patience atomic.Int64

	spare sync.Pool // of *waiter

	// Guarded by mu.
	mu  sync.Mutex
	top [criticalities]*waiter
}

// waiter is one who waits. It is used again.
type waiter struct {
	// told has room for one word: true for being let in.
	told  chan bool
	timer *time.Timer
	// above and below are guarded by the queue's mu; queued says that it is among them.
	above, below *waiter
	queued       bool
}

func newWaiter() any {
	w := &waiter{told: make(chan bool, 1), timer: time.NewTimer(time.Hour)}
	w.timer.Stop()
	return w
}

const (
	leastPatience = 500 * time.Microsecond
	mostPatience  = 5 * time.Millisecond
)

// shape follows the limit: half of the upstream's own latency is worth waiting for, and no more may wait than have a chance.
func (q *queue) shape(limit int32, own time.Duration) {
	q.longest.Store(max(2, limit/4))
	patience := mostPatience
	if own > 0 {
		patience = min(max(own/2, leastPatience), mostPatience)
	}
	q.patience.Store(int64(patience))
}

// wait waits for room, and tells whether it was given any.
func (l *Limiter) wait(at time.Duration, c Criticality) bool {
	l.full(at)
	q := &l.queue
	w, in := q.join(l, c)
	if in || w == nil {
		return in
	}
	defer q.spare.Put(w)
	w.timer.Reset(time.Duration(q.patience.Load()))
	select {
	case admitted := <-w.told:
		w.timer.Stop()
		return admitted
	case <-w.timer.C:
	}
	if q.leave(w, c) {
		return false
	}
	return <-w.told
}

// join puts one more into the queue, if there is a place; else one who matters less has to go. If there is room by now, it is
// taken.
func (q *queue) join(l *Limiter, c Criticality) (w *waiter, in bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.waiting.Load() >= q.longest.Load() && !q.evict(c) {
		return nil, false
	}
	// Whoever gives room back from here on sees that somebody waits.
	q.waiting.Add(1)
	if l.enter(c) {
		q.waiting.Add(-1)
		return nil, true
	}
	w = q.spare.Get().(*waiter)
	w.above, w.below, w.queued = nil, q.top[c], true
	if w.below != nil {
		w.below.above = w
	}
	q.top[c] = w
	return w, false
}

// evict refuses one who matters less. The caller holds mu.
func (q *queue) evict(c Criticality) bool {
	for i := len(byImportance) - 1; i >= 0; i-- {
		if other := byImportance[i]; c.above(other) && q.top[other] != nil {
			w := q.top[other]
			q.remove(w, other)
			w.told <- false
			return true
		}
	}
	return false
}

// leave takes out one who has lost patience. It says no if the word is on its way already.
func (q *queue) leave(w *waiter, c Criticality) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !w.queued {
		return false
	}
	q.remove(w, c)
	return true
}

// remove takes one out. The caller holds mu.
func (q *queue) remove(w *waiter, c Criticality) {
	if w.above != nil {
		w.above.below = w.below
	} else {
		q.top[c] = w.below
	}
	if w.below != nil {
		w.below.above = w.above
	}
	w.above, w.below, w.queued = nil, nil, false
	q.waiting.Add(-1)
}

// admit lets in those for whom there is room, in the order of their importance.
func (l *Limiter) admit() {
	q := &l.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range byImportance {
		for q.top[c] != nil && l.enter(c) {
			w := q.top[c]
			q.remove(w, c)
			w.told <- true
		}
	}
}
