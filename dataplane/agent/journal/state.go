package journal

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

const (
	// spareContents is how many contents are kept that no desired state names: received, and refused or not yet wanted.
	spareContents = 4
	// maxDropped is how many dropped candidates are remembered, the newest.
	maxDropped = 64
)

// LaneKey names a resource of the fast lane.
type LaneKey struct {
	Kind configv1.Kind
	Name string
}

// Held is a content and the revision it was received as.
type Held struct {
	Reference *agentv1.RevisionReference
	Content   *revision.Content
}

// State is what the journal holds. It belongs to the goroutine that appends; what its methods return must not be changed.
type State struct {
	// Desired is the last desired state that was accepted; nil: none.
	Desired *agentv1.DesiredState
	// PreviousStable is the stable revision before Desired's; nil: none.
	PreviousStable *agentv1.RevisionReference
	// Dropped are the candidates that must not be installed again, the newest last.
	Dropped []*agentv1.DroppedRevision
	// KeyHashKey is the key of the keyed hash of API keys.
	KeyHashKey []byte
	// SessionTicketSecret is what the keys of TLS session tickets are derived from.
	SessionTicketSecret []byte
	// LaneEpoch and LaneSequence say up to where the fast lane is held.
	LaneEpoch, LaneSequence int64

	fleet, agentID string
	contents       []Held // the oldest first
	partial        Held   // a step within a transfer, which no revision names
	lane           map[LaneKey]*agentv1.LaneEntry
	staged         []*agentv1.LaneBatch // of a clone: to be written into lane by commit
	parts          []*agentv1.LaneBatch // of a reset whose last record is missing: it has no effect
}

func newState(fleet, agentID string) *State {
	return &State{fleet: fleet, agentID: agentID, lane: make(map[LaneKey]*agentv1.LaneEntry)}
}

// Content finds a content by its root. The empty content is always held.
func (s *State) Content(root []byte) (*revision.Content, bool) {
	if isEmptyRoot(root) {
		return revision.NewContent(), true
	}
	if i := s.find(root); i >= 0 {
		return s.contents[i].Content, true
	}
	if s.partial.Content != nil && bytes.Equal(s.partial.Reference.GetRoot(), root) {
		return s.partial.Content, true
	}
	return nil, false
}

// Holds lists the revisions whose content is held.
func (s *State) Holds() []*agentv1.RevisionReference {
	var references []*agentv1.RevisionReference
	for _, held := range s.contents {
		references = append(references, held.Reference)
	}
	return references
}

// Lane is the whole fast lane as one batch that begins with a reset.
func (s *State) Lane() *agentv1.LaneBatch {
	return &agentv1.LaneBatch{
		Fleet: s.fleet, Epoch: s.LaneEpoch, Reset_: true, ThroughSequence: s.LaneSequence,
		Entries: slices.SortedFunc(maps.Values(s.lane), func(a, b *agentv1.LaneEntry) int {
			return int(a.GetSequence() - b.GetSequence())
		}),
	}
}

// DroppedReason says whether a revision was dropped, and why.
func (s *State) DroppedReason(revision int64) (string, bool) {
	for _, dropped := range s.Dropped {
		if dropped.GetRevision() == revision {
			return dropped.GetReason(), true
		}
	}
	return "", false
}

// clone shares the lane, which commit writes, and copies the rest, which is small.
func (s *State) clone() *State {
	next := *s
	next.contents, next.Dropped = slices.Clone(s.contents), slices.Clone(s.Dropped)
	next.staged = nil
	return &next
}

// apply adds a record to a clone.
func (s *State) apply(record *agentv1.JournalRecord) error {
	switch r := record.GetRecord().(type) {
	case *agentv1.JournalRecord_Header:
		if r.Header.GetFleet() != s.fleet || r.Header.GetAgentId() != s.agentID {
			return errors.New("the journal belongs to another agent")
		}
	case *agentv1.JournalRecord_Content:
		return s.applyContent(r.Content)
	case *agentv1.JournalRecord_Desired:
		return s.applyDesired(r.Desired)
	case *agentv1.JournalRecord_Lane:
		return s.applyLane(r.Lane)
	case *agentv1.JournalRecord_Dropped:
		s.Dropped = append(s.Dropped, r.Dropped)
		s.Dropped = s.Dropped[max(0, len(s.Dropped)-maxDropped):]
	case *agentv1.JournalRecord_KeyHashKey:
		s.KeyHashKey = r.KeyHashKey
	case *agentv1.JournalRecord_SessionTicketSecret:
		s.SessionTicketSecret = r.SessionTicketSecret
	default:
		return errors.New("a record of an unknown type")
	}
	return nil
}

func (s *State) applyContent(record *agentv1.ContentRecord) error {
	from, held := s.Content(record.GetFrom().GetRoot())
	if !held {
		return fmt.Errorf("a content starts from %x, which is not held", record.GetFrom().GetRoot())
	}
	to := from.Apply(DeltaOf(record.GetUpserts(), record.GetDeletes()))
	root := to.Root()
	if same := bytes.Equal(root[:], record.GetTo().GetRoot()) || to.Len() == 0 && isEmptyRoot(record.GetTo().GetRoot()); !same {
		return fmt.Errorf("a content has the root %s, not %x", root, record.GetTo().GetRoot())
	}
	if record.GetTo().GetRevision() == 0 {
		s.partial = Held{record.GetTo(), to}
		return nil
	}
	s.partial = Held{}
	if i := s.find(record.GetTo().GetRoot()); i >= 0 {
		s.contents = slices.Delete(s.contents, i, i+1)
	}
	s.contents = append(s.contents, Held{record.GetTo(), to})
	s.forget()
	return nil
}

