package router

import (
	"cmp"
	"slices"
	"strings"
	"unsafe"
)

// maxList is the largest number of candidates that are looked through one by one. It costs less than to follow pointers, since
// what is looked at is shared by all lists alike: a list itself is only what its candidates lead to.
const maxList = 16

// entry is a candidate of a list, and its template from the place of the list on. Entries of one list are in the order in which
// they win, whatever their templates are.
type entry[T any] struct {
	candidate[T]
	tail *tail
}

// form is what of an entry those of other lists may have too.
type form struct {
	terms
	tail *tail
}

// listKey tells lists apart that do not have the same forms, or stand behind other texts.
type listKey struct {
	text  string
	forms [maxList]form
}

// newLeaf makes a child of a few candidates; one that does not exist of none.
func newLeaf[T any](e change, name string, entries []entry[T]) child[T] {
	switch len(entries) {
	case 0:
		return child[T]{}
	case 1:
		c := newChild[T](e, name, entries[0].tail.text)
		c.candidate = entries[0].candidate
		return c
	}
	slices.SortFunc(entries, compareEntries[T])
	key := listKey{text: name[min(len(name), shortName):]}
	targets := make([]target[T], len(entries))
	for i, one := range entries {
		key.forms[i], targets[i] = form{one.terms, e.intern(one.tail.text)}, one.target
	}
	c := newChild[T](e, name, "")
	c.tail, c.list, c.priority = e.internList(key, len(entries)), &targets[0], entries[0].priority
	return c
}

// targets are those of the list that the child has. Their number is that of the forms, which are in the caches: a child has no
// space for a slice, and a slice elsewhere would be one more line to wait for.
func (c *child[T]) targets() []target[T] { return unsafe.Slice(c.list, len(c.tail.forms)) }

// entries returns a copy of the candidates, which are not in a node.
func (c *child[T]) entries(e change) []entry[T] {
	switch {
	case c.list != nil:
		entries := make([]entry[T], 0, maxList)
		for i, to := range c.targets() {
			of := c.tail.forms[i]
			entries = append(entries, entry[T]{candidate[T]{of.terms, to}, of.tail})
		}
		return entries
	case c.from != nil:
		return []entry[T]{{c.candidate, e.intern(c.behind())}}
	}
	return nil
}

// count is how many entries there are.
func (c *child[T]) count() int {
	switch {
	case c.list != nil:
		return len(c.tail.forms)
	case c.from != nil:
		return 1
	}
	return 0
}

// compareEntries is the order in which candidates of one list win.
func compareEntries[T any](a, b entry[T]) int {
	return cmp.Or(
		-cmp.Compare(a.priority, b.priority),
		compareTexts(a.tail.text, b.tail.text),
		compareCandidates(a.candidate, b.candidate),
	)
}

// compareTexts is the order of templates, segment by segment: a literal, a parameter, the end, **.
func compareTexts(a, b string) int {
	for restA, restB := a, b; ; {
		rankA, nextA := cutRank(restA)
		rankB, nextB := cutRank(restB)
		if rankA != rankB {
			return cmp.Compare(rankA, rankB)
		}
		if rankA >= rankEnd {
			// Templates of the same kinds of segments fit one path only if they are equal.
			return strings.Compare(a, b)
		}
		restA, restB = nextA, nextB
	}
}

const (
	rankLiteral = iota
	rankParameter
	rankEnd
	rankRest
)

// cutRank is the place in the order of the segment that the text begins with.
func cutRank(text string) (rank int, after string) {
	switch {
	case text == "":
		return rankEnd, ""
	case text[0] == restMark:
		return rankRest, ""
	}
	segment, after := cutSegment(text)
	if segment == string(parameterMark) {
		return rankParameter, after
	}
	return rankLiteral, after
}
