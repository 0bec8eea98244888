package journal

import agentv1 "tidegate.dev/proto/tidegate/agent/v1"

// ContentRecord adds a content: the change from one that is held. A To without a revision is a step on the way to one.
func ContentRecord(r *agentv1.ContentRecord) *agentv1.JournalRecord {
	return &agentv1.JournalRecord{Record: &agentv1.JournalRecord_Content{Content: r}}
}

// DesiredRecord accepts a desired state, whose contents are held.
func DesiredRecord(d *agentv1.DesiredState) *agentv1.JournalRecord {
	return &agentv1.JournalRecord{Record: &agentv1.JournalRecord_Desired{Desired: d}}
}

// LaneRecords are LaneRecord in parts that fit, for a batch of any size. A reset takes effect with the last of them.
func LaneRecords(b *agentv1.LaneBatch) (records []*agentv1.JournalRecord) {
	rest, after := b.GetEntries(), b.GetAfterSequence()
	for first := true; first || len(rest) > 0; first = false {
		n := countOfPart(rest)
		part := &agentv1.LaneBatch{
			Fleet: b.GetFleet(), Epoch: b.GetEpoch(), Reset_: b.GetReset_() && first,
			AfterSequence: after, ThroughSequence: b.GetThroughSequence(), Entries: rest[:n],
		}
		if rest = rest[n:]; len(rest) > 0 {
			part.Incomplete, part.ThroughSequence = true, part.GetEntries()[n-1].GetSequence()
		}
		after = part.GetThroughSequence()
		records = append(records, LaneRecord(part))
	}
	return records
}

// LaneRecord continues the fast lane exactly where it stands, or resets it.
func LaneRecord(b *agentv1.LaneBatch) *agentv1.JournalRecord {
	return &agentv1.JournalRecord{Record: &agentv1.JournalRecord_Lane{Lane: b}}
}

// DroppedRecord remembers a candidate that must not be installed again.
func DroppedRecord(d *agentv1.DroppedRevision) *agentv1.JournalRecord {
	return &agentv1.JournalRecord{Record: &agentv1.JournalRecord_Dropped{Dropped: d}}
}

// KeyHashKeyRecord keeps the key of the keyed hash of API keys.
func KeyHashKeyRecord(key []byte) *agentv1.JournalRecord {
	return &agentv1.JournalRecord{Record: &agentv1.JournalRecord_KeyHashKey{KeyHashKey: key}}
}

// SessionTicketSecretRecord keeps what the keys of TLS session tickets are derived from.
func SessionTicketSecretRecord(secret []byte) *agentv1.JournalRecord {
	return &agentv1.JournalRecord{Record: &agentv1.JournalRecord_SessionTicketSecret{SessionTicketSecret: secret}}
}
