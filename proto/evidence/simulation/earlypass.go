package simulation

import (
	"math/rand/v2"

	"tidegate.dev/proto/evidence"
)

// EarlyPass is the wait until a candidate is shown to be no worse, if it ever is.
type EarlyPass struct {
	SharePPM uint32
	// Ratio of the candidate's rate of bad requests to the control's.
	Ratio float64
	Alpha float64
	// LookEvery is the number of bad requests between looks; Limit is when to
	// give up.
	LookEvery, Limit int
}

// Run returns how many bad requests, in both arms, it took; 0 if it was not
// shown.
func (p EarlyPass) Run(test *evidence.Test, rng *rand.Rand) int {
	odds := p.Ratio * float64(p.SharePPM) / float64(evidence.WholePPM-p.SharePPM)
	inCandidate := odds / (1 + odds)
	batch := evidence.Batch{SharePPM: p.SharePPM}
	for bad := 1; bad <= p.Limit; bad++ {
		candidate := bernoulli(rng, inCandidate)
		batch.Candidate.Bad += candidate
		batch.Control.Bad += 1 - candidate
		if bad%p.LookEvery != 0 {
			continue
		}
		if test.ShowsNoWorse(evidence.Tally{batch}, p.Alpha) {
			return bad
		}
	}
	return 0
}
