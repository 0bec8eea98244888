package router

import (
	"hash/maphash"
	"slices"
)

// put is that of a table.
func (d *directory[T]) put(c change, hash uint64, added child[T], was reach) (grown bool) {
	for {
		s := d.segment(c.by, hash)
		b := s.bucket(hash)
		if len(b.children) >= bucketSize && b.find(hash, added.name()) == nil && d.grow(c, s, hash) {
			continue
		}
		grown = b.put(hash, added, bucketRoom)
		s.exchanged(was, added.reach())
		return grown
	}
}

// editable returns d if the edit made it, else a copy.
func (d *directory[T]) editable(by *edit) *directory[T] {
	if d.owner == by {
		return d
	}
	return &directory[T]{owner: by, depth: d.depth, segments: slices.Clone(d.segments)}
}

// segment returns the one that the hash leads to, made by the edit.
func (d *directory[T]) segment(by *edit, hash uint64) *segment[T] {
	s := d.segments[d.index(hash)]
	if s.owner == by {
		return s
	}
	copied := *s
	copied.owner, copied.buckets = by, slices.Clone(s.buckets)
	for i := range copied.buckets {
		// Without room they are not changed in place.
		copied.buckets[i].children = slices.Clip(copied.buckets[i].children)
	}
	first, count := d.places(s, hash)
	for i := range count {
		d.segments[first+i] = &copied
	}
	return &copied
}

// places are the first of those that lead to the segment of the hash, and how many they are.
func (d *directory[T]) places(s *segment[T], hash uint64) (first, count uint64) {
	count = 1 << (d.depth - s.depth)
	return d.index(hash) &^ (count - 1), count
}

// grow makes room where the hash leads to. It returns false if hashes do not tell enough keys apart.
func (d *directory[T]) grow(c change, s *segment[T], hash uint64) bool {
	if len(s.buckets) < segmentSize {
		buckets := s.buckets
		s.buckets = make([]bucket[T], 2*len(buckets))
		s.fill(c.seed, buckets, func(uint64) *segment[T] { return s })
		return true
	}
	if s.depth == maxDepth {
		return false
	}
	if s.depth == d.depth {
		doubled := make([]*segment[T], 0, 2*len(d.segments))
		for _, one := range d.segments {
			doubled = append(doubled, one, one)
		}
		d.segments, d.depth = doubled, d.depth+1
	}
	d.split(c, s, hash)
	return true
}

// split puts two segments in the place of one.
func (d *directory[T]) split(c change, s *segment[T], hash uint64) {
	first, count := d.places(s, hash)
	var halves [2]*segment[T]
	for i := range halves {
		halves[i] = &segment[T]{owner: c.by, depth: s.depth + 1, high: nothing, buckets: make([]bucket[T], segmentSize)}
	}
	half := func(hash uint64) *segment[T] { return halves[hash>>(63-s.depth)&1] }
	s.fill(c.seed, s.buckets, half)
	for i := range count {
		d.segments[first+i] = halves[i/(count/2)]
	}
}

// fill spreads the children of buckets over what a hash leads to.
func (s *segment[T]) fill(seed maphash.Seed, buckets []bucket[T], to func(hash uint64) *segment[T]) {
	for i := range buckets {
		for _, moved := range buckets[i].children {
			hash := maphash.String(seed, moved.name())
			target := to(hash)
			target.bucket(hash).put(hash, moved, bucketRoom)
			target.high = target.high.or(moved.reach())
		}
	}
}
