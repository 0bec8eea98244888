package journal

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

const (
	// format is the version of the records' meaning.
	format = 1
	// partSize is about how many bytes of resources go into one record of a checkpoint.
	partSize = 4 << 20
)

// records calls write with everything that leads from an empty state to this one, in order. It puts the contents in the
// order in which they were written, so that the state and one recovered from the checkpoint forget alike.
func (s *State) records(write func(*agentv1.JournalRecord) error) error {
	header := &agentv1.JournalHeader{Fleet: s.fleet, AgentId: s.agentID, Format: format}
	if err := write(&agentv1.JournalRecord{Record: &agentv1.JournalRecord_Header{Header: header}}); err != nil {
		return err
	}
	slices.SortStableFunc(s.contents, func(a, b Held) int { return s.rank(a) - s.rank(b) })
	wanted := slices.IndexFunc(s.contents, func(h Held) bool { return s.rank(h) > 0 })
	if wanted < 0 {
		wanted = len(s.contents)
	}
	last := Held{&agentv1.RevisionReference{}, revision.NewContent()}
	for i, held := range s.contents {
		if i == wanted {
			if err := s.desiredRecords(write); err != nil {
				return err
			}
		}
		if err := contentRecords(last, held, write); err != nil {
			return err
		}
		last = held
	}
	if wanted == len(s.contents) {
		if err := s.desiredRecords(write); err != nil {
			return err
		}
	}
	return s.laneRecords(write)
}

// rank puts the contents that a desired state names before the spare ones.
func (s *State) rank(held Held) int {
	if s.wanted(held.Reference.GetRoot()) {
		return 0
	}
	return 1
}

func (s *State) desiredRecords(write func(*agentv1.JournalRecord) error) error {
	if s.PreviousStable != nil {
		if err := write(DesiredRecord(&agentv1.DesiredState{Fleet: s.fleet, Stable: s.PreviousStable})); err != nil {
			return err
		}
	}
	if s.Desired != nil {
		if err := write(DesiredRecord(s.Desired)); err != nil {
			return err
		}
	}
	for _, dropped := range s.Dropped {
		if err := write(DroppedRecord(dropped)); err != nil {
			return err
		}
	}
	if s.KeyHashKey != nil {
		if err := write(KeyHashKeyRecord(s.KeyHashKey)); err != nil {
			return err
		}
	}
	if s.SessionTicketSecret != nil {
		return write(SessionTicketSecretRecord(s.SessionTicketSecret))
	}
	return nil
}

// contentRecords writes the way from one content to another in parts. All but the last lead to a root that no revision
// has, and so have revision 0.
func contentRecords(from, to Held, write func(*agentv1.JournalRecord) error) error {
	delta := revision.Diff(from.Content, to.Content)
	at, content := from.Reference, from.Content
	for {
		part, rest := cut(delta)
		record := recordOf(part)
		record.From, record.To = at, to.Reference
		if rest {
			content = content.Apply(part)
			root := content.Root()
			record.To = &agentv1.RevisionReference{Root: root[:]}
		}
		if err := write(ContentRecord(record)); err != nil || !rest {
			return err
		}
		at = record.To
		delta.Upserts, delta.Deletes = delta.Upserts[len(part.Upserts):], delta.Deletes[len(part.Deletes):]
	}
}

// cut takes the beginning of a delta that fits into one record, and says whether something is left.
func cut(delta revision.Delta) (part revision.Delta, rest bool) {
	size := 0
	for i, r := range delta.Upserts {
		if size += len(r.Body) + len(r.Name) + 16; size > partSize && i > 0 {
			return revision.Delta{Upserts: delta.Upserts[:i]}, true
		}
	}
	for i, k := range delta.Deletes {
		if size += len(k.Name) + 16; size > partSize && len(delta.Upserts)+i > 0 {
			return revision.Delta{Upserts: delta.Upserts, Deletes: delta.Deletes[:i]}, true
		}
	}
	return delta, false
}

func (s *State) laneRecords(write func(*agentv1.JournalRecord) error) error {
	whole := s.Lane()
	if s.LaneEpoch == 0 && s.LaneSequence == 0 && len(whole.GetEntries()) == 0 {
		return nil
	}
	reset, after := true, int64(0)
	for first := true; first || len(whole.GetEntries()) > 0; first = false {
		n := countOfPart(whole.GetEntries())
		part := &agentv1.LaneBatch{
			Fleet: whole.GetFleet(), Epoch: whole.GetEpoch(), Reset_: reset,
			AfterSequence: after, ThroughSequence: whole.GetThroughSequence(), Entries: whole.GetEntries()[:n],
		}
		if err := write(LaneRecord(part)); err != nil {
			return err
		}
		whole.Entries, reset, after = whole.GetEntries()[n:], false, whole.GetThroughSequence()
	}
	return nil
}

// countOfPart says how many entries fit into one record: at least one, if there is one.
func countOfPart(entries []*agentv1.LaneEntry) int {
	size := 0
	for i, entry := range entries {
		if size += proto.Size(entry) + 8; size > partSize && i > 0 {
			return i
		}
	}
	return len(entries)
}
