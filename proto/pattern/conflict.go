package pattern

import (
	"fmt"
	"slices"
	"strings"
)

// TieKeys are the places in the order that the rule takes: two rules can tie only if they share a key. An index of them finds
// the few rules that [Ties] must judge, however many there are. A key holds the priority, the number of conditions, the host
// and the canonical path; it is at most 1,400 bytes long and is an identity, not for display.
func TieKeys(r Rule) []string {
	alternatives := r.Alternatives()
	keys := make([]string, len(alternatives))
	for i, a := range alternatives {
		keys[i] = fmt.Sprintf("%d %d %s %s", r.Priority, r.Conditions(), a.Host, a.Path)
	}
	return keys
}

// Ties tells whether some request fits both rules and nothing in the order but the name decides between them, and says in
// words why. It compares neither names nor identity: ask it about two different rules.
func Ties(a, b Rule) (tie bool, why string) {
	if a.Priority != b.Priority || a.Conditions() != b.Conditions() || !compatible(a, b) {
		return false, ""
	}
	for _, mine := range a.Alternatives() {
		for _, theirs := range b.Alternatives() {
			if mine.Host == theirs.Host && mine.Path.canonical == theirs.Path.canonical {
				return true, describeTie(a, b, mine, theirs)
			}
		}
	}
	return false, ""
}

func describeTie(a, b Rule, mine, theirs Alternative) string {
	where := mine.Path.text
	if mine.Path.text != theirs.Path.text {
		where += " and " + theirs.Path.text
	}
	on := "any host"
	if !mine.Host.IsAny() {
		on = "host " + mine.Host.String()
	}
	return fmt.Sprintf("routes %q and %q both match %s on %s with priority %d, %s and %s; give one a higher priority or a further condition",
		a.Name, b.Name, where, on, a.Priority, describeMethods(a, b), count(a.Conditions(), "further condition"))
}

func describeMethods(a, b Rule) string {
	if shared := sharedMethods(a, b); len(shared) > 0 {
		return "methods " + strings.Join(shared, ", ")
	}
	return "any method"
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// sharedMethods are the methods that both name, or one names and the other leaves open; none if both leave it open.
func sharedMethods(a, b Rule) []string {
	switch {
	case len(a.Methods) == 0:
		return b.Methods
	case len(b.Methods) == 0:
		return a.Methods
	}
	var shared []string
	for _, method := range a.Methods {
		if slices.Contains(b.Methods, method) {
			shared = append(shared, method)
		}
	}
	return shared
}

// compatible tells whether one request can have a method and fields that fit both.
func compatible(a, b Rule) bool {
	if len(a.Methods) > 0 && len(b.Methods) > 0 && len(sharedMethods(a, b)) == 0 {
		return false
	}
	return !anyExcludes(a.Headers, b.Headers) && !anyExcludes(a.Query, b.Query)
}

func anyExcludes(a, b []Condition) bool {
	for _, mine := range a {
		for _, theirs := range b {
			if mine.excludes(theirs) {
				return true
			}
		}
	}
	return false
}

// Overlap tells whether some request fits both rules. It says true where regular expressions leave it open.
func Overlap(a, b Rule) bool {
	if !compatible(a, b) {
		return false
	}
	for _, mine := range a.Alternatives() {
		for _, theirs := range b.Alternatives() {
			if mine.Host.Overlaps(theirs.Host) && mine.Path.Overlaps(theirs.Path) {
				return true
			}
		}
	}
	return false
}

// Shadows tells whether a takes every request that fits b, so that b is never reached, and says in words why. It looks at
// these two alone, and false may mean "unknown" where regular expressions are involved. It is meant as a warning.
func Shadows(a, b Rule) (shadows bool, why string) {
	if !takesFields(a, b) {
		return false, ""
	}
	reason := ""
	for _, theirs := range b.Alternatives() {
		over, found := shadowOf(a, b, theirs)
		if !found {
			return false, ""
		}
		if reason == "" {
			reason = describeShadow(a, b, over, theirs)
		}
	}
	return true, reason
}

// takesFields tells whether every method and all fields that fit b fit a.
func takesFields(a, b Rule) bool {
	if len(a.Methods) > 0 {
		if len(b.Methods) == 0 {
			return false
		}
		for _, method := range b.Methods {
			if !slices.Contains(a.Methods, method) {
				return false
			}
		}
	}
	return allImplied(a.Headers, b.Headers) && allImplied(a.Query, b.Query)
}

func allImplied(wanted, given []Condition) bool {
	for _, condition := range wanted {
		if !slices.ContainsFunc(given, func(g Condition) bool { return g.implies(condition) }) {
			return false
		}
	}
	return true
}

// shadowOf finds the alternative of a that covers one of b's and goes before it.
func shadowOf(a, b Rule, theirs Alternative) (Alternative, bool) {
	for _, mine := range a.Alternatives() {
		if mine.Host.Covers(theirs.Host) && mine.Path.Covers(theirs.Path) && a.rank(mine).compare(b.rank(theirs)) < 0 {
			return mine, true
		}
	}
	return Alternative{}, false
}

func describeShadow(a, b Rule, mine, theirs Alternative) string {
	return fmt.Sprintf("route %q is never reached: route %q takes everything that it matches, since %s; give %q a higher priority or narrow %q",
		b.Name, a.Name, firstDifference(a.rank(mine), b.rank(theirs)), b.Name, a.Name)
}
