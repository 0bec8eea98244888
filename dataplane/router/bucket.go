package router

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

const (
	// bucketSize is how many children of a bucket have tags. A bucket has more only if their hashes cannot tell them apart. It is
	// so large for buckets to be few: those of a large table have to fit into the processor's caches beside all else.
	bucketSize = 40
	// bucketRoom is how many more children a bucket gets room for when it grows.
	bucketRoom = 7
)

// bucket is some children that are found by one byte of their hashes, so that a look at the tags alone leads to the right child
// or to none. It is one cache line. Only the edit that made the children has room behind the last of them, and may change them in
// place: others hold them too.
type bucket[T any] struct {
	children []child[T]
	tags     [bucketSize]uint8
}

// tagOf takes bits of the hash that neither the directory nor the segment uses.
func tagOf(hash uint64) uint8 { return uint8(hash >> 32) }

// find returns the child with the name, nil if there is none. It is not to be changed.
func (b *bucket[T]) find(hash uint64, name string) *child[T] {
	tag := tagOf(hash)
	for from := 0; from < bucketSize && from < len(b.children); from += 8 {
		equal := equalBytes(binary.LittleEndian.Uint64(b.tags[from:from+8]), tag)
		for ; equal != 0; equal &= equal - 1 {
			i := from + bits.TrailingZeros64(equal)/8
			if i < len(b.children) && b.children[i].is(name) {
				return &b.children[i]
			}
		}
	}
	for i := bucketSize; i < len(b.children); i++ {
		if b.children[i].is(name) {
			return &b.children[i]
		}
	}
	return nil
}

// equalBytes sets the highest bit of each byte of word that equals value. It may set that of a byte above such a one too,
// so what it finds has to be looked at.
func equalBytes(word uint64, value uint8) uint64 {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	difference := word ^ ones*uint64(value)
	return (difference - ones) &^ difference & tops
}

// put replaces the child with the same name, or adds one more. Where it copies, it leaves so much room.
func (b *bucket[T]) put(hash uint64, added child[T], room int) (grown bool) {
	if replaced := b.find(hash, added.name()); replaced != nil {
		at := b.index(replaced)
		if len(b.children) == cap(b.children) {
			b.children = b.copied(room)
		}
		b.children[at] = added
		return false
	}
	count := len(b.children)
	if count < bucketSize {
		b.tags[count] = tagOf(hash)
	}
	if count == cap(b.children) {
		b.children = b.copied(1 + room)
	}
	b.children = append(b.children, added)
	return true
}

// remove takes out the child that find returned.
func (b *bucket[T]) remove(gone *child[T], hashOf func(*child[T]) uint64) {
	at := b.index(gone)
	b.children = slices.Clip(slices.Delete(b.copied(0), at, at+1))
	if at >= bucketSize {
		return
	}
	copy(b.tags[at:], b.tags[at+1:])
	const last = bucketSize - 1
	if b.tags[last] = 0; len(b.children) > last {
		b.tags[last] = tagOf(hashOf(&b.children[last]))
	}
}

// copied returns the children in space of their own, with room for more.
func (b *bucket[T]) copied(room int) []child[T] {
	return append(make([]child[T], 0, len(b.children)+room), b.children...)
}

func (b *bucket[T]) index(of *child[T]) int {
	for i := range b.children {
		if &b.children[i] == of {
			return i
		}
	}
	return -1
}
