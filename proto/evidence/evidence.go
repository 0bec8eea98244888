package evidence

import "math"

// Evidence accumulates one comparison. The zero value is a comparison that has
// seen nothing. It is a plain value: no pointers, nothing allocated, copied by
// assignment; not for use by several goroutines at once. Everything added to or
// merged into one Evidence must come from the same [Test].
type Evidence struct {
	logFactors   [MaxAlternatives]float64
	peak         float64
	alternatives int
}

// Add counts bad requests that arrived while the candidate had this share. The
// order of additions does not matter, and adding twice is the same as adding
// the sum.
func (e *Evidence) Add(s *Share, candidateBad, controlBad uint64) {
	e.alternatives = s.alternatives
	c, k := float64(candidateBad), float64(controlBad)
	for i := range s.alternatives {
		e.logFactors[i] += c*s.candidate[i] + k*s.control[i]
	}
}

// Merge adds what another comparison of the same metric, such as another
// agent's, has seen. The peak stays e's own: the highest of several agents is
// not something that one level of significance covers.
func (e *Evidence) Merge(other *Evidence) {
	e.alternatives = max(e.alternatives, other.alternatives)
	for i := range e.alternatives {
		e.logFactors[i] += other.logFactors[i]
	}
}

// LogValue returns the natural logarithm of the evidence as it stands: the mean
// of the factors of all alternatives. It is 0 when nothing was seen, above when
// the candidate looks worse than tolerated, and always finite.
func (e *Evidence) LogValue() float64 {
	return logMeanExp(e.logFactors[:e.alternatives])
}

// Look returns what LogValue returns and remembers the highest value that was
// ever looked at.
func (e *Evidence) Look() float64 {
	value := e.LogValue()
	e.peak = max(e.peak, value)
	return value
}

// Peak returns the highest logarithm that any Look has seen, at least 0, the
// value that every comparison starts with.
func (e *Evidence) Peak() float64 { return e.peak }

// Exceeds looks, and says whether the evidence is or ever was at least 1/alpha.
// A comparison without a true difference says so, at any look whatever, with a
// probability of at most alpha. It is never true for an alpha outside (0, 1).
func (e *Evidence) Exceeds(alpha float64) bool {
	e.Look()
	return e.peak >= LogThreshold(alpha)
}

// LogThreshold returns log(1/alpha), which the logarithm of the evidence must
// reach. For an alpha outside (0, 1) it is +Inf: a level that makes no sense
// must not fail anything.
func LogThreshold(alpha float64) float64 {
	if !validLevel(alpha) {
		return math.Inf(1)
	}
	return -math.Log(alpha)
}

func validLevel(alpha float64) bool { return alpha > 0 && alpha < 1 }

// logMeanExp returns log(mean(exp(values))), without overflow. It is 0 for no
// values.
func logMeanExp(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	largest := values[0]
	for _, v := range values[1:] {
		largest = max(largest, v)
	}
	sum := 0.0
	for _, v := range values {
		sum += math.Exp(v - largest)
	}
	return largest + math.Log(sum/float64(len(values)))
}
