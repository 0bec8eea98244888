package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/dataplane/agent/journal"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

const (
	// mostChunks and mostContent bound a transfer.
	mostChunks  = 1 << 16
	mostContent = 512 << 20
)

// transfer collects the chunks of one way from a content to another.
type transfer struct {
	chunks []*agentv1.ContentChunk
	size   int
	digest revision.Digest // over the chunks, one after the other
}

// failedTransfer is why a content was not kept; the state that desires it is refused with this.
type failedTransfer struct {
	revision int64
	code     string
	err      error
}

// add takes a chunk; whole says that it was the last.
func (t *transfer) add(chunk *agentv1.ContentChunk) (whole bool, err error) {
	if chunk.GetIndex() == 0 {
		*t = transfer{}
	}
	if int(chunk.GetIndex()) != len(t.chunks) {
		return false, fmt.Errorf("chunk %d of a content came where %d was due", chunk.GetIndex(), len(t.chunks))
	}
	if len(t.chunks) > 0 && !t.continuedBy(chunk) {
		return false, errors.New("the chunks of a content do not belong together")
	}
	t.chunks = append(t.chunks, chunk)
	t.size += proto.Size(chunk)
	t.digest = revision.NextChunk(t.digest, journal.DeltaOf(chunk.GetUpserts(), chunk.GetDeletes()))
	if len(t.chunks) > mostChunks || t.size > mostContent {
		return false, fmt.Errorf("a content is larger than %d bytes", mostContent)
	}
	return chunk.GetLast(), nil
}

// begun tells the control plane what has come of a transfer whose stream was cut; nil: nothing.
func (t *transfer) begun() *agentv1.PartialContent {
	if len(t.chunks) == 0 {
		return nil
	}
	return &agentv1.PartialContent{
		From: t.chunks[0].GetFrom(), To: t.chunks[0].GetTo(), Chunks: uint32(len(t.chunks)), Digest: bytes.Clone(t.digest[:]),
	}
}

func (t *transfer) continuedBy(chunk *agentv1.ContentChunk) bool {
	first := t.chunks[0]
	return sameRoot(chunk.GetFrom(), first.GetFrom()) && sameRoot(chunk.GetTo(), first.GetTo())
}

// onContent takes a chunk, and after the last checks the whole and keeps it. A content that is not what it should be is
// forgotten: the state that desires it will say why it is refused.
func (a *Agent) onContent(ctx context.Context, chunk *agentv1.ContentChunk) error {
	whole, err := a.transfer.add(chunk)
	if err != nil || !whole {
		return err
	}
	chunks := a.transfer.chunks
	a.transfer = transfer{}
	to := chunk.GetTo()
	if err := a.keepContent(chunks); err != nil {
		a.log.ErrorContext(ctx, "content not kept", "revision", to.GetRevision(), "error", err.err)
		a.failed = *err
		return nil
	}
	if a.failed.revision == to.GetRevision() {
		a.failed = failedTransfer{}
	}
	return nil
}

func (a *Agent) keepContent(chunks []*agentv1.ContentChunk) *failedTransfer {
	from, to := chunks[0].GetFrom(), chunks[0].GetTo()
	fail := func(code string, err error) *failedTransfer { return &failedTransfer{to.GetRevision(), code, err} }
	content, held := a.journal.State().Content(from.GetRoot())
	if !held {
		return fail("content_missing", fmt.Errorf("the content of revision %d, from which it starts, is not held", from.GetRevision()))
	}
	records, root := recordsOf(content, chunks)
	if !bytes.Equal(root[:], canonicalRoot(to)) {
		return fail("root_mismatch", fmt.Errorf("the content hashes to %s, not to %x", root, to.GetRoot()))
	}
	if err := a.journal.Append(records...); err != nil {
		return fail("journal", err)
	}
	return nil
}

// recordsOf makes a record of each chunk. All but the last lead to a root that no revision has.
func recordsOf(content *revision.Content, chunks []*agentv1.ContentChunk) (records []*agentv1.JournalRecord, root revision.Digest) {
	at, to := chunks[0].GetFrom(), chunks[0].GetTo()
	for i, chunk := range chunks {
		content = content.Apply(journal.DeltaOf(chunk.GetUpserts(), chunk.GetDeletes()))
		root = content.Root()
		step := &agentv1.RevisionReference{Root: bytes.Clone(root[:])}
		if i == len(chunks)-1 {
			step = to
		}
		records = append(records, journal.ContentRecord(&agentv1.ContentRecord{
			From: at, To: step, Upserts: chunk.GetUpserts(), Deletes: chunk.GetDeletes(),
		}))
		at = step
	}
	return records, root
}

// canonicalRoot is the root in 32 bytes; that of the empty content may come empty.
func canonicalRoot(reference *agentv1.RevisionReference) []byte {
	if len(reference.GetRoot()) == 0 {
		return make([]byte, len(revision.Digest{}))
	}
	return reference.GetRoot()
}

func sameRoot(a, b *agentv1.RevisionReference) bool {
	return bytes.Equal(canonicalRoot(a), canonicalRoot(b))
}
