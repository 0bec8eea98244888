package fleetagent

import (
	"bytes"
	"fmt"

	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// transfer is the part of a content that has come.
type transfer struct {
	from, to *agentv1.RevisionReference
	content  *revision.Content
	chunks   uint32
	digest   revision.Digest
}

// begun tells what has come of a transfer whose stream was cut; nil: nothing.
func (t *transfer) begun() *agentv1.PartialContent {
	if t.chunks == 0 {
		return nil
	}
	return &agentv1.PartialContent{From: t.from, To: t.to, Chunks: t.chunks, Digest: bytes.Clone(t.digest[:])}
}

// hello says what the agent holds.
func (a *Agent) hello() *agentv1.Hello {
	a.mu.Lock()
	defer a.mu.Unlock()
	hello := &agentv1.Hello{
		BootId: a.bootID, Version: "fleetagent", LaneSequence: a.state.LaneSequence,
		Epoch: a.desired.GetEpoch(), Generation: a.desired.GetGeneration(), Labels: a.config.Labels,
		PartialContent: a.partial.begun(), PartialLane: a.parts,
	}
	for _, one := range a.holds {
		hello.Holds = append(hello.Holds, one.reference)
	}
	return hello
}

func (a *Agent) serving() *agentv1.Serving {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.servingLocked()
}

func (a *Agent) servingLocked() *agentv1.Serving {
	return &agentv1.Serving{
		StableRevision: a.state.Stable, CandidateRevision: a.state.Candidate, CandidateSharePpm: a.state.SharePPM,
		LaneSequence: a.state.LaneSequence,
	}
}

// takeLane moves along the fast lane.
func (a *Agent) takeLane(signed *agentv1.Signed) error {
	batch := new(agentv1.LaneBatch)
	if err := a.config.Identity.open(signed, batch); err != nil {
		return err
	}
	if a.takePart(batch) {
		return nil
	}
	state := a.State()
	gap := batch.GetEpoch() != state.LaneEpoch || batch.GetAfterSequence() > state.LaneSequence
	if !batch.GetReset_() && gap && state.LaneSequence != 0 && a.parts == nil {
		return fmt.Errorf("the fast lane goes on after %d of epoch %d, and %d of epoch %d is held",
			batch.GetAfterSequence(), batch.GetEpoch(), state.LaneSequence, state.LaneEpoch)
	}
	a.update(func(s *State) {
		if batch.GetReset_() || a.parts != nil {
			s.LaneEntries, s.Resets = a.partEntries, s.Resets+1
		}
		a.parts, a.partEntries = nil, 0
		s.LaneEpoch, s.LaneSequence = batch.GetEpoch(), batch.GetThroughSequence()
		s.LaneEntries += int64(len(batch.GetEntries()))
	})
	if a.config.Delivered != nil {
		a.config.Delivered(batch)
	}
	return nil
}

// takePart collects the parts of a lane from nothing, which takes effect with the last.
func (a *Agent) takePart(batch *agentv1.LaneBatch) bool {
	if !batch.GetIncomplete() || !batch.GetReset_() && a.parts == nil {
		return false
	}
	if batch.GetReset_() {
		a.partEntries = 0
	}
	a.parts = &agentv1.PartialLane{Epoch: batch.GetEpoch(), ThroughSequence: batch.GetThroughSequence()}
	a.partEntries += int64(len(batch.GetEntries()))
	return true
}

// takeContent applies a chunk, and after the last compares the root.
func (a *Agent) takeContent(chunk *agentv1.ContentChunk) error {
	if chunk.GetIndex() == 0 {
		from, held := a.content(chunk.GetFrom())
		if !held {
			return fmt.Errorf("a content starts from revision %d, which is not held", chunk.GetFrom().GetRevision())
		}
		a.partial = transfer{from: chunk.GetFrom(), to: chunk.GetTo(), content: from}
	} else if a.chunksOfStream == 0 && chunk.GetIndex() == a.partial.chunks {
		a.update(func(s *State) { s.Resumed++ })
	}
	a.chunksOfStream++
	if a.partial.content == nil || chunk.GetIndex() != a.partial.chunks {
		return fmt.Errorf("chunk %d of a content came where %d was due", chunk.GetIndex(), a.partial.chunks)
	}
	a.partial.content = a.config.Contents.apply(a.partial.content, chunk)
	a.partial.chunks++
	a.partial.digest = revision.NextChunk(a.partial.digest, deltaOf(chunk))
	a.update(func(s *State) { s.Chunks++ })
	if !chunk.GetLast() {
		return nil
	}
	whole := a.partial
	a.partial = transfer{}
	if root := whole.content.Root(); !bytes.Equal(root[:], rootOf(whole.to)) {
		return fmt.Errorf("revision %d hashes to %s, not to %x", whole.to.GetRevision(), root, whole.to.GetRoot())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.holds[whole.content.Root()] = held{reference: whole.to, content: whole.content}
	return nil
}

// content finds a content that is held. The empty one always is.
func (a *Agent) content(reference *agentv1.RevisionReference) (*revision.Content, bool) {
	root := revision.Digest(rootOf(reference))
	if root == (revision.Digest{}) {
		return revision.NewContent(), true
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	found, ok := a.holds[root]
	return found.content, ok
}

// rootOf is a root in 32 bytes; that of the empty content may come empty.
func rootOf(reference *agentv1.RevisionReference) []byte {
	if len(reference.GetRoot()) != len(revision.Digest{}) {
		return make([]byte, len(revision.Digest{}))
	}
	return reference.GetRoot()
}

// serve takes a state and returns what a good agent says to it.
func (a *Agent) serve(desired *agentv1.DesiredState) *agentv1.Acknowledgement {
	answer := &agentv1.Acknowledgement{Epoch: desired.GetEpoch(), Generation: desired.GetGeneration()}
	if fault := a.judge(desired); fault != nil {
		a.update(func(s *State) { s.Fault = fault.GetMessage() })
		answer.Status, answer.Errors, answer.Serving = agentv1.Acknowledgement_STATUS_REFUSED, []*agentv1.ResourceError{fault}, a.serving()
		return answer
	}
	a.update(func(s *State) {
		a.desired = desired
		s.Epoch, s.Generation = desired.GetEpoch(), desired.GetGeneration()
		s.Stable, s.Candidate = desired.GetStable().GetRevision(), desired.GetCandidate().GetRevision()
		s.SharePPM = desired.GetCandidateSharePpm()
		for root := range a.holds {
			if !bytes.Equal(root[:], rootOf(desired.GetStable())) && !bytes.Equal(root[:], rootOf(desired.GetCandidate())) {
				delete(a.holds, root)
			}
		}
		answer.Serving = a.servingLocked()
	})
	answer.Status = agentv1.Acknowledgement_STATUS_SERVING
	return answer
}

// judge says what keeps the agent from serving a state; nil: nothing.
func (a *Agent) judge(desired *agentv1.DesiredState) *agentv1.ResourceError {
	a.mu.Lock()
	accepted, lane := a.desired, a.state.LaneSequence
	a.mu.Unlock()
	older := desired.GetEpoch() < accepted.GetEpoch() ||
		desired.GetEpoch() == accepted.GetEpoch() && desired.GetGeneration() < accepted.GetGeneration()
	switch {
	case desired.GetAgentId() != a.config.Identity.AgentID || desired.GetFleet() != a.config.Identity.Fleet:
		return &agentv1.ResourceError{Code: "identity", Message: "the state is another agent's"}
	case older:
		return &agentv1.ResourceError{Code: "stale_generation", Message: "the state is older than what was accepted"}
	}
	for _, reference := range []*agentv1.RevisionReference{desired.GetStable(), desired.GetCandidate()} {
		if _, held := a.content(reference); !held {
			return &agentv1.ResourceError{Code: "content_missing", Message: fmt.Sprintf("the content of revision %d is not held", reference.GetRevision())}
		}
		if reference.GetLaneSequence() > lane {
			return &agentv1.ResourceError{Code: "lane", Message: fmt.Sprintf("revision %d needs the lane up to %d", reference.GetRevision(), reference.GetLaneSequence())}
		}
	}
	return nil
}
