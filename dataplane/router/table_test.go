package router

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// leaf is a child whose priority is itself.
func leaf(c change, n int) child[int] {
	out := newChild[int](c, nameOf(n), "")
	out.value, out.priority, out.from = n, int32(n), &alternative[int]{}
	return out
}

// nameOf makes short names, and of every third a long one.
func nameOf(n int) string {
	if n%3 == 0 {
		return fmt.Sprintf("%d-is-more-than-a-child-keeps-in-itself", n)
	}
	return fmt.Sprint(n)
}

func checkTable(t *testing.T, seed maphash.Seed, of *table[int], has func(int) bool, count int) {
	t.Helper()
	size, highest := 0, lowest
	for n := range count {
		found := of.find(seed, nameOf(n))
		if (found != nil) != has(n) || found != nil && (found.value != n || found.name() != nameOf(n)) {
			t.Fatalf("%d: found %+v", n, found)
		}
		if has(n) {
			size, highest = size+1, int64(n)
		}
	}
	if of.size != size || size > 0 && of.high.priority != highest {
		t.Fatalf("size %d, highest %d; want %d, %d", of.size, of.high.priority, size, highest)
	}
}

func TestTableKeepsOldVersions(t *testing.T) {
	t.Parallel()
	seed := maphash.MakeSeed()
	const count = 3000
	versions := []table[int]{{}}
	for n := range count {
		version := versions[n]
		c := newChange(seed)
		version.put(c, leaf(c, n), nothing)
		versions = append(versions, version)
	}
	for _, n := range []int{0, 1, 4, 5, 16, 17, 64, 65, 1000, count} {
		checkTable(t, seed, &versions[n], func(i int) bool { return i < n }, count)
	}
}

func TestTableRemoves(t *testing.T) {
	t.Parallel()
	seed := maphash.MakeSeed()
	build := newChange(seed)
	full := table[int]{}
	const count = 2000
	for n := range count {
		full.put(build, leaf(build, n), nothing)
	}
	left, gone := full, map[int]bool{}
	for i, n := range rand.New(rand.NewPCG(1, 1)).Perm(count) {
		left.remove(newChange(seed), nameOf(n), reach{int64(n), 1})
		if gone[n] = true; i%97 == 0 {
			checkTable(t, seed, &left, func(n int) bool { return !gone[n] }, count)
		}
	}
	left.remove(build, "x", nothing)
	if left.size != 0 || left.directory != nil || left.single.children != nil {
		t.Errorf("not empty: %+v", left)
	}
	checkTable(t, seed, &full, func(int) bool { return true }, count)
}

// TestBucketOfOneHash has more children than tags, and none that its tag tells from another.
func TestBucketOfOneHash(t *testing.T) {
	t.Parallel()
	c := newChange(maphash.MakeSeed())
	const hash, count = 0x123456789abcdef0, 3 * bucketSize
	var b bucket[int]
	for n := range count {
		if !b.put(hash, leaf(c, n), n%2) || b.put(hash, leaf(c, n), 0) {
			t.Fatalf("%d is not new, or still", n)
		}
	}
	for n := range count {
		found := b.find(hash, nameOf(n))
		if found == nil || found.value != n {
			t.Fatalf("%d: found %+v", n, found)
		}
		b.remove(found, func(*child[int]) uint64 { return hash })
		if b.find(hash, nameOf(n)) != nil || len(b.children) != count-1-n {
			t.Fatalf("%d is still there", n)
		}
	}
}

// TestLinesOfTheCache holds what the memory layout is made for.
func TestLinesOfTheCache(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(child[*int]{}); size != 64 {
		t.Errorf("a child has %d bytes", size)
	}
	if size := unsafe.Sizeof(bucket[*int]{}); size != 64 {
		t.Errorf("a bucket has %d bytes", size)
	}
}

// TestTableBranches changes one table twice, so that neither change may be seen in the other.
func TestTableBranches(t *testing.T) {
	t.Parallel()
	seed := maphash.MakeSeed()
	base := table[int]{}
	const count = 500
	for n := range count {
		left, right := base, base
		left.put(newChange(seed), leaf(newChange(seed), n), nothing)
		c := newChange(seed)
		right.put(c, leaf(c, count+n), nothing)
		for old := range min(n, 20) {
			replaced := leaf(c, old)
			replaced.value = -1
			right.put(c, replaced, reach{int64(old), 1})
		}
		checkTable(t, seed, &left, func(i int) bool { return i <= n }, count)
		if found := right.find(seed, nameOf(n)); found != nil || right.find(seed, nameOf(count+n)) == nil {
			t.Fatalf("%d: found %+v", n, found)
		}
		base = left
	}
}
