// Package simulation plays rollouts against the comparison of package evidence:
// how often a harmless candidate would be taken back, and how many requests a
// bad one would cost. It is for the tests of evidence and for the command
// simulate, and no part of the product. All chance comes from the generator that
// the caller passes, so a seed gives the same result every time.
package simulation

import (
	"math/rand/v2"

	"tidegate.dev/proto/evidence"
)

// Regression is one comparison with a candidate that has a rate of bad requests
// of its own. Requests are independent.
type Regression struct {
	SharePPM          uint32
	RequestsPerSecond float64
	LooksPerSecond    float64
	// ControlBad and CandidateBad are probabilities of a bad request.
	ControlBad, CandidateBad float64
	// Alpha is the level of this one comparison.
	Alpha float64
	// Seconds is when the simulation gives up.
	Seconds float64
}

// RegressionOutcome is how one regression ended.
type RegressionOutcome struct {
	Failed bool
	// CandidateRequests and CandidateBad were served by the candidate until the
	// look that failed it.
	CandidateRequests, CandidateBad int
	Seconds                         float64
}

// Run plays the regression once.
func (r Regression) Run(test *evidence.Test, rng *rand.Rand) RegressionOutcome {
	var (
		out           RegressionOutcome
		e             evidence.Evidence
		share         = test.Share(r.SharePPM)
		coin          = probability(r.SharePPM)
		requests, due int
	)
	looks := int(r.Seconds * r.LooksPerSecond)
	for look := 1; look <= looks; look++ {
		due = int(float64(look) * r.RequestsPerSecond / r.LooksPerSecond)
		var candidateBad, controlBad uint64
		for ; requests < due; requests++ {
			if rng.Float64() >= coin {
				controlBad += bernoulli(rng, r.ControlBad)
				continue
			}
			out.CandidateRequests++
			candidateBad += bernoulli(rng, r.CandidateBad)
		}
		out.CandidateBad += int(candidateBad)
		e.Add(&share, candidateBad, controlBad)
		if e.Exceeds(r.Alpha) {
			out.Failed, out.Seconds = true, float64(look)/r.LooksPerSecond
			return out
		}
	}
	out.Seconds = r.Seconds
	return out
}

func probability(sharePPM uint32) float64 { return float64(sharePPM) / evidence.WholePPM }

func bernoulli(rng *rand.Rand, p float64) uint64 {
	if rng.Float64() < p {
		return 1
	}
	return 0
}
