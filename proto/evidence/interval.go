package evidence

import (
	"encoding/json"
	"fmt"
	"math"
)

// Interval bounds the ratio of the candidate's rate of bad requests to the
// control's. Lower is at least 0; Upper is +Inf when nothing bounds it, which
// JSON shows as null.
type Interval struct {
	Lower float64
	Upper float64
}

// The ratios between which an interval's ends are sought.
const (
	smallestRatio = 1e-9
	largestRatio  = 1e9
)

// downwardMultiples are the alternatives of the question whether the candidate
// is better than a given ratio. They are finer than those upwards, because the
// usual true answer, a ratio of one, is only a little below the tolerance.
func downwardMultiples() []float64 {
	return []float64{1.05, 1.1, 1.2, 1.35, 1.5, 2, 3, 5, 10}
}

// Interval returns the ratios that the tally does not rule out. Each end is
// wrong, at any time in the whole rollout, with probability at most alpha, so
// the interval holds with probability at least 1−2·alpha. Its lower end is above
// the tolerance exactly when the evidence of the tally is at least 1/alpha.
// Without data, or with an alpha outside (0, 1), it is everything.
func (t *Test) Interval(tally Tally, alpha float64) Interval {
	threshold := LogThreshold(alpha)
	// Both mixtures are monotone in the ratio that is questioned: the more the
	// null hypothesis already allows, the less there is against it.
	worseThan := func(ratio float64) bool { return logEvidenceAbove(tally, ratio, t.multiples) >= threshold }
	betterThan := func(ratio float64) bool { return logEvidenceBelow(tally, ratio) >= threshold }

	all := Interval{Lower: 0, Upper: math.Inf(1)}
	if worseThan(smallestRatio) {
		all.Lower = lastTrue(worseThan, smallestRatio, largestRatio)
	}
	if betterThan(largestRatio) {
		all.Upper = lastTrue(betterThan, largestRatio, smallestRatio)
	}
	return all
}

// lastTrue finds, by bisection on the logarithm, where a condition that holds at
// from stops holding on the way to the other end. The answer is on the side
// where it holds.
func lastTrue(holds func(ratio float64) bool, from, to float64) float64 {
	if holds(to) {
		return to
	}
	for range 64 {
		middle := math.Sqrt(from * to)
		if holds(middle) {
			from = middle
		} else {
			to = middle
		}
	}
	return from
}

// logEvidenceAbove is the evidence against "the ratio is at most null".
func logEvidenceAbove(tally Tally, null float64, multiples []float64) float64 {
	return logMixture(tally, null, multiples, func(m float64) float64 { return null * m })
}

// logEvidenceBelow is the evidence against "the ratio is at least null".
func logEvidenceBelow(tally Tally, null float64) float64 {
	return logMixture(tally, null, downwardMultiples(), func(m float64) float64 { return null / m })
}

func logMixture(tally Tally, null float64, multiples []float64, alternative func(m float64) float64) float64 {
	var logFactors [MaxAlternatives]float64
	for _, b := range tally {
		if !b.Informative() {
			continue
		}
		for i, m := range multiples {
			candidate, control := logWeights(b.SharePPM, null, alternative(m))
			logFactors[i] += float64(b.Candidate.Bad)*candidate + float64(b.Control.Bad)*control
		}
	}
	return logMeanExp(logFactors[:len(multiples)])
}

// intervalJSON can say "unbounded", which a JSON number cannot.
type intervalJSON struct {
	Lower float64  `json:"lower"`
	Upper *float64 `json:"upper"`
}

// MarshalJSON writes an unbounded upper end as null.
func (i Interval) MarshalJSON() ([]byte, error) {
	out := intervalJSON{Lower: i.Lower}
	if !math.IsInf(i.Upper, 1) {
		out.Upper = &i.Upper
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON writes.
func (i *Interval) UnmarshalJSON(data []byte) error {
	var in intervalJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return fmt.Errorf("reading an interval: %w", err)
	}
	*i = Interval{Lower: in.Lower, Upper: math.Inf(1)}
	if in.Upper != nil {
		i.Upper = *in.Upper
	}
	return nil
}
