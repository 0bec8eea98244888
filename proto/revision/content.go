package revision

import (
	"iter"
	"slices"
)

// Resource is one encoded resource.
type Resource struct {
	Key
	Body []byte
}

// Delta is what leads from one content to another. It must not name a resource twice.
type Delta struct {
	Upserts []Resource
	Deletes []Key
}

// Content is the whole of a revision: every resource with its bytes, and the tree over them. It is immutable, and contents
// that follow from one another share what did not change, so that holding two costs little more than one. The methods may
// be called from any goroutine.
type Content struct {
	top   *branch
	root  Digest
	count int
}

// branch is an inner node, its children in memory, and below the last level the buckets.
type branch struct {
	node     Node
	branches [Fanout]*branch
	buckets  [Fanout]*bucket
}

// bucket holds the resources of one leaf, in the order of their keys.
type bucket struct {
	entries []Entry
	bodies  [][]byte
}

// NewContent is the empty content: revision 0.
func NewContent() *Content { return &Content{top: new(branch)} }

// Root names the content. Of the empty content it is zero.
func (c *Content) Root() Digest { return c.root }

// Len is the number of resources.
func (c *Content) Len() int { return c.count }

// Get finds a resource's bytes and digest. The bytes must not be changed.
func (c *Content) Get(key Key) (body []byte, digest Digest, ok bool) {
	at := Bucket(key)
	b := c.top
	for level := range Levels - 1 {
		if b = b.branches[childAt(at, level)]; b == nil {
			return nil, Digest{}, false
		}
	}
	leaf := b.buckets[childAt(at, Levels-1)]
	if leaf == nil {
		return nil, Digest{}, false
	}
	i, ok := leaf.find(key)
	if !ok {
		return nil, Digest{}, false
	}
	return leaf.bodies[i], leaf.entries[i].Digest, true
}

func (b *bucket) find(key Key) (int, bool) {
	return slices.BinarySearchFunc(b.entries, key, func(e Entry, k Key) int { return e.Compare(k) })
}

// All visits every resource, in an order that only the content decides.
func (c *Content) All() iter.Seq2[Entry, []byte] {
	return func(yield func(Entry, []byte) bool) { c.top.each(0, yield) }
}

func (b *branch) each(level int, yield func(Entry, []byte) bool) bool {
	for i := range Fanout {
		if level < Levels-1 {
			if next := b.branches[i]; next != nil && !next.each(level+1, yield) {
				return false
			}
			continue
		}
		leaf := b.buckets[i]
		if leaf == nil {
			continue
		}
		for j, e := range leaf.entries {
			if !yield(e, leaf.bodies[j]) {
				return false
			}
		}
	}
	return true
}

// Apply gives the content after a delta. c stays as it is.
func (c *Content) Apply(d Delta) *Content {
	next := &edit{owned: make(map[*branch]bool)}
	top := next.own(c.top)
	count := c.count
	for _, r := range d.Upserts {
		count += next.set(top, r.Key, r.Body)
	}
	for _, k := range d.Deletes {
		count += next.remove(top, k)
	}
	next.rehash(top, 0)
	return &Content{top: top, root: top.node.digest(), count: count}
}

// edit copies the branches on the way to what changes, each once.
type edit struct {
	owned map[*branch]bool
}

func (e *edit) own(b *branch) *branch {
	if b == nil {
		b = new(branch)
	} else {
		if e.owned[b] {
			return b
		}
		fresh := *b
		b = &fresh
	}
	e.owned[b] = true
	return b
}

func (e *edit) descend(top *branch, at uint16) *branch {
	b := top
	for level := range Levels - 1 {
		i := childAt(at, level)
		b.branches[i] = e.own(b.branches[i])
		b = b.branches[i]
	}
	return b
}

func (e *edit) set(top *branch, key Key, body []byte) (added int) {
	at := Bucket(key)
	parent := e.descend(top, at)
	slot := &parent.buckets[childAt(at, Levels-1)]
	fresh := new(bucket)
	if *slot != nil {
		fresh.entries, fresh.bodies = slices.Clone((*slot).entries), slices.Clone((*slot).bodies)
	}
	entry := Entry{Key: key, Digest: DigestOf(key, body)}
	if i, found := fresh.find(key); found {
		fresh.entries[i], fresh.bodies[i] = entry, body
	} else {
		fresh.entries, fresh.bodies = slices.Insert(fresh.entries, i, entry), slices.Insert(fresh.bodies, i, body)
		added = 1
	}
	*slot = fresh
	return added
}

func (e *edit) remove(top *branch, key Key) (added int) {
	at := Bucket(key)
	parent := e.descend(top, at)
	slot := &parent.buckets[childAt(at, Levels-1)]
	if *slot == nil {
		return 0
	}
	i, found := (*slot).find(key)
	if !found {
		return 0
	}
	if len((*slot).entries) == 1 {
		*slot = nil
		return -1
	}
	*slot = &bucket{
		entries: slices.Delete(slices.Clone((*slot).entries), i, i+1),
		bodies:  slices.Delete(slices.Clone((*slot).bodies), i, i+1),
	}
	return -1
}

// rehash brings the digests of the copied branches up to date, from the leaves to the top.
func (e *edit) rehash(b *branch, level int) {
	for i := range Fanout {
		if level == Levels-1 {
			b.node[i] = Digest{}
			if leaf := b.buckets[i]; leaf != nil {
				b.node[i] = leafDigest(leaf.entries)
			}
			continue
		}
		child := b.branches[i]
		if child == nil || !e.owned[child] {
			continue
		}
		e.rehash(child, level+1)
		b.node[i] = child.node.digest()
		if b.node[i] == (Digest{}) {
			b.branches[i] = nil
		}
	}
}

// Diff is the delta that leads from one content to another. Branches that both share are not visited, so its cost follows
// the difference.
func Diff(from, to *Content) Delta {
	var d Delta
	diffBranch(from.top, to.top, 0, &d)
	return d
}

func diffBranch(from, to *branch, level int, d *Delta) {
	if from == to {
		return
	}
	for i := range Fanout {
		if from.node[i] == to.node[i] {
			continue
		}
		if level < Levels-1 {
			diffBranch(orEmpty(from.branches[i]), orEmpty(to.branches[i]), level+1, d)
			continue
		}
		diffBucket(from.buckets[i], to.buckets[i], d)
	}
}

func orEmpty(b *branch) *branch {
	if b == nil {
		return new(branch)
	}
	return b
}

func diffBucket(from, to *bucket, d *Delta) {
	if from == nil {
		from = new(bucket)
	}
	if to == nil {
		to = new(bucket)
	}
	for i, e := range to.entries {
		if j, found := from.find(e.Key); !found || from.entries[j].Digest != e.Digest {
			d.Upserts = append(d.Upserts, Resource{Key: e.Key, Body: to.bodies[i]})
		}
	}
	for _, e := range from.entries {
		if _, found := to.find(e.Key); !found {
			d.Deletes = append(d.Deletes, e.Key)
		}
	}
}
