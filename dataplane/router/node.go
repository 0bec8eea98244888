package router

import (
	"math"
	"strings"
)

// lowest is below every priority of a rule.
const lowest int64 = math.MinInt64

// node is a place in a tree of paths where ways part: all templates that begin with the same segments go through it.
type node[T any] struct {
	owner *edit
	// high tells a search to skip what cannot win.
	high     reach
	literals table[T]
	// parameter is what follows any one segment.
	parameter child[T]
	// here are the candidates whose template ends at this node. A single one lies in one, beside what was just read.
	here []candidate[T]
	one  [1]candidate[T]
	// rest are the candidates whose template goes on with **.
	rest []candidate[T]
	// expressions are those whose literal prefix leads here, in their order.
	expressions []expression[T]
}

// editable returns n if the edit made it, else a copy, else (n is nil) an empty node.
func (n *node[T]) editable(by *edit) *node[T] {
	if n == nil {
		return &node[T]{owner: by, high: nothing}
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

// insert returns the node with the addition, whose text goes on from here. The node may be nil.
func (n *node[T]) insert(e change, text string, added addition[T]) *node[T] {
	n = n.editable(e.by)
	switch {
	case text == "" && added.expression != nil:
		n.expressions = insertExpression(n.expressions, *added.expression, added.candidate)
	case text == "":
		n.setHere(insertCandidate(n.here, added.candidate))
	case text[0] == restMark:
		n.rest = insertCandidate(n.rest, added.candidate)
	case strings.HasPrefix(text, parameterSegment):
		n.parameter = n.parameter.insert(e, "", text[len(parameterSegment):], added)
	default:
		segment, after := cutSegment(text)
		n.literals.edit(e, segment, func(c child[T]) child[T] { return c.insert(e, segment, after, added) })
	}
	n.refresh()
	return n
}

// adopt returns the node with another in the place that the text leads to, which is not here. The node is nil.
func (n *node[T]) adopt(e change, text string, below *node[T]) *node[T] {
	n = n.editable(e.by)
	moved := func(name, behind string) child[T] {
		c := newChild[T](e, name, behind)
		c.node, c.priority = below, int32(below.high.priority)
		return c
	}
	if strings.HasPrefix(text, parameterSegment) {
		n.parameter = moved("", text[len(parameterSegment):])
	} else {
		segment, after := cutSegment(text)
		n.literals.put(e, moved(segment, after), nothing)
	}
	n.refresh()
	return n
}

// remove returns the node without the rule's candidate in the place; nil if nothing is left.
func (n *node[T]) remove(e change, text string, gone addition[T]) *node[T] {
	n = n.editable(e.by)
	switch name := gone.from.rule.name; {
	case text == "" && gone.expression != nil:
		n.expressions = removeExpression(n.expressions, *gone.expression, name)
	case text == "":
		n.setHere(removeCandidate(n.here, name))
	case text[0] == restMark:
		n.rest = removeCandidate(n.rest, name)
	case strings.HasPrefix(text, parameterSegment):
		n.parameter = n.parameter.remove(e, text[len(parameterSegment):], gone)
	default:
		segment, after := cutSegment(text)
		n.literals.edit(e, segment, func(c child[T]) child[T] { return c.remove(e, after, gone) })
	}
	if n.refresh(); n.high.priority == lowest {
		return nil
	}
	return n
}

func (n *node[T]) refresh() {
	n.high = nothing
	if n.literals.size > 0 {
		n.high = n.literals.high
	}
	if n.parameter.exists() {
		below := n.parameter.reach()
		n.high = reach{max(n.high.priority, below.priority), n.high.ways + below.ways}
	}
	priority := max(first(n.here), first(n.rest))
	for _, e := range n.expressions {
		priority = max(priority, first(e.candidates))
	}
	n.high = n.high.or(reach{priority: priority, ways: 1})
}
