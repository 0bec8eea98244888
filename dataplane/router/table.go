package router

import (
	"hash/maphash"
	"slices"
)

const (
	// segmentSize is the largest number of buckets of a segment.
	segmentSize = 32
	// firstSegment is the number of buckets that a table has when it becomes too large for one.
	firstSegment = 4
	// maxDepth is the largest number of bits of a hash that choose a segment.
	maxDepth = 16
)

// table is a persistent set of children by their keys: extendible hashing (Fagin et al., 1979) over copies made on write.
// A small one is one bucket. A large one has a directory of segments of buckets, each of which is copied when it changes, so
// a change costs a few kilobytes. The hash is keyed by the router's random seed. The zero table is empty.
type table[T any] struct {
	size int
	// high is what the children reach.
	high      reach
	single    bucket[T]
	directory *directory[T]
}

// reach is what a search has to know of what lies below, or bounds.
type reach struct {
	// priority is the highest of all candidates.
	priority int64
	// ways is in how many ways at most one path is looked for; see [Router.Ways].
	ways int
}

// nothing is the reach of what is empty.
var nothing = reach{priority: lowest}

func (r reach) or(other reach) reach {
	return reach{max(r.priority, other.priority), max(r.ways, other.ways)}
}

// directory leads from the first bits of a hash to a segment. Several places lead to one that has not been split so far.
type directory[T any] struct {
	owner    *edit
	depth    uint8
	segments []*segment[T]
}

// segment has the buckets of all keys whose hashes begin with the same depth bits; the last bits choose among them.
type segment[T any] struct {
	owner   *edit
	depth   uint8
	high    reach
	buckets []bucket[T]
}

// edit is the identity of one call that builds or changes a router. What it made it may change in place; what others made it
// copies. It has a size, so that each has an address of its own.
type edit struct{ _ byte }

// change is what a router is being changed by, and with.
type change struct {
	by   *edit
	seed maphash.Seed
	// tails and lists are the tails that the edit has made, so that equal ones share their bytes and stay in the processor's caches.
	tails map[string]*tail
	lists map[listKey]*tail
}

func newChange(seed maphash.Seed) change {
	return change{by: &edit{}, seed: seed, tails: map[string]*tail{}, lists: map[listKey]*tail{}}
}

// intern returns the one copy of a tail.
func (c change) intern(text string) *tail {
	known, ok := c.tails[text]
	if !ok {
		known = newTail(text)
		c.tails[text] = known
	}
	return known
}

// internList returns the one copy of a tail with so many forms.
func (c change) internList(key listKey, count int) *tail {
	known, ok := c.lists[key]
	if !ok {
		known = newTail(key.text)
		known.forms = slices.Clone(key.forms[:count])
		c.lists[key] = known
	}
	return known
}

func (t *table[T]) find(seed maphash.Seed, key string) *child[T] {
	if t.size == 0 || len(key) > maxName {
		return nil
	}
	hash := maphash.String(seed, key)
	if t.directory == nil {
		return t.single.find(hash, key)
	}
	s := t.directory.segments[t.directory.index(hash)]
	return s.bucket(hash).find(hash, key)
}

func (d *directory[T]) index(hash uint64) uint64 { return hash >> (64 - d.depth) }

func (s *segment[T]) bucket(hash uint64) *bucket[T] {
	return &s.buckets[hash&uint64(len(s.buckets)-1)]
}

// put adds a child, or puts it in place of that with the same name, which reached was.
func (t *table[T]) put(c change, added child[T], was reach) {
	if t.size == 0 {
		t.high = nothing
	}
	hash := maphash.String(c.seed, added.name())
	if t.directory == nil && len(t.single.children) == bucketSize && t.single.find(hash, added.name()) == nil {
		t.spread(c)
	}
	grown := false
	if t.directory == nil {
		grown = t.single.put(hash, added, 0)
	} else {
		t.directory = t.directory.editable(c.by)
		grown = t.directory.put(c, hash, added, was)
	}
	if grown {
		t.size++
	}
	t.exchanged(was, added.reach())
}

// spread gives a table that was one bucket a directory.
func (t *table[T]) spread(c change) {
	s := &segment[T]{owner: c.by, high: t.high, buckets: make([]bucket[T], firstSegment)}
	for _, moved := range t.single.children {
		hash := maphash.String(c.seed, moved.name())
		s.bucket(hash).put(hash, moved, bucketRoom)
	}
	t.directory = &directory[T]{owner: c.by, segments: []*segment[T]{s}}
	t.single = bucket[T]{}
}

// remove takes out the child with the name, if it is there. It reached was.
func (t *table[T]) remove(c change, key string, was reach) {
	gone := t.find(c.seed, key)
	if gone == nil {
		return
	}
	if t.size--; t.size == 0 {
		*t = table[T]{}
		return
	}
	hashOf := func(of *child[T]) uint64 { return maphash.String(c.seed, of.name()) }
	if t.directory == nil {
		t.single.remove(gone, hashOf)
	} else {
		hash := maphash.String(c.seed, key)
		t.directory = t.directory.editable(c.by)
		s := t.directory.segment(c.by, hash)
		s.bucket(hash).remove(gone, hashOf)
		s.exchanged(was, nothing)
	}
	t.exchanged(was, nothing)
}

// exchanged keeps high when what reached before is gone and what reaches now has come.
func (t *table[T]) exchanged(before, now reach) {
	bound := t.high.or(now)
	if t.high = bound; before.or(now) == now {
		return
	}
	if t.directory == nil {
		t.high = t.single.reach()
		return
	}
	t.high = nothing
	for _, s := range t.directory.segments {
		if t.high = t.high.or(s.high); t.high == bound {
			return
		}
	}
}

func (s *segment[T]) exchanged(before, now reach) {
	bound := s.high.or(now)
	if s.high = bound; before.or(now) == now {
		return
	}
	s.high = nothing
	for i := range s.buckets {
		if s.high = s.high.or(s.buckets[i].reach()); s.high == bound {
			return
		}
	}
}

func (b *bucket[T]) reach() reach {
	high := nothing
	for i := range b.children {
		high = high.or(b.children[i].reach())
	}
	return high
}

// edit changes the child with the name, which may not exist before or after.
func (t *table[T]) edit(c change, name string, edit func(child[T]) child[T]) {
	var before child[T]
	was := nothing
	if found := t.find(c.seed, name); found != nil {
		// What was reached is asked for now, since a node that the same change made is changed in place.
		before, was = *found, found.reach()
	}
	after := edit(before)
	switch {
	case !after.exists():
		t.remove(c, name, was)
	case after.node != nil && after.node == before.node && after.tail == before.tail && after.reach() == was:
		// It is the same child.
	default:
		t.put(c, after, was)
	}
}
