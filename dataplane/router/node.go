package router

import (
	"cmp"
	"math"
	"regexp"
	"slices"

	"tidegate.dev/proto/pattern"
)

// lowest is below every priority of a rule.
const lowest int64 = math.MinInt64

// node is a place in a tree of paths: all templates that begin with the same segments go through it.
type node[T any] struct {
	// priority is the highest of all candidates here and below, so that a search skips what cannot win.
	priority int64
	literals table[*node[T]]
	// parameter is the node for any one segment, nil if there is none.
	parameter *node[T]
	owner     *edit
	// here are the candidates whose template ends at this node. A single one lies in one, beside what was just read.
	here []candidate[T]
	one  [1]candidate[T]
	// rest are the candidates whose template goes on with **.
	rest []candidate[T]
	// expressions are those whose literal prefix leads here, in their order.
	expressions []expression[T]
}

// expression is a regular expression and its candidates.
type expression[T any] struct {
	path  pattern.Path
	regex *regexp.Regexp
	// captures tells that the expression has named groups.
	captures   bool
	candidates []candidate[T]
}

// candidate is one alternative of a rule. Candidates of one list are in the order in which they win.
type candidate[T any] struct {
	priority int64
	methods  methodSet
	// conditional tells that the rule has conditions on headers or query.
	conditional bool
	rule        *rule[T]
	captures    []pattern.Capture
	value       T
}

func (n *node[T]) highest() int64 {
	if n == nil {
		return lowest
	}
	return n.priority
}

// editable returns n if the edit made it, else a copy, else (n is nil) an empty node.
func (n *node[T]) editable(by *edit) *node[T] {
	if n == nil {
		return &node[T]{owner: by, priority: lowest}
	}
	if n.owner == by {
		return n
	}
	copied := *n
	copied.owner = by
	copied.setHere(n.here)
	return &copied
}

func (n *node[T]) setHere(list []candidate[T]) {
	n.one, n.here = [1]candidate[T]{}, list
	if len(list) == 1 {
		n.one[0] = list[0]
		n.here = n.one[:]
	}
}

// place says where below a node a candidate belongs.
type place struct {
	path     pattern.Path
	segments []pattern.Segment
}

// insert returns the tree with the candidate in its place. The tree may be nil.
func (n *node[T]) insert(c change, at place, added candidate[T]) *node[T] {
	n = n.editable(c.by)
	n.priority = max(n.priority, added.priority)
	switch {
	case len(at.segments) > 0 && at.segments[0].Kind == pattern.Parameter:
		n.parameter = n.parameter.insert(c, at.next(), added)
	case len(at.segments) > 0:
		key := c.intern(at.segments[0].Text)
		child, _ := n.literals.get(c.seed, key)
		n.literals.put(c, key, child.insert(c, at.next(), added))
	case at.path.Regexp() != nil:
		n.expressions = insertExpression(n.expressions, at.path, added)
	case at.path.Rest():
		n.rest = insertCandidate(n.rest, added)
	default:
		n.setHere(insertCandidate(n.here, added))
	}
	return n
}

// remove returns the tree without the rule's candidate in the place; nil if nothing is left.
func (n *node[T]) remove(c change, at place, rule string) *node[T] {
	if n == nil {
		return nil
	}
	n = n.editable(c.by)
	switch {
	case len(at.segments) > 0 && at.segments[0].Kind == pattern.Parameter:
		n.parameter = n.parameter.remove(c, at.next(), rule)
	case len(at.segments) > 0:
		n.removeLiteral(c, at, rule)
	case at.path.Regexp() != nil:
		n.expressions = removeExpression(n.expressions, at.path, rule)
	case at.path.Rest():
		n.rest = removeCandidate(n.rest, rule)
	default:
		n.setHere(removeCandidate(n.here, rule))
	}
	n.refresh()
	if n.priority == lowest {
		return nil
	}
	return n
}

func (n *node[T]) removeLiteral(c change, at place, rule string) {
	key := at.segments[0].Text
	child, ok := n.literals.get(c.seed, key)
	if !ok {
		return
	}
	if child = child.remove(c, at.next(), rule); child != nil {
		n.literals.put(c, key, child)
		return
	}
	n.literals.remove(c, key)
}

func (p place) next() place { return place{path: p.path, segments: p.segments[1:]} }

func (n *node[T]) refresh() {
	n.priority = max(n.literals.highest(), n.parameter.highest(), first(n.here), first(n.rest))
	for _, e := range n.expressions {
		n.priority = max(n.priority, first(e.candidates))
	}
}

// first is the priority of the first candidate, the highest of the list.
func first[T any](list []candidate[T]) int64 {
	if len(list) == 0 {
		return lowest
	}
	return list[0].priority
}

func compareCandidates[T any](a, b candidate[T]) int {
	return cmp.Or(
		-cmp.Compare(a.priority, b.priority),
		-cmp.Compare(a.rule.conditions, b.rule.conditions),
		cmp.Compare(a.rule.name, b.rule.name),
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
		if c.rule.name != rule {
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

func compareExpression[T any](e expression[T], path pattern.Path) int {
	return pattern.ComparePaths(e.path, path)
}
