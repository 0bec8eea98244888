package router

import (
	"cmp"
	"regexp"
	"slices"

	"tidegate.dev/proto/pattern"
)

// candidate is one alternative of a rule. Candidates of one list are in the order in which they win.
type candidate[T any] struct {
	terms
	target[T]
}

// terms say what a candidate takes.
type terms struct {
	priority int32
	methods  methodSet
	// conditional tells that the rule has conditions on headers or query.
	conditional bool
	// captures tells that from has some.
	captures bool
}

// target is what a candidate leads to.
type target[T any] struct {
	value T
	// from is what is needed more rarely.
	from *alternative[T]
}

// alternative is a path of a rule.
type alternative[T any] struct {
	rule     *rule[T]
	captures []pattern.Capture
}

// expression is a regular expression and its candidates.
type expression[T any] struct {
	path  pattern.Path
	regex *regexp.Regexp
	// captures tells that the expression has named groups.
	captures   bool
	candidates []candidate[T]
}

// first is the priority of the first candidate, the highest of the list.
func first[T any](list []candidate[T]) int64 {
	if len(list) == 0 {
		return lowest
	}
	return int64(list[0].priority)
}

func compareCandidates[T any](a, b candidate[T]) int {
	return cmp.Or(
		-cmp.Compare(a.priority, b.priority),
		-cmp.Compare(a.from.rule.conditions, b.from.rule.conditions),
		cmp.Compare(a.from.rule.name, b.from.rule.name),
	)
}

// insertCandidate returns a new list: others may hold the old one.
func insertCandidate[T any](list []candidate[T], added candidate[T]) []candidate[T] {
	at, _ := slices.BinarySearchFunc(list, added, compareCandidates[T])
	out := make([]candidate[T], 0, len(list)+1)
	return append(append(append(out, list[:at]...), added), list[at:]...)
}

func removeCandidate[T any](list []candidate[T], rule string) []candidate[T] {
	var out []candidate[T]
	for _, c := range list {
		if c.from.rule.name != rule {
			out = append(out, c)
		}
	}
	return out
}

func insertExpression[T any](list []expression[T], path pattern.Path, added candidate[T]) []expression[T] {
	at, found := slices.BinarySearchFunc(list, path, compareExpression[T])
	out := slices.Clone(list)
	if !found {
		return slices.Insert(out, at, newExpression(path, added))
	}
	out[at].candidates = insertCandidate(out[at].candidates, added)
	return out
}

func newExpression[T any](path pattern.Path, first candidate[T]) expression[T] {
	isNamed := func(name string) bool { return name != "" }
	return expression[T]{
		path:       path,
		regex:      path.Regexp(),
		captures:   slices.ContainsFunc(path.Regexp().SubexpNames(), isNamed),
		candidates: []candidate[T]{first},
	}
}

func removeExpression[T any](list []expression[T], path pattern.Path, rule string) []expression[T] {
	at, found := slices.BinarySearchFunc(list, path, compareExpression[T])
	if !found {
		return list
	}
	out := slices.Clone(list)
	if out[at].candidates = removeCandidate(out[at].candidates, rule); len(out[at].candidates) == 0 {
		out = slices.Delete(out, at, at+1)
	}
	return out
}

// compareExpression orders expressions as the paths that they are.
func compareExpression[T any](e expression[T], path pattern.Path) int {
	return pattern.ComparePaths(e.path, path)
}
