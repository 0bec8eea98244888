package pattern

import (
	"fmt"
	"slices"
	"strings"
)

// Rule is which requests a route takes. A request must fit one of the hosts, one of the paths, one of the methods, and every
// condition.
type Rule struct {
	// Name identifies the rule among all that are matched together.
	Name string
	// Priority goes before everything else in the order; the higher wins.
	Priority int32
	// Hosts; none means any host.
	Hosts []Host
	// Paths, made by ParsePath; none means every path.
	Paths []Path
	// Methods are compared exactly, as RFC 9110 section 9.1 has it; GET does not include HEAD. None means any.
	Methods []string
	// Headers are conditions made by ParseHeader.
	Headers []Condition
	// Query are conditions made by ParseQuery.
	Query []Condition
}

// Alternative is one host and one path of a rule.
type Alternative struct {
	Host Host
	Path Path
}

// Violation is one field of a rule that cannot stand.
type Violation struct {
	// Field is the path of the field, such as "paths[1]".
	Field string
	// Message says what is wrong and what to do.
	Message string
}

// ParseMethod checks a method's name, which is any token. Errors are *[SyntaxError].
func ParseMethod(text string) (string, error) {
	if text == "" {
		return "", syntaxError(text, 0, "is empty", "leave out methods to match every method")
	}
	for i := range len(text) {
		if !isTokenCharacter(text[i]) {
			return "", syntaxError(text, i, "has a character that no method has", "write one method, as in GET")
		}
	}
	if upper := strings.ToUpper(text); upper != text && slices.Contains(standardMethods, upper) {
		return "", syntaxError(text, 0, "is not in upper case, and methods are compared exactly", "write "+upper)
	}
	return text, nil
}

// standardMethods are those of RFC 9110 section 9 and RFC 5789.
var standardMethods = []string{"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}

// Validate finds what makes a rule of well-formed parts wrong: things said twice, which would also count twice in the order.
func (r Rule) Validate() []Violation {
	var found []Violation
	for i, host := range r.Hosts {
		if at := slices.Index(r.Hosts[:i], host); at >= 0 {
			found = append(found, repeated("hosts", i, at, host.String()))
		}
	}
	for i, path := range r.Paths {
		same := func(other Path) bool { return other.canonical == path.canonical }
		if at := slices.IndexFunc(r.Paths[:i], same); at >= 0 {
			found = append(found, repeated("paths", i, at, path.text))
		}
	}
	for i, method := range r.Methods {
		if at := slices.Index(r.Methods[:i], method); at >= 0 {
			found = append(found, repeated("methods", i, at, method))
		}
	}
	found = append(found, repeatedConditions("headers", r.Headers)...)
	return append(found, repeatedConditions("query", r.Query)...)
}

func repeatedConditions(field string, conditions []Condition) []Violation {
	var found []Violation
	for i, condition := range conditions {
		for at, other := range conditions[:i] {
			switch {
			case condition.same(other):
				found = append(found, repeated(field, i, at, condition.String()))
			case condition.excludes(other):
				found = append(found, Violation{
					Field:   fmt.Sprintf("%s[%d]", field, i),
					Message: fmt.Sprintf("%s cannot hold together with %s[%d], %s; remove one", condition, field, at, other),
				})
			}
		}
	}
	return found
}

func repeated(field string, i, at int, value string) Violation {
	return Violation{
		Field:   fmt.Sprintf("%s[%d]", field, i),
		Message: fmt.Sprintf("%s says the same as %s[%d]; remove one", value, field, at),
	}
}

// Conditions is the number of further conditions, the last part of the order: one for a list of methods, one for each header
// and each query condition.
func (r Rule) Conditions() int {
	count := len(r.Headers) + len(r.Query)
	if len(r.Methods) > 0 {
		count++
	}
	return count
}

// Alternatives are the rule's hosts times its paths, each canonical pair once.
func (r Rule) Alternatives() []Alternative {
	hosts, paths := r.Hosts, r.Paths
	if len(hosts) == 0 {
		hosts = []Host{{}}
	}
	if len(paths) == 0 {
		paths = []Path{anyPath()}
	}
	out := make([]Alternative, 0, len(hosts)*len(paths))
	for i, host := range hosts {
		if slices.Contains(hosts[:i], host) {
			continue
		}
		for j, path := range paths {
			same := func(other Path) bool { return other.canonical == path.canonical }
			if !slices.ContainsFunc(paths[:j], same) {
				out = append(out, Alternative{Host: host, Path: path})
			}
		}
	}
	return out
}
