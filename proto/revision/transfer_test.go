package revision_test

import (
	"testing"

	"tidegate.dev/proto/revision"
)

func TestChunksHashApart(t *testing.T) {
	t.Parallel()
	resource := func(name, body string) revision.Resource {
		return revision.Resource{Key: route(name), Body: []byte(body)}
	}
	seen := map[revision.Digest]string{}
	note := func(what string, digest revision.Digest) {
		if other, twice := seen[digest]; twice {
			t.Errorf("%s and %s hash alike", what, other)
		}
		seen[digest] = what
	}
	none := revision.Digest{}
	one := revision.NextChunk(none, revision.Delta{Upserts: []revision.Resource{resource("a", "bc")}})
	note("one", one)
	note("shifted", revision.NextChunk(none, revision.Delta{Upserts: []revision.Resource{resource("ab", "c")}}))
	note("deleted", revision.NextChunk(none, revision.Delta{Deletes: []revision.Key{route("a")}}))
	note("empty", revision.NextChunk(none, revision.Delta{}))
	note("empty after one", revision.NextChunk(one, revision.Delta{}))
	note("both at once", revision.NextChunk(none, revision.Delta{Upserts: []revision.Resource{resource("a", "bc"), resource("d", "e")}}))
	note("one after the other", revision.NextChunk(one, revision.Delta{Upserts: []revision.Resource{resource("d", "e")}}))
	note("turned around", revision.NextChunk(none, revision.Delta{Upserts: []revision.Resource{resource("d", "e"), resource("a", "bc")}}))
	if one != revision.NextChunk(none, revision.Delta{Upserts: []revision.Resource{resource("a", "bc")}}) {
		t.Error("the same chunk hashes to two digests")
	}
}
