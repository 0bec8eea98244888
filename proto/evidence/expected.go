package evidence

import "math"

// Expected is the share of requests, above 0 and at most 1, that a change means to be bad by one metric: adding authentication
// refuses those that bring no key. What is expected has no control to be compared with; it is held against that share.
type Expected float64

const (
	// expectedMinimum is how many requests there must be before an expectation can be exceeded.
	expectedMinimum = 20
	// expectedDeviations is by how many standard deviations a share may lie above the expected one: so much that looking often
	// rarely fails a change that does what it said.
	expectedDeviations = 4.5
)

// Judge fails when clearly more of the candidate's requests are bad than expected. It gives no guarantee about false alarms.
func (e Expected) Judge(candidate Arm) Decision {
	share := float64(e)
	deviation := math.Sqrt(share * (1 - share) / float64(max(candidate.Requests, 1)))
	limit := share + expectedDeviations*deviation
	if share > 0 && limit >= 1 && candidate.Requests >= expectedMinimum {
		return Decision{Candidate: candidate, MinimumRequests: expectedMinimum, Limit: 1, Verdict: Pass, Cause: WithinLimit}
	}
	return AbsoluteGate{MinimumRequests: expectedMinimum, Limit: min(limit, 1)}.Judge(candidate)
}
