package fleet

import (
	"bytes"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// begunContent is the beginning of a transfer that an agent says it has, after a stream that was cut. It is believed only as far
// as its digest is that of what would be sent again.
type begunContent struct {
	from, to store.RevisionReference
	chunks   int
	digest   []byte
}

// newBegun reads what the agent says; nil: it has nothing that can be used. The transfer must begin with nothing or with what the
// agent holds, and lead to a revision of the fleet.
func newBegun(said *agentv1.PartialContent, holds holding, roots map[int64][]byte) *begunContent {
	to, from := said.GetTo(), said.GetFrom()
	if said.GetChunks() == 0 || !bytes.Equal(roots[to.GetRevision()], to.GetRoot()) || len(to.GetRoot()) == 0 {
		return nil
	}
	begun := &begunContent{
		from:   store.RevisionReference{Number: from.GetRevision(), Root: from.GetRoot()},
		to:     store.RevisionReference{Number: to.GetRevision(), Root: to.GetRoot(), LaneSequence: to.GetLaneSequence()},
		chunks: int(said.GetChunks()), digest: said.GetDigest(),
	}
	if isEmpty(from) {
		begun.from = store.RevisionReference{}
	} else if !holds.holds(begun.from) {
		return nil
	}
	return begun
}

func isEmpty(reference *agentv1.RevisionReference) bool {
	return len(bytes.Trim(reference.GetRoot(), "\x00")) == 0
}

func (b *begunContent) leadsTo(wanted store.RevisionReference) bool {
	return b.to.Number == wanted.Number && bytes.Equal(b.to.Root, wanted.Root)
}

// held is how many of the chunks the agent has: all that it says, or none. The last is never among them, since with it the
// transfer would have been whole.
func (b *begunContent) held(chunks []chunk) int {
	if b == nil || b.chunks >= len(chunks) || !bytes.Equal(chunks[b.chunks-1].digest[:], b.digest) {
		return 0
	}
	return b.chunks
}

func deltaOf(chunk *agentv1.ContentChunk) revision.Delta {
	var delta revision.Delta
	for _, resource := range chunk.GetUpserts() {
		key := revision.Key{Kind: resource.GetKind(), Name: resource.GetName()}
		delta.Upserts = append(delta.Upserts, revision.Resource{Key: key, Body: resource.GetBody()})
	}
	for _, gone := range chunk.GetDeletes() {
		delta.Deletes = append(delta.Deletes, revision.Key{Kind: gone.GetKind(), Name: gone.GetName()})
	}
	return delta
}
