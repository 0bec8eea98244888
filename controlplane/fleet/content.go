package fleet

import (
	"context"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

const (
	// chunkLimit bounds the bodies in one chunk, in bytes; one larger body travels alone.
	chunkLimit = 256 << 10
	// contentMemory bounds the deltas that are kept, in bytes.
	contentMemory = 64 << 20
	// entryOverhead is what a resource costs beside its body: its name, its kind, lengths.
	entryOverhead = 64
)

// contents reads the way from one revision's content to another's.
type contents struct {
	store  *store.Store
	shared *shared[contentKey, []chunk]
}

// chunk is a part of a transfer, encoded once for all agents.
type chunk struct {
	bytes encoded
	// digest is the running digest up to this chunk (revision.NextChunk).
	digest revision.Digest
}

// contentKey names a delta. It carries the roots, since after a restore from a backup a number may mean another revision.
type contentKey struct {
	fleetID          int64
	from, to         int64
	fromRoot, toRoot string
}

func newContents(s *store.Store) *contents {
	return &contents{store: s, shared: newShared[contentKey](contentMemory, sizeOfChunks)}
}

// chunks returns what leads from one revision to another. They are shared: nobody may change them.
func (c *contents) chunks(ctx context.Context, fleetID int64, from, to store.RevisionReference) ([]chunk, error) {
	key := contentKey{fleetID: fleetID, from: from.Number, to: to.Number, fromRoot: string(from.Root), toRoot: string(to.Root)}
	return c.shared.get(ctx, key, func(ctx context.Context) ([]chunk, error) {
		if key.fromRoot == key.toRoot {
			return encodeChunks(chunked(from, to, nil, nil))
		}
		var upserts []store.ContentUpsert
		var deletes []store.ContentDelete
		err := c.store.View(ctx, func(tx *store.Tx) (err error) {
			upserts, deletes, err = tx.ContentDelta(ctx, fleetID, from.Number, to.Number)
			return err
		})
		if err != nil {
			return nil, err
		}
		return encodeChunks(chunked(from, to, upserts, deletes))
	})
}

func encodeChunks(messages []*agentv1.ConnectResponse) (chunks []chunk, err error) {
	var digest revision.Digest
	for _, message := range messages {
		digest = revision.NextChunk(digest, deltaOf(message.GetContent()))
		bytes, err := encode(message)
		if err != nil {
			return nil, err
		}
		chunks = append(chunks, chunk{bytes: bytes, digest: digest})
	}
	return chunks, nil
}

// chunked cuts a delta into messages. There is always at least one, the last.
func chunked(from, to store.RevisionReference, upserts []store.ContentUpsert, deletes []store.ContentDelete) []*agentv1.ConnectResponse {
	var chunks []*agentv1.ContentChunk
	current, room := &agentv1.ContentChunk{}, chunkLimit
	fit := func(bytes int) {
		if bytes > room && room < chunkLimit {
			chunks = append(chunks, current)
			current, room = &agentv1.ContentChunk{}, chunkLimit
		}
		room -= bytes
	}
	for _, gone := range deletes {
		fit(entryOverhead + len(gone.Name))
		current.Deletes = append(current.Deletes, &agentv1.ResourceName{Kind: gone.Kind, Name: gone.Name})
	}
	for _, resource := range upserts {
		fit(entryOverhead + len(resource.Name) + len(resource.Body))
		current.Upserts = append(current.Upserts, &agentv1.EncodedResource{Kind: resource.Kind, Name: resource.Name, Body: resource.Body})
	}
	chunks = append(chunks, current)
	messages := make([]*agentv1.ConnectResponse, len(chunks))
	for i, chunk := range chunks {
		chunk.From, chunk.To = reference(from), reference(to)
		chunk.Index, chunk.Last = uint32(i), i == len(chunks)-1
		messages[i] = &agentv1.ConnectResponse{Message: &agentv1.ConnectResponse_Content{Content: chunk}}
	}
	return messages
}

func sizeOfChunks(chunks []chunk) (bytes int) {
	for _, chunk := range chunks {
		bytes += entryOverhead + len(chunk.bytes)
	}
	return bytes
}

// reference names a revision to an agent. Revision 0 is empty and has no root.
func reference(revision store.RevisionReference) *agentv1.RevisionReference {
	return &agentv1.RevisionReference{Revision: revision.Number, Root: revision.Root, LaneSequence: revision.LaneSequence}
}
