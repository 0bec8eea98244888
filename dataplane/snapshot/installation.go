package snapshot

// Installation is what the proxy serves from: one snapshot, or two and the coin between them.
type Installation struct {
	// Stable is nil only before the first revision.
	Stable *Snapshot
	// Candidate is nil when there is none.
	Candidate *Snapshot
	// SharePPM is the probability that a request is the candidate's, in parts per million.
	SharePPM uint32
	// RolloutID names the rollout that the candidate belongs to.
	RolloutID string
	// ShadowPPM is the share of requests, in parts per million, that the candidate decides too, without effect.
	ShadowPPM uint32
	// Sticky says for what the coin is thrown.
	Sticky Stickiness
}
