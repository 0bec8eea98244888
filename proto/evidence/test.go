package evidence

import (
	"errors"
	"fmt"
	"math"
)

// MaxAlternatives is the most alternatives that a test can average over.
const MaxAlternatives = 16

// Config says what a comparison tolerates and what it is most eager to find.
type Config struct {
	// Tolerance is the largest ratio of the candidate's rate of bad requests to
	// the control's that is accepted. From 1 to 100; 0 means 1.1.
	Tolerance float64
	// Multiples of the tolerance are the ratios that the test looks for, with
	// equal weight: above 1, at most a million, increasing, at most
	// [MaxAlternatives]. A regression is found the faster the nearer a multiple
	// is to it, and one that lies well below the smallest is not found at all.
	// Empty means [DefaultMultiples].
	Multiples []float64
}

// DefaultTolerance accepts a tenth more bad requests than the control has.
const DefaultTolerance = 1.1

// DefaultMultiples reach from a quarter more bad requests than tolerated to a
// thousand times as many. Every further alternative costs a little of what the
// others find, so they lie as far apart as they can without leaving a gap:
// simulated against a denser grid from 1.5 to 1000, they need at most 4 % more
// requests to find a large regression, and two thirds as many to find a ratio of
// 1.4.
func DefaultMultiples() []float64 {
	return []float64{1.25, 2, 3.5, 8, 20, 100, 1000}
}

// Test is a comparison's fixed part: the tolerance and the alternatives. It is
// immutable and may be shared by goroutines.
type Test struct {
	tolerance float64
	multiples []float64
}

// NewTest makes a test, or says all that is wrong with its configuration.
func NewTest(c Config) (*Test, error) {
	if c.Tolerance == 0 {
		c.Tolerance = DefaultTolerance
	}
	if len(c.Multiples) == 0 {
		c.Multiples = DefaultMultiples()
	}
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("configuring a comparison: %w", err)
	}
	return &Test{
		tolerance: c.Tolerance,
		multiples: append([]float64(nil), c.Multiples...),
	}, nil
}

func (c Config) validate() error {
	var problems []error
	if !(c.Tolerance >= 1 && c.Tolerance <= 100) { // written so that NaN is refused
		problems = append(problems, fmt.Errorf("tolerance %v is not between 1 and 100", c.Tolerance))
	}
	if len(c.Multiples) > MaxAlternatives {
		problems = append(problems, fmt.Errorf("%d multiples are more than %d", len(c.Multiples), MaxAlternatives))
	}
	previous := 1.0
	for _, m := range c.Multiples {
		if !(m > previous && m <= 1e6) {
			problems = append(problems, fmt.Errorf("multiple %v is not above %v and at most a million", m, previous))
			break
		}
		previous = m
	}
	return errors.Join(problems...)
}

// Tolerance returns the largest accepted ratio.
func (t *Test) Tolerance() float64 { return t.tolerance }

// Share prepares the weights of one candidate share. Make it when the share
// changes and use it for every [Evidence.Add] until the next change.
func (t *Test) Share(ppm uint32) Share {
	s := Share{alternatives: len(t.multiples)}
	if !(Batch{SharePPM: ppm}).Informative() {
		return s
	}
	for i, m := range t.multiples {
		s.candidate[i], s.control[i] = logWeights(ppm, t.tolerance, t.tolerance*m)
	}
	return s
}

// Weigh returns the evidence of a tally. Its peak is its value: how it came
// about is not part of a tally, so a caller that looks more than once keeps the
// peak itself.
func (t *Test) Weigh(tally Tally) Evidence {
	var e Evidence
	for _, b := range tally {
		share := t.Share(b.SharePPM)
		e.Add(&share, b.Candidate.Bad, b.Control.Bad)
	}
	e.Look()
	return e
}

// Share holds what one bad request in each arm adds to the log-factor of each
// alternative, for one candidate share and one test. All weights are zero for a
// share of 0 or 1.
type Share struct {
	alternatives int
	candidate    [MaxAlternatives]float64
	control      [MaxAlternatives]float64
}

// logWeights returns log(p(alternative)/p(null)) and the same of 1−p. Both are
// written with the odds, in the form that stays exact for very small and very
// large shares. The share must be informative and both ratios positive.
func logWeights(sharePPM uint32, null, alternative float64) (candidate, control float64) {
	odds := float64(sharePPM) / float64(WholePPM-sharePPM)
	candidate = math.Log1p(1/(null*odds)) - math.Log1p(1/(alternative*odds))
	control = math.Log1p(null*odds) - math.Log1p(alternative*odds)
	return candidate, control
}
