package router

import (
	"fmt"
	"hash/maphash"
	"testing"
)

// number is a table's value whose priority is itself.
type number int64

func (n number) highest() int64 { return int64(n) }

func TestTableKeepsOldVersions(t *testing.T) {
	t.Parallel()
	seed := maphash.MakeSeed()
	const count = 3000
	versions := []table[number]{{}}
	for i := range count {
		c := newChange(seed)
		version := versions[i]
		version.put(c, fmt.Sprint(i), number(i))
		versions = append(versions, version)
	}
	for _, n := range []int{0, 1, 4, 5, 6, 64, 65, 1000, count} {
		version := versions[n]
		if version.size != n || n > 0 && version.highest() != int64(n-1) || n == 0 && version.highest() != lowest {
			t.Errorf("version %d: size %d, highest %d", n, version.size, version.highest())
		}
		for i := range count {
			if value, ok := version.get(seed, fmt.Sprint(i)); ok != (i < n) || ok && value != number(i) {
				t.Fatalf("version %d: %d is %d, %v", n, i, value, ok)
			}
		}
	}
}

func TestTableRemoves(t *testing.T) {
	t.Parallel()
	seed := maphash.MakeSeed()
	full := table[number]{}
	build := newChange(seed)
	const count = 500
	for i := range count {
		full.put(build, fmt.Sprint(i), number(i))
	}
	left := full
	for i := count - 1; i >= 0; i-- {
		left.remove(newChange(seed), fmt.Sprint(i))
		if _, ok := left.get(seed, fmt.Sprint(i)); ok || left.size != i {
			t.Fatalf("%d is still there, size %d", i, left.size)
		}
		if i > 0 && left.highest() != int64(i-1) {
			t.Fatalf("highest is %d with %d left", left.highest(), i)
		}
	}
	if left.remove(build, "x"); left != (table[number]{}) || full.size != count {
		t.Error("not empty, or the full table changed")
	}
}

// TestTableListsKeysWhoseHashesAreUsedUp starts at the depth where no bits are left to tell keys apart.
func TestTableListsKeysWhoseHashesAreUsedUp(t *testing.T) {
	t.Parallel()
	c := newChange(maphash.MakeSeed())
	var b *branch[number]
	for i := range 20 {
		b, _ = b.put(c, maxDepth, fmt.Sprint(i), number(i))
	}
	for i := range 20 {
		if value, ok := b.find(fmt.Sprint(i)); !ok || value != number(i) {
			t.Errorf("%d is %d, %v", i, value, ok)
		}
	}
	for i := range 20 {
		b = b.remove(c, maxDepth, fmt.Sprint(i))
	}
	if b != nil {
		t.Errorf("left over: %+v", b)
	}
}
