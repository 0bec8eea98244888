package fleet

import (
	"bytes"

	"tidegate.dev/controlplane/store"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// holding is what is known of the content that an agent holds: what it said, and what it was sent since. Belonging to a
// revision is decided by the root, since after a restore from a backup a number may mean something else.
type holding struct {
	revisions map[int64]held
}

type held struct {
	root []byte
	// proved: the agent itself said that it holds it.
	proved bool
}

// newHolding begins with those revisions of the hello whose root is the store's.
func newHolding(said []*agentv1.RevisionReference, roots map[int64][]byte) holding {
	h := holding{revisions: map[int64]held{}}
	for _, revision := range said {
		if root, ok := roots[revision.GetRevision()]; ok && bytes.Equal(root, revision.GetRoot()) {
			h.revisions[revision.GetRevision()] = held{root: root, proved: true}
		}
	}
	return h
}

func (h *holding) holds(wanted store.RevisionReference) bool {
	had, ok := h.revisions[wanted.Number]
	return ok && bytes.Equal(had.root, wanted.Root)
}

// add notes content that was sent.
func (h *holding) add(sent store.RevisionReference) {
	h.revisions[sent.Number] = held{root: sent.Root}
}

// base is the revision from which the way to wanted is likely the shortest: one of the same content, else one that the agent
// certainly holds, else the nearest. With nothing held it is revision 0, the empty one.
func (h *holding) base(wanted store.RevisionReference) (best store.RevisionReference) {
	bestRank := -1
	for number, had := range h.revisions {
		rank := 0
		if had.proved {
			rank = 1
		}
		if bytes.Equal(had.root, wanted.Root) {
			rank = 2
		}
		nearer := distance(number, wanted.Number) < distance(best.Number, wanted.Number)
		if rank > bestRank || rank == bestRank && nearer {
			bestRank, best = rank, store.RevisionReference{Number: number, Root: had.root}
		}
	}
	return best
}

func distance(a, b int64) int64 { return max(a-b, b-a) }

// keepOnly forgets what a state does not name: the agent may let go of it as soon as it has the state.
func (h *holding) keepOnly(state *agentv1.DesiredState) {
	for number := range h.revisions {
		if number != state.GetStable().GetRevision() && number != state.GetCandidate().GetRevision() {
			delete(h.revisions, number)
		}
	}
}

// serves notes what the agent says it serves, and so holds.
func (h *holding) serves(serving *agentv1.Serving) {
	for _, number := range []int64{serving.GetStableRevision(), serving.GetCandidateRevision()} {
		if had, ok := h.revisions[number]; ok {
			had.proved = true
			h.revisions[number] = had
		}
	}
}

// distrust forgets what the agent does not say it serves.
func (h *holding) distrust(serving *agentv1.Serving) {
	h.serves(serving)
	for number := range h.revisions {
		if number != serving.GetStableRevision() && number != serving.GetCandidateRevision() {
			delete(h.revisions, number)
		}
	}
}
