package pattern

import (
	"fmt"
	"strings"
)

// Explanation says what becomes of a request and why, rule by rule.
type Explanation struct {
	// Winner is the index of the rule that takes the request, -1 if none does.
	Winner int
	// Allowed are the methods for the Allow header of a 405, when no rule matched only because of the method.
	Allowed []string
	// Verdicts has one element for each rule, in the order they were given.
	Verdicts []Verdict
}

// Verdict is how one rule judged the request.
type Verdict struct {
	// Rule is the rule's name.
	Rule string
	// Matched tells whether the request fits the rule.
	Matched bool
	// Wins tells whether the rule takes the request.
	Wins bool
	// Fit is the alternative that the request fits, the first in the order; zero if there is none.
	Fit Alternative
	// Reason says in words why the rule wins, why another goes first, or what does not fit.
	Reason string
}

// Explain judges the request by every rule. It agrees with [Winner].
func Explain(rules []Rule, request Request) Explanation {
	winner, ok := Winner(rules, request)
	out := Explanation{Winner: winner, Verdicts: make([]Verdict, len(rules))}
	if !ok {
		out.Allowed = Allowed(rules, request)
	}
	for i, rule := range rules {
		out.Verdicts[i] = judge(rule, request)
	}
	if !ok {
		return out
	}
	first := &out.Verdicts[winner]
	first.Wins = true
	first.Reason = fmt.Sprintf("matches %s on host %s, and no other match goes before it", first.Fit.Path.text, first.Fit.Host)
	for i := range out.Verdicts {
		if v := &out.Verdicts[i]; v.Matched && !v.Wins {
			difference := firstDifference(rules[winner].rank(first.Fit), rules[i].rank(v.Fit))
			v.Reason = fmt.Sprintf("matches %s, but %s goes first: %s", v.Fit.Path.text, first.Rule, difference)
		}
	}
	return out
}

func judge(rule Rule, request Request) Verdict {
	v := Verdict{Rule: rule.Name}
	fit, fits := rule.best(request)
	if !fits {
		v.Reason = whyNoAlternative(rule, request)
		return v
	}
	v.Fit = fit
	failed, hasFailed := rule.failedCondition(request.Fields)
	switch {
	case !rule.fitsMethod(request.Method):
		v.Reason = fmt.Sprintf("method %s is not one of %s", request.Method, strings.Join(rule.Methods, ", "))
	case hasFailed:
		v.Reason = "does not hold: " + failed
	default:
		v.Matched = true
	}
	return v
}

func whyNoAlternative(rule Rule, request Request) string {
	host := NormalizeHost(request.Host)
	var hosts, paths []string
	hostFits := false
	for _, h := range rule.Hosts {
		hostFits = hostFits || h.Matches(host)
		hosts = append(hosts, h.String())
	}
	if len(rule.Hosts) > 0 && !hostFits {
		return fmt.Sprintf("host %q is not %s", host, strings.Join(hosts, " or "))
	}
	for _, p := range rule.Paths {
		paths = append(paths, p.text)
	}
	return fmt.Sprintf("path %q does not match %s", request.Path, strings.Join(paths, " or "))
}

// firstDifference says in words by what a goes before b.
func firstDifference(a, b rank) string {
	switch {
	case a.priority != b.priority:
		return fmt.Sprintf("priority %d is above %d", a.priority, b.priority)
	case a.host != b.host:
		return fmt.Sprintf("host %s is more specific than %s", a.host, b.host)
	case a.path.canonical != b.path.canonical:
		return fmt.Sprintf("path %s goes before %s, %s", a.path.text, b.path.text, pathDifference(a.path, b.path))
	case a.conditions != b.conditions:
		return fmt.Sprintf("%s against %d", count(a.conditions, "further condition"), b.conditions)
	}
	return "they tie, and its name comes first"
}

func pathDifference(a, b Path) string {
	switch {
	case a.regex != nil:
		return "whose literal prefix or text is shorter"
	case b.regex != nil:
		return "which is a regular expression"
	}
	for i := range max(len(a.segments), len(b.segments)) + 1 {
		if a.rankAt(i) != b.rankAt(i) {
			return fmt.Sprintf("segment %d: %s before %s", i+1, a.kindAt(i), b.kindAt(i))
		}
	}
	return "in the order of their text"
}

func (p Path) kindAt(i int) string {
	switch p.rankAt(i) {
	case int(Literal):
		return "a literal"
	case int(Parameter):
		return "{}"
	case 2:
		return "the end"
	}
	return "**"
}
