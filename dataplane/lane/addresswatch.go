package lane

import (
	"math/rand/v2"
	"net/netip"
	"sync"
)

// watchShards is among how many lists those who wait are spread, so that they do not wait for each other.
const watchShards = 16

// addressWatch are those who are told when an address of theirs is blocked.
type addressWatch [watchShards]struct {
	mu      sync.Mutex
	waiting map[*addressWaiter]struct{}
	_       [48]byte // so that two never share a cache line
}

type addressWaiter struct {
	address netip.Addr
	tell    func()
}

// OnBlocked calls tell once when an address is blocked, at once if it is already. It must be quick: the writer of the lane waits for
// it. After stop returned, tell is not called any more unless it was already under way.
func (t *Table) OnBlocked(address netip.Addr, tell func()) (stop func()) {
	w := &addressWaiter{address, tell}
	shard := rand.IntN(watchShards)
	t.addresses.add(shard, w)
	// A block that came before is seen here, one that comes later sees the waiter.
	if t.Blocked(address) && t.addresses.take(shard, w) {
		tell()
	}
	return func() { t.addresses.take(shard, w) }
}

func (a *addressWatch) add(shard int, w *addressWaiter) {
	list := &a[shard]
	list.mu.Lock()
	defer list.mu.Unlock()
	if list.waiting == nil {
		list.waiting = make(map[*addressWaiter]struct{})
	}
	list.waiting[w] = struct{}{}
}

// take tells whether the waiter was still waiting.
func (a *addressWatch) take(shard int, w *addressWaiter) bool {
	list := &a[shard]
	list.mu.Lock()
	defer list.mu.Unlock()
	_, waiting := list.waiting[w]
	delete(list.waiting, w)
	return waiting
}

// tellBlocked tells whoever waits with an address that is blocked by now. The caller holds writing.
func (t *Table) tellBlocked() {
	blocks := t.content.Load().blocks
	if !blocks.moved {
		return
	}
	blocks.moved = false
	for i := range t.addresses {
		for _, w := range t.takeBlocked(i) {
			w.tell()
		}
	}
}

func (t *Table) takeBlocked(shard int) (taken []*addressWaiter) {
	list := &t.addresses[shard]
	list.mu.Lock()
	defer list.mu.Unlock()
	for w := range list.waiting {
		if t.Blocked(w.address) {
			taken = append(taken, w)
			delete(list.waiting, w)
		}
	}
	return taken
}
