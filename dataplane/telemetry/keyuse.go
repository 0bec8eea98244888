package telemetry

import (
	"sync"
	"sync/atomic"
	"time"
)

// KeyUse says that a key was used in a minute.
type KeyUse struct {
	// Key is the key's id.
	Key string
	// LastUsed is in seconds since 1970, to the minute.
	LastUsed int64
}

// KeyUses remembers which keys were used since it was last asked: each at most once a minute, and a bounded number of them.
type KeyUses struct {
	// Guarded by mu.
	mu   sync.Mutex
	uses map[string]int64
}

// mostKeyUses bounds the keys that are remembered between two drains. What is beyond is reported in a later minute.
const mostKeyUses = 100_000

// NewKeyUses makes an empty memory.
func NewKeyUses() *KeyUses { return &KeyUses{uses: make(map[string]int64)} }

// Record notes a use. last holds the minute in which the key was last noted; it is the caller's and belongs to the key.
func (k *KeyUses) Record(key string, last *atomic.Int64, now time.Time) {
	minute := now.Unix() / 60
	before := last.Load()
	if minute <= before || !last.CompareAndSwap(before, minute) {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, ok := k.uses[key]; ok || len(k.uses) < mostKeyUses {
		k.uses[key] = minute * 60
	}
}

// Drain returns the uses that were noted since the last call.
func (k *KeyUses) Drain() []KeyUse {
	k.mu.Lock()
	uses := k.uses
	k.uses = make(map[string]int64)
	k.mu.Unlock()
	out := make([]KeyUse, 0, len(uses))
	for key, at := range uses {
		out = append(out, KeyUse{Key: key, LastUsed: at})
	}
	return out
}
