package router

import (
	"hash/maphash"
	"math/bits"
	"slices"
)

const (
	// indexBits of a hash choose one of 64 slots at each level of a table.
	indexBits = 6
	// maxDepth is the level at which a hash of 64 bits is used up, so that its keys are kept in a list.
	maxDepth = 10
	// maxList is the largest table that is a list: comparing a few keys is quicker than hashing one.
	maxList = 4
)

// edit is the identity of one call that builds or changes a router. What it made it may change in place; what others made it
// copies. It has a size, so that each has an address of its own.
type edit struct{ _ byte }

// ranked is what a table holds: something that knows the highest priority inside, for the table to know its own.
type ranked interface{ highest() int64 }

// table is a persistent map from strings: a hash array mapped trie (Bagwell, "Ideal Hash Trees", 2001). A change copies one
// branch at each level, of at most 64 slots. A table of one entry, as most nodes have, is that entry alone. The zero table is
// empty.
type table[V ranked] struct {
	// root is nil if size is 0 or 1.
	root *branch[V]
	size int
	// key and value are the entry if size is 1.
	key   string
	value V
}

// branch is a level of the trie. Occupied has a bit for each index in use and slots the entries in that order; if it is zero,
// slots is a list of entries in no order.
type branch[V ranked] struct {
	owner    *edit
	occupied uint64
	slots    []slot[V]
	priority int64
}

// slot is an entry, or the branch below if sub is not nil.
type slot[V ranked] struct {
	sub   *branch[V]
	key   string
	value V
}

func (s *slot[V]) highest() int64 {
	if s.sub != nil {
		return s.sub.priority
	}
	return s.value.highest()
}

// highest is the highest priority in the table.
func (t *table[V]) highest() int64 {
	switch t.size {
	case 0:
		return lowest
	case 1:
		return t.value.highest()
	}
	return t.root.priority
}

func (t *table[V]) get(seed maphash.Seed, key string) (value V, ok bool) {
	b := t.root
	if b == nil {
		if t.size == 1 && t.key == key {
			return t.value, true
		}
		return value, false
	}
	if b.occupied == 0 {
		return b.find(key)
	}
	hash := maphash.String(seed, key)
	for b.occupied != 0 {
		bit := uint64(1) << (hash % 64)
		if b.occupied&bit == 0 {
			return value, false
		}
		s := &b.slots[bits.OnesCount64(b.occupied&(bit-1))]
		if s.sub == nil {
			if s.key == key {
				return s.value, true
			}
			return value, false
		}
		b, hash = s.sub, hash>>indexBits
	}
	return b.find(key)
}

func (b *branch[V]) find(key string) (value V, ok bool) {
	for i := range b.slots {
		if b.slots[i].key == key {
			return b.slots[i].value, true
		}
	}
	return value, false
}

// change is what a table is being changed by, and with.
type change struct {
	by   *edit
	seed maphash.Seed
	// segments has the literals that the edit has put into tables, so that equal ones share their bytes.
	segments map[string]string
}

func newChange(seed maphash.Seed) change {
	return change{by: &edit{}, seed: seed, segments: map[string]string{}}
}

// intern returns the one copy of a segment, which many tables having it keeps in the processor's caches.
func (c change) intern(segment string) string {
	if known, ok := c.segments[segment]; ok {
		return known
	}
	c.segments[segment] = segment
	return segment
}

func (c change) hash(key string, depth int) uint64 {
	return maphash.String(c.seed, key) >> (depth * indexBits)
}

// put sets value at key.
func (t *table[V]) put(c change, key string, value V) {
	if t.size == 0 || t.size == 1 && t.key == key {
		t.size, t.key, t.value = 1, key, value
		return
	}
	if t.size == 1 {
		t.root, _ = t.root.put(c, 0, t.key, t.value)
		t.clearEntry()
	}
	root, added := t.root.put(c, 0, key, value)
	if added {
		t.size++
	}
	t.root = root
}

