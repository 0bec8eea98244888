package revision_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func route(name string) revision.Key {
	return revision.Key{Kind: configv1.Kind_KIND_ROUTE, Name: name}
}

func TestDigestBindsKindNameAndBytes(t *testing.T) {
	t.Parallel()
	base := revision.DigestOf(route("orders"), []byte("body"))
	cases := map[string]revision.Digest{
		"another kind":              revision.DigestOf(revision.Key{Kind: configv1.Kind_KIND_SERVICE, Name: "orders"}, []byte("body")),
		"another name":              revision.DigestOf(route("order"), []byte("body")),
		"other bytes":               revision.DigestOf(route("orders"), []byte("body2")),
		"a byte from name to body":  revision.DigestOf(route("order"), []byte("sbody")),
		"a byte from body to name":  revision.DigestOf(route("ordersb"), []byte("ody")),
		"no body, name and the lot": revision.DigestOf(route("ordersbody"), nil),
	}
	for name, digest := range cases {
		if digest == base {
			t.Errorf("%s: same digest", name)
		}
	}
}

func TestRootIsFrozen(t *testing.T) {
	t.Parallel()
	// What agents of another release compute must not move: if this fails, every agent refuses every revision.
	c := revision.NewContent().Apply(revision.Delta{Upserts: []revision.Resource{
		{Key: route("orders"), Body: []byte("a")},
		{Key: revision.Key{Kind: configv1.Kind_KIND_SERVICE, Name: "orders"}, Body: []byte("b")},
	}})
	const want = "a01141f33217c5ac1e11631b86b1219c21d6f06e27b7d0d4e57783d926b409bd"
	if got := c.Root().String(); got != want {
		t.Errorf("root = %s, want %s", got, want)
	}
}

func TestContentAndUpdateAgreeOnTheRoot(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	content := revision.NewContent()
	nodes := map[revision.Prefix]revision.Node{}
	buckets := map[uint16][]revision.Entry{}
	for round := range 300 {
		delta, changes := randomDelta(random, content)
		updated, root := revision.Update(nodes, buckets, changes)
		for p, n := range updated {
			decoded, err := revision.NodeFrom(n.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			nodes[p] = decoded
		}
		for _, c := range changes {
			b := revision.Bucket(c.Key)
			buckets[b] = revision.ApplyToBucket(buckets[b], []revision.Change{c})
		}
		content = content.Apply(delta)
		if content.Root() != root {
			t.Fatalf("round %d: content has root %s, tree has %s", round, content.Root(), root)
		}
	}
	if rebuilt := rebuild(content); rebuilt.Root() != content.Root() || rebuilt.Len() != content.Len() {
		t.Errorf("rebuilt from scratch: root %s of %d, want %s of %d", rebuilt.Root(), rebuilt.Len(), content.Root(), content.Len())
	}
}

func TestDeletingEverythingLeavesTheEmptyRoot(t *testing.T) {
	t.Parallel()
	keys := make([]revision.Key, 100)
	var add revision.Delta
	for i := range keys {
		keys[i] = route(fmt.Sprint("r", i))
		add.Upserts = append(add.Upserts, revision.Resource{Key: keys[i], Body: []byte{byte(i)}})
	}
	full := revision.NewContent().Apply(add)
	empty := full.Apply(revision.Delta{Deletes: keys})
	if empty.Root() != (revision.Digest{}) || empty.Len() != 0 {
		t.Errorf("root = %s with %d resources, want zero", empty.Root(), empty.Len())
	}
	if full.Len() != 100 {
		t.Errorf("the older content changed: %d resources", full.Len())
	}
}

func FuzzApplyOfDiffIsTheOther(f *testing.F) {
	f.Add(uint64(1), uint64(2), uint8(3), uint8(4))
	f.Add(uint64(7), uint64(7), uint8(0), uint8(40))
	f.Fuzz(func(t *testing.T, seedA, seedB uint64, stepsA, stepsB uint8) {
		common := grow(revision.NewContent(), rand.New(rand.NewPCG(seedA^seedB, 0)), 5)
		a := grow(common, rand.New(rand.NewPCG(seedA, 1)), int(stepsA%16))
		b := grow(common, rand.New(rand.NewPCG(seedB, 2)), int(stepsB%16))
		delta := revision.Diff(a, b)
		if got := a.Apply(delta); got.Root() != b.Root() || got.Len() != b.Len() {
			t.Fatalf("apply(diff(a,b), a) has root %s of %d, b has %s of %d", got.Root(), got.Len(), b.Root(), b.Len())
		}
		if a.Root() == b.Root() && len(delta.Upserts)+len(delta.Deletes) > 0 {
			t.Fatalf("same root, but a difference of %d", len(delta.Upserts)+len(delta.Deletes))
		}
		for entry, body := range b.All() {
			if got, digest, ok := b.Get(entry.Key); !ok || string(got) != string(body) || digest != entry.Digest {
				t.Fatalf("Get(%s) does not find what All visits", entry.Key)
			}
		}
	})
}

func grow(c *revision.Content, random *rand.Rand, steps int) *revision.Content {
	for range steps {
		delta, _ := randomDelta(random, c)
		c = c.Apply(delta)
	}
	return c
}

func randomDelta(random *rand.Rand, c *revision.Content) (revision.Delta, []revision.Change) {
	var delta revision.Delta
	var changes []revision.Change
	seen := map[revision.Key]bool{}
	for range 1 + random.IntN(8) {
		key := route(fmt.Sprint("r", random.IntN(200)))
		if seen[key] {
			continue
		}
		seen[key] = true
		if _, _, ok := c.Get(key); ok && random.IntN(3) == 0 {
			delta.Deletes = append(delta.Deletes, key)
			changes = append(changes, revision.Change{Key: key})
			continue
		}
		body := []byte(fmt.Sprint(random.IntN(4)))
		digest := revision.DigestOf(key, body)
		delta.Upserts = append(delta.Upserts, revision.Resource{Key: key, Body: body})
		changes = append(changes, revision.Change{Key: key, Digest: &digest})
	}
	return delta, changes
}

func rebuild(c *revision.Content) *revision.Content {
	var all revision.Delta
	for entry, body := range c.All() {
		all.Upserts = append(all.Upserts, revision.Resource{Key: entry.Key, Body: slices.Clone(body)})
	}
	return revision.NewContent().Apply(all)
}

func BenchmarkApplyOneOf100000(b *testing.B) {
	var all revision.Delta
	for i := range 100_000 {
		all.Upserts = append(all.Upserts, revision.Resource{Key: route(fmt.Sprint("route-", i)), Body: []byte("some body of a route")})
	}
	content := revision.NewContent().Apply(all)
	one := revision.Delta{Upserts: []revision.Resource{{Key: route("route-77"), Body: []byte("another")}}}
	b.ReportAllocs()
	for b.Loop() {
		content.Apply(one)
	}
}
