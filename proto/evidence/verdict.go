package evidence

import "fmt"

// Verdict is what a gate says. The zero value is Inconclusive.
type Verdict int

// The verdicts of every gate.
const (
	Inconclusive Verdict = iota
	Pass
	Fail
)

var verdictNames = [...]string{Inconclusive: "inconclusive", Pass: "pass", Fail: "fail"}

// String returns inconclusive, pass or fail.
func (v Verdict) String() string { return nameOf(verdictNames[:], int(v)) }

// MarshalText writes the name.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText reads a name.
func (v *Verdict) UnmarshalText(text []byte) error {
	n, err := numberOf(verdictNames[:], string(text))
	*v = Verdict(n)
	return err
}

// Cause is why a verdict is as it is.
type Cause int

// The causes of verdicts. Those of an [AbsoluteGate] come last.
const (
	// Baking: nothing is decided and the bake time is not over. Inconclusive.
	Baking Cause = iota
	// TooFewRequests: the bake time is over, and an arm has fewer requests than
	// asked for. Inconclusive.
	TooFewRequests
	// NoLevel: the level of significance is not between 0 and 1, so nothing can
	// be judged. Inconclusive.
	NoLevel
	// EvidenceReached: the evidence reached the threshold. Fail.
	EvidenceReached
	// ShownNoWorse: the ratio is shown to be below the tolerance before the bake
	// time is over. Pass.
	ShownNoWorse
	// BakeOver: the bake time is over with enough requests, and the candidate has
	// not failed. Pass.
	BakeOver
	// LimitReached: there is no control, and the share of bad requests is at
	// least the limit. Fail.
	LimitReached
	// WithinLimit: there is no control, and the share of bad requests is below
	// the limit. Pass.
	WithinLimit
	// TooFewForLimit: there is no control, and too few requests for the limit.
	// Inconclusive.
	TooFewForLimit
)

var causeNames = [...]string{
	Baking: "baking", TooFewRequests: "too_few_requests", NoLevel: "no_level",
	EvidenceReached: "evidence_reached", ShownNoWorse: "shown_no_worse", BakeOver: "bake_over",
	LimitReached: "limit_reached", WithinLimit: "within_limit", TooFewForLimit: "too_few_for_limit",
}

// String returns the cause's name in lower case with underscores.
func (c Cause) String() string { return nameOf(causeNames[:], int(c)) }

// MarshalText writes the name.
func (c Cause) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a name.
func (c *Cause) UnmarshalText(text []byte) error {
	n, err := numberOf(causeNames[:], string(text))
	*c = Cause(n)
	return err
}

func nameOf(names []string, n int) string {
	if n < 0 || n >= len(names) {
		return fmt.Sprintf("unknown(%d)", n)
	}
	return names[n]
}

func numberOf(names []string, name string) (int, error) {
	for n, have := range names {
		if have == name {
			return n, nil
		}
	}
	return 0, fmt.Errorf("no verdict or cause is called %q", name)
}
