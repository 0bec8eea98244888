package evidence

// Terms are the conditions of one look at one comparison.
type Terms struct {
	// Alpha is the level of this comparison, from [Spending].
	Alpha float64
	// MinimumRequests is how many requests each arm must have for a pass.
	MinimumRequests uint64
	// BakeOver says that the step's bake time has passed.
	BakeOver bool
}

// Decision is a verdict with everything that led to it, to be kept and shown.
// Logarithms are natural.
type Decision struct {
	Verdict Verdict `json:"verdict"`
	Cause   Cause   `json:"cause"`

	// Candidate and Control count the compared requests. Control is empty for an
	// absolute gate.
	Candidate Arm `json:"candidate"`
	Control   Arm `json:"control"`

	// LogEvidence is the evidence at this look, LogPeak the highest of all looks,
	// which is what decides, LogThreshold what it is held against.
	LogEvidence  float64 `json:"log_evidence"`
	LogPeak      float64 `json:"log_peak"`
	LogThreshold float64 `json:"log_threshold"`

	// Tolerance is the ratio that a comparison accepts.
	Tolerance float64 `json:"tolerance,omitempty"`
	// MinimumRequests is what was asked of each arm.
	MinimumRequests uint64 `json:"minimum_requests"`
	// Limit is the share of bad requests that an absolute gate fails at.
	Limit float64 `json:"limit,omitempty"`
}

// Judge looks at a comparison. The peak is the LogPeak of the decision before,
// 0 at the first look: a candidate that once failed stays failed, even if late
// reports make the evidence look better. Fewer requests than the minimum never
// keep a candidate from failing, only from passing.
func (t *Test) Judge(tally Tally, peak float64, terms Terms) Decision {
	weighed := t.Weigh(tally)
	d := Decision{
		LogEvidence:     weighed.LogValue(),
		LogPeak:         weighed.Peak(),
		Tolerance:       t.tolerance,
		MinimumRequests: terms.MinimumRequests,
	}
	d.Candidate, d.Control = tally.Arms()
	if peak > d.LogPeak { // false for NaN
		d.LogPeak = peak
	}
	if !validLevel(terms.Alpha) {
		d.Cause = NoLevel
		return d
	}
	d.LogThreshold = LogThreshold(terms.Alpha)
	d.Verdict, d.Cause = t.decide(tally, d, terms)
	return d
}

// ShowsNoWorse says whether the tally shows the ratio to be below the tolerance: whether the upper end of [Test.Interval] is. Of a
// candidate that is worse, at whatever time in the rollout it is asked and however often, it ever says so with a probability of at
// most alpha. It is never true without a bad request in the control, or for an alpha outside (0, 1).
//
// Asked of several comparisons, of which all must say so, it needs no division of alpha: a candidate that is worse by one of them
// is caught by that one.
func (t *Test) ShowsNoWorse(tally Tally, alpha float64) bool {
	return logEvidenceBelow(tally, t.tolerance) >= LogThreshold(alpha)
}

func (t *Test) decide(tally Tally, d Decision, terms Terms) (Verdict, Cause) {
	enough := d.Candidate.Requests >= terms.MinimumRequests && d.Control.Requests >= terms.MinimumRequests
	switch {
	case d.LogPeak >= d.LogThreshold:
		return Fail, EvidenceReached
	case enough && t.ShowsNoWorse(tally, terms.Alpha):
		return Pass, ShownNoWorse
	case !terms.BakeOver:
		return Inconclusive, Baking
	case !enough:
		return Inconclusive, TooFewRequests
	default:
		return Pass, BakeOver
	}
}

// AbsoluteGate judges what has no control: a route that only the candidate has,
// or a metric that the change is expected to raise up to a limit. It is a plain
// rule, not a test, and gives no guarantee about false alarms.
type AbsoluteGate struct {
	// MinimumRequests is how many requests there must be before it says anything.
	MinimumRequests uint64
	// Limit is the share of bad requests, above 0 and at most 1, at which it fails.
	Limit float64
}

// DefaultAbsoluteGate fails a route of the candidate alone when, after 20
// requests, at least half of all are bad.
func DefaultAbsoluteGate() AbsoluteGate {
	return AbsoluteGate{MinimumRequests: 20, Limit: 0.5}
}

// Judge judges the candidate's requests. A limit outside (0, 1] judges nothing.
func (g AbsoluteGate) Judge(candidate Arm) Decision {
	d := Decision{Candidate: candidate, MinimumRequests: max(g.MinimumRequests, 1), Limit: g.Limit}
	switch {
	case !(g.Limit > 0 && g.Limit <= 1):
		d.Limit, d.Cause = 0, NoLevel
	case candidate.Requests < d.MinimumRequests:
		d.Cause = TooFewForLimit
	case float64(candidate.Bad) >= g.Limit*float64(candidate.Requests):
		d.Verdict, d.Cause = Fail, LimitReached
	default:
		d.Verdict, d.Cause = Pass, WithinLimit
	}
	return d
}