func (s *State) applyDesired(desired *agentv1.DesiredState) error {
	for _, reference := range []*agentv1.RevisionReference{desired.GetStable(), desired.GetCandidate()} {
		if _, held := s.Content(reference.GetRoot()); reference != nil && !held {
			return fmt.Errorf("revision %d is desired and its content is not held", reference.GetRevision())
		}
	}
	if before := s.Desired.GetStable(); before != nil && !bytes.Equal(before.GetRoot(), desired.GetStable().GetRoot()) {
		s.PreviousStable = before
	}
	if desired.GetEpoch() > s.Desired.GetEpoch() {
		s.Dropped = nil // in another epoch the numbers mean other revisions
	}
	s.Desired = desired
	s.forget()
	return nil
}

// forget drops the oldest contents that nothing names, beyond a few.
func (s *State) forget() {
	spare := 0
	for i := len(s.contents) - 1; i >= 0; i-- {
		if s.wanted(s.contents[i].Reference.GetRoot()) {
			continue
		}
		if spare++; spare > spareContents {
			s.contents = slices.Delete(s.contents, i, i+1)
		}
	}
}

func (s *State) wanted(root []byte) bool {
	for _, r := range []*agentv1.RevisionReference{s.Desired.GetStable(), s.Desired.GetCandidate(), s.PreviousStable} {
		if r != nil && bytes.Equal(r.GetRoot(), root) {
			return true
		}
	}
	return false
}

func (s *State) find(root []byte) int {
	return slices.IndexFunc(s.contents, func(h Held) bool { return bytes.Equal(h.Reference.GetRoot(), root) })
}

// applyLane checks that the batch continues the lane. The agent cuts a batch to what is new before it appends it. Parts of a reset
// have no effect before the last; one whose end is missing was cut off by a crash, and is forgotten when something else follows.
func (s *State) applyLane(batch *agentv1.LaneBatch) error {
	goesOn := len(s.parts) > 0 && !batch.GetReset_() && batch.GetEpoch() == s.parts[0].GetEpoch() &&
		batch.GetAfterSequence() == s.parts[len(s.parts)-1].GetThroughSequence()
	if batch.GetIncomplete() && (batch.GetReset_() || goesOn) {
		if batch.GetReset_() {
			s.parts = nil
		}
		s.parts = append(slices.Clip(s.parts), batch)
		return nil
	}
	if goesOn {
		s.LaneEpoch, s.LaneSequence = batch.GetEpoch(), batch.GetThroughSequence()
		s.staged = slices.Concat(s.staged, s.parts, []*agentv1.LaneBatch{batch})
		s.parts = nil
		return nil
	}
	s.parts = nil
	continues := batch.GetEpoch() == s.LaneEpoch && batch.GetAfterSequence() == s.LaneSequence
	if !batch.GetReset_() && !continues {
		return fmt.Errorf("a part of the fast lane starts after (%d, %d) and (%d, %d) is held",
			batch.GetEpoch(), batch.GetAfterSequence(), s.LaneEpoch, s.LaneSequence)
	}
	s.LaneEpoch, s.LaneSequence = batch.GetEpoch(), batch.GetThroughSequence()
	s.staged = append(s.staged, batch)
	return nil
}

// commit writes what a clone staged into the lane that it shares with the state it came from.
func (s *State) commit() {
	for _, batch := range s.staged {
		if batch.GetReset_() {
			clear(s.lane)
		}
		for _, entry := range batch.GetEntries() {
			key := LaneKey{entry.GetKind(), entry.GetName()}
			if entry.GetDeleted() {
				delete(s.lane, key)
			} else {
				s.lane[key] = entry
			}
		}
	}
	s.staged = nil
}

// DeltaOf is a delta of messages as package revision takes it. Of a resource that is named twice only the last upsert
// counts, and a delete wins.
func DeltaOf(upserts []*agentv1.EncodedResource, deletes []*agentv1.ResourceName) revision.Delta {
	var delta revision.Delta
	for _, r := range upserts {
		key := revision.Key{Kind: r.GetKind(), Name: r.GetName()}
		delta.Upserts = append(delta.Upserts, revision.Resource{Key: key, Body: r.GetBody()})
	}
	for _, r := range deletes {
		delta.Deletes = append(delta.Deletes, revision.Key{Kind: r.GetKind(), Name: r.GetName()})
	}
	return delta
}

// recordOf has the messages of a delta, the way back from DeltaOf.
func recordOf(delta revision.Delta) *agentv1.ContentRecord {
	record := new(agentv1.ContentRecord)
	for _, r := range delta.Upserts {
		record.Upserts = append(record.Upserts, &agentv1.EncodedResource{Kind: r.Kind, Name: r.Name, Body: r.Body})
	}
	for _, k := range delta.Deletes {
		record.Deletes = append(record.Deletes, &agentv1.ResourceName{Kind: k.Kind, Name: k.Name})
	}
	return record
}

func isEmptyRoot(root []byte) bool {
	return len(root) == 0 || bytes.Equal(root, make([]byte, len(revision.Digest{})))
}

func encode(record *agentv1.JournalRecord) ([]byte, error) {
	payload, err := proto.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("encoding a record: %w", err)
	}
	return payload, nil
}
