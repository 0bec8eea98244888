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