func (t *table[V]) clearEntry() {
	var none V
	t.key, t.value = "", none
}

// put returns the branch with value at key, and whether key is new. The branch may be nil.
func (b *branch[V]) put(c change, depth int, key string, value V) (_ *branch[V], added bool) {
	b = b.editable(c.by)
	if b.occupied != 0 {
		return b, b.putHashed(c, depth, key, value)
	}
	if i := slices.IndexFunc(b.slots, func(s slot[V]) bool { return s.key == key }); i >= 0 {
		b.slots[i].value = value
		b.refresh()
		return b, false
	}
	if depth < maxDepth && (depth > 0 || len(b.slots) == maxList) {
		list := b.slots
		b.slots = nil
		for _, s := range list {
			b.putHashed(c, depth, s.key, s.value)
		}
		b.putHashed(c, depth, key, value)
		return b, true
	}
	b.slots = append(b.slots, slot[V]{key: key, value: value})
	b.raise(value.highest())
	return b, true
}

func (b *branch[V]) putHashed(c change, depth int, key string, value V) (added bool) {
	bit := uint64(1) << (c.hash(key, depth) % 64)
	at := bits.OnesCount64(b.occupied & (bit - 1))
	if b.occupied&bit == 0 {
		b.occupied |= bit
		b.slots = slices.Insert(b.slots, at, slot[V]{key: key, value: value})
		b.raise(value.highest())
		return true
	}
	s := &b.slots[at]
	switch {
	case s.sub == nil && s.key == key:
		s.value = value
	case s.sub == nil:
		below, _ := (*branch[V])(nil).put(c, depth+1, s.key, s.value)
		below, _ = below.put(c, depth+1, key, value)
		*s = slot[V]{sub: below}
		added = true
	default:
		s.sub, added = s.sub.put(c, depth+1, key, value)
	}
	if added {
		b.raise(value.highest())
	} else {
		b.refresh()
	}
	return added
}

// remove takes out key, if it is there.
func (t *table[V]) remove(c change, key string) {
	if _, ok := t.get(c.seed, key); !ok {
		return
	}
	t.size--
	if t.size == 0 {
		t.clearEntry()
		return
	}
	t.root = t.root.remove(c, 0, key)
	if t.size == 1 {
		t.key, t.value = t.root.single()
		t.root = nil
	}
}

// single is the only entry of a branch that has one.
func (b *branch[V]) single() (key string, value V) {
	for b.slots[0].sub != nil {
		b = b.slots[0].sub
	}
	return b.slots[0].key, b.slots[0].value
}

// remove returns the branch without key, which it has; nil if nothing is left.
func (b *branch[V]) remove(c change, depth int, key string) *branch[V] {
	b = b.editable(c.by)
	if b.occupied == 0 {
		b.slots = slices.DeleteFunc(b.slots, func(s slot[V]) bool { return s.key == key })
	} else {
		bit := uint64(1) << (c.hash(key, depth) % 64)
		at := bits.OnesCount64(b.occupied & (bit - 1))
		if s := &b.slots[at]; s.sub != nil {
			s.sub = s.sub.remove(c, depth+1, key)
		}
		if b.slots[at].sub == nil {
			b.occupied &^= bit
			b.slots = slices.Delete(b.slots, at, at+1)
		}
	}
	if len(b.slots) == 0 {
		return nil
	}
	b.refresh()
	return b
}

// editable returns b if the edit made it, else a copy, else (b is nil) an empty branch.
func (b *branch[V]) editable(by *edit) *branch[V] {
	if b == nil {
		return &branch[V]{owner: by, priority: lowest}
	}
	if b.owner == by {
		return b
	}
	copied := *b
	copied.owner = by
	copied.slots = slices.Clone(b.slots)
	return &copied
}

func (b *branch[V]) raise(priority int64) { b.priority = max(b.priority, priority) }

func (b *branch[V]) refresh() {
	b.priority = lowest
	for i := range b.slots {
		b.raise(b.slots[i].highest())
	}
}
