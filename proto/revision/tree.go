package revision

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
)

const (
	// Fanout is how many children an inner node has.
	Fanout = 16
	// Levels is how many levels of inner nodes there are; below them lie Fanout^Levels leaves.
	Levels = 4
	// NodeSize is the size of an encoded inner node in bytes.
	NodeSize = Fanout * sha256.Size
)

// Prefix names an inner node by the path from the root: one byte (0 to 15) a level, none for the root.
type Prefix string

// Node is an inner node: the digests of its children. An empty subtree has the zero digest.
type Node [Fanout]Digest

// Bytes encodes the node for storage, in NodeSize bytes.
func (n *Node) Bytes() []byte {
	out := make([]byte, 0, NodeSize)
	for i := range n {
		out = append(out, n[i][:]...)
	}
	return out
}

// NodeFrom reads what Bytes wrote.
func NodeFrom(b []byte) (Node, error) {
	var n Node
	if len(b) != NodeSize {
		return n, fmt.Errorf("a tree node has %d bytes, not %d", NodeSize, len(b))
	}
	for i := range n {
		n[i] = Digest(b[i*sha256.Size:])
	}
	return n, nil
}

// digest of a node; of an empty one the zero digest, so that only what exists is stored.
func (n *Node) digest() Digest {
	if *n == (Node{}) {
		return Digest{}
	}
	h := sha256.New()
	h.Write([]byte{domainInner})
	for i := range n {
		h.Write(n[i][:])
	}
	return Digest(h.Sum(nil))
}

// Bucket is the leaf that holds a resource: 0 to 65535, evenly spread.
func Bucket(key Key) uint16 {
	h := sha256.New()
	var head [5]byte
	head[0] = domainBucket
	binary.BigEndian.PutUint32(head[1:], uint32(key.Kind))
	h.Write(head[:])
	h.Write([]byte(key.Name))
	return binary.BigEndian.Uint16(h.Sum(nil))
}

// prefixAt is the inner node at a level (0 to Levels-1) on the way to a bucket.
func prefixAt(bucket uint16, level int) Prefix {
	path := [Levels]byte{byte(bucket >> 12), byte(bucket >> 8 & 15), byte(bucket >> 4 & 15), byte(bucket & 15)}
	return Prefix(path[:level])
}

// childAt is the child to take at a level on the way to a bucket.
func childAt(bucket uint16, level int) int { return int(bucket >> (12 - 4*level) & 15) }

func leafDigest(entries []Entry) Digest {
	if len(entries) == 0 {
		return Digest{}
	}
	h := sha256.New()
	h.Write([]byte{domainLeaf})
	for _, e := range entries {
		h.Write(e.Digest[:]) // binds kind and name
	}
	return Digest(h.Sum(nil))
}

// Touched says what Update needs to know for these changes: the buckets that they fall into and the inner nodes above.
func Touched(changes []Change) (buckets []uint16, prefixes []Prefix) {
	for _, c := range changes {
		buckets = append(buckets, Bucket(c.Key))
	}
	slices.Sort(buckets)
	buckets = slices.Compact(buckets)
	for _, b := range buckets {
		for level := range Levels {
			prefixes = append(prefixes, prefixAt(b, level))
		}
	}
	slices.Sort(prefixes)
	return buckets, slices.Compact(prefixes)
}

// Update carries changes into the tree. nodes holds the inner nodes that Touched names (one that is absent is empty), and
// buckets the present entries of the buckets that it names; neither is changed. It returns the inner nodes as they are
// afterwards, an empty one included (to be deleted from storage), and the new root. With no changes the root is that of
// nodes[""].
func Update(nodes map[Prefix]Node, buckets map[uint16][]Entry, changes []Change) (map[Prefix]Node, Digest) {
	touched, _ := Touched(changes)
	updated := make(map[Prefix]Node)
	node := func(p Prefix) Node {
		if n, ok := updated[p]; ok {
			return n
		}
		return nodes[p]
	}
	byBucket := make(map[uint16][]Change, len(touched))
	for _, c := range changes {
		b := Bucket(c.Key)
		byBucket[b] = append(byBucket[b], c)
	}
	for _, b := range touched {
		parent := prefixAt(b, Levels-1)
		n := node(parent)
		n[childAt(b, Levels-1)] = leafDigest(ApplyToBucket(buckets[b], byBucket[b]))
		updated[parent] = n
	}
	for level := Levels - 1; level > 0; level-- {
		for p, n := range updated {
			if len(p) != level {
				continue
			}
			above := p[:level-1]
			parent := node(above)
			parent[p[level-1]] = n.digest()
			updated[above] = parent
		}
	}
	root := node("")
	return updated, root.digest()
}

// ApplyToBucket returns the entries of one bucket after changes, in the order of their keys. A later change of the same
// resource wins. entries is not changed.
func ApplyToBucket(entries []Entry, changes []Change) []Entry {
	out := slices.Clone(entries)
	slices.SortFunc(out, func(a, b Entry) int { return a.Compare(b.Key) })
	for _, c := range changes {
		i, found := slices.BinarySearchFunc(out, c.Key, func(e Entry, k Key) int { return e.Compare(k) })
		switch {
		case c.Digest == nil && found:
			out = slices.Delete(out, i, i+1)
		case c.Digest != nil && found:
			out[i].Digest = *c.Digest
		case c.Digest != nil:
			out = slices.Insert(out, i, Entry{Key: c.Key, Digest: *c.Digest})
		}
	}
	return out
}
