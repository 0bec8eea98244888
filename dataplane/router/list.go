package router

import (
	"cmp"
	"slices"
	"strings"
)

// maxList is the largest number of candidates that are looked through one by one. It costs less than to follow pointers, since
// they lie side by side, and since what they point to is shared by all lists alike.
const maxList = 16

// list has the candidates below a place, in the order in which they win, whatever their templates are. It is not changed.
type list[T any] struct {
	entries []entry[T]
}

// entry is a candidate and its template from the place of the list on.
type entry[T any] struct {
	candidate[T]
	tail *tail
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
	c := newChild[T](e, name, "")
	slices.SortFunc(entries, compareEntries[T])
	c.list, c.priority = newList(entries), entries[0].priority
	return c
}

// newList puts the entries behind the list itself, so that both are read together.
func newList[T any](entries []entry[T]) *list[T] {
	fill := func(l *list[T], room []entry[T]) *list[T] {
		l.entries = room[:copy(room, entries)]
		return l
	}
	switch n := len(entries); {
	case n <= 4:
		l := new(struct {
			list list[T]
			room [4]entry[T]
		})
		return fill(&l.list, l.room[:])
	case n <= 8:
		l := new(struct {
			list list[T]
			room [8]entry[T]
		})
		return fill(&l.list, l.room[:])
	default:
		l := new(struct {
			list list[T]
			room [maxList]entry[T]
		})
		return fill(&l.list, l.room[:])
	}
}

// entries returns a copy of the candidates, which are not in a node.
func (c *child[T]) entries(e change) []entry[T] {
	switch {
	case c.list != nil:
		return slices.Clone(c.list.entries)
	case c.from != nil:
		return []entry[T]{{c.candidate, e.intern(c.behind())}}
	}
	return nil
}

// count is how many entries there are.
func (c *child[T]) count() int {
	switch {
	case c.list != nil:
		return len(c.list.entries)
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
