package fleetagent

import (
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"

	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// Contents are the contents that the agents of one process hold. What two of them receive alike, byte by byte, is applied and
// hashed once, so that a thousand agents cost one and some. It is safe for concurrent use.
type Contents struct {
	mu    sync.Mutex
	known map[step]*applied
	order []step // the oldest first
}

// step is a chunk that was applied to a content.
type step struct {
	before revision.Digest
	chunk  [sha256.Size]byte
}

// applied is what a step came to, when ready is closed.
type applied struct {
	ready chan struct{}
	after *revision.Content
}

// stepsKept bounds what is remembered; contents share what they have in common.
const stepsKept = 4096

// NewContents returns an empty memory.
func NewContents() *Contents { return &Contents{known: map[step]*applied{}} }

// apply is the content after a chunk.
func (c *Contents) apply(before *revision.Content, chunk *agentv1.ContentChunk) *revision.Content {
	key := step{before: before.Root(), chunk: digestOf(chunk)}
	c.mu.Lock()
	found, known := c.known[key]
	if !known {
		found = &applied{ready: make(chan struct{})}
		c.known[key] = found
		if c.order = append(c.order, key); len(c.order) > stepsKept {
			delete(c.known, c.order[0])
			c.order = c.order[1:]
		}
	}
	c.mu.Unlock()
	if known {
		<-found.ready
		return found.after
	}
	found.after = before.Apply(deltaOf(chunk))
	close(found.ready)
	return found.after
}

func deltaOf(chunk *agentv1.ContentChunk) revision.Delta {
	var delta revision.Delta
	for _, resource := range chunk.GetUpserts() {
		delta.Upserts = append(delta.Upserts, revision.Resource{
			Key: revision.Key{Kind: resource.GetKind(), Name: resource.GetName()}, Body: resource.GetBody(),
		})
	}
	for _, gone := range chunk.GetDeletes() {
		delta.Deletes = append(delta.Deletes, revision.Key{Kind: gone.GetKind(), Name: gone.GetName()})
	}
	return delta
}

// digestOf names what a chunk does.
func digestOf(chunk *agentv1.ContentChunk) (digest [sha256.Size]byte) {
	sum := sha256.New()
	for _, resource := range chunk.GetUpserts() {
		writeParts(sum, 1, uint64(resource.GetKind()), []byte(resource.GetName()), resource.GetBody())
	}
	for _, gone := range chunk.GetDeletes() {
		writeParts(sum, 2, uint64(gone.GetKind()), []byte(gone.GetName()))
	}
	return [sha256.Size]byte(sum.Sum(digest[:0]))
}

// writeParts writes numbers and texts so that no two lists of them are written alike.
func writeParts(sum hash.Hash, what byte, kind uint64, parts ...[]byte) {
	head := binary.AppendUvarint([]byte{what}, kind)
	_, _ = sum.Write(head) // a hash takes everything
	for _, part := range parts {
		_, _ = sum.Write(binary.AppendUvarint(nil, uint64(len(part))))
		_, _ = sum.Write(part)
	}
}
