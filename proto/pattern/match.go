package pattern

import (
	"cmp"
	"slices"
)

// Request is what rules are matched against.
type Request struct {
	// Method as sent.
	Method string
	// Host is the Host or :authority as sent.
	Host string
	// Path as NormalizePath returned it.
	Path string
	// Fields answers conditions; nil has neither headers nor a query.
	Fields Fields
}

// Winner returns the index of the rule that takes the request, and false if none matches. It tries every rule: its time is
// proportional to their number.
func Winner(rules []Rule, request Request) (index int, ok bool) {
	index = -1
	var best rank
	for i, rule := range rules {
		alternative, fits := rule.best(request)
		if !fits || !rule.fitsMethod(request.Method) || !rule.fitsFields(request.Fields) {
			continue
		}
		place := rule.rank(alternative)
		if index < 0 || cmp.Or(place.compare(best), cmp.Compare(rule.Name, rules[index].Name)) < 0 {
			index, best = i, place
		}
	}
	return index, index >= 0
}

// Allowed returns the methods, sorted, with which some rule would match the request but for its own method. When [Winner]
// finds nothing, these belong into the Allow header of a 405, and none at all means 404.
func Allowed(rules []Rule, request Request) []string {
	var methods []string
	for _, rule := range rules {
		if _, fits := rule.best(request); fits && rule.fitsFields(request.Fields) {
			methods = append(methods, rule.Methods...)
		}
	}
	slices.Sort(methods)
	return slices.Compact(methods)
}

// best returns the first in the order of the rule's alternatives that the request fits.
func (r Rule) best(request Request) (best Alternative, ok bool) {
	host := NormalizeHost(request.Host)
	for _, a := range r.Alternatives() {
		if !a.Host.Matches(host) || !a.Path.Matches(request.Path) {
			continue
		}
		if !ok || r.rank(a).compare(r.rank(best)) < 0 {
			best, ok = a, true
		}
	}
	return best, ok
}

func (r Rule) fitsMethod(method string) bool {
	return len(r.Methods) == 0 || slices.Contains(r.Methods, method)
}

func (r Rule) fitsFields(fields Fields) bool {
	_, failed := r.failedCondition(fields)
	return !failed
}

// failedCondition returns the first condition, in words, that the fields do not meet.
func (r Rule) failedCondition(fields Fields) (what string, failed bool) {
	for _, condition := range r.Headers {
		if value, present := header(fields, condition.name); !condition.Accepts(value, present) {
			return "header " + condition.String(), true
		}
	}
	for _, condition := range r.Query {
		if value, present := query(fields, condition.name); !condition.Accepts(value, present) {
			return "query parameter " + condition.String(), true
		}
	}
	return "", false
}

func header(fields Fields, name string) (string, bool) {
	if fields == nil {
		return "", false
	}
	return fields.Header(name)
}

func query(fields Fields, name string) (string, bool) {
	if fields == nil {
		return "", false
	}
	return fields.Query(name)
}
