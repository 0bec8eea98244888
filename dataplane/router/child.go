package router

import (
	"slices"
	"strings"

	"tidegate.dev/proto/pattern"
)

// shortName is how many bytes of a name a child keeps in itself.
const shortName = 14

// child is what follows behind a segment, or behind a host: one candidate, a list of a few, or a node if they are many. With
// pointers as values it is 64 bytes, so that what a search needs of it is in one line of the processor's caches. In front of more
// than 512 bytes Go's allocator puts 8 of its own, so the last field, which lies in the next line then, is one that few need.
type child[T any] struct {
	// tail stands between this place and what is there, nil for nothing. In front of it is what of the name is beyond shortName,
	// so that hosts below one domain still share their tails. In front of a list there is nothing else.
	tail *tail
	// list is the first target of a list, which has as many as tail has forms.
	list *target[T]
	node *node[T]
	// The name is the segment or host; nothing for a parameter.
	length uint16
	short  [shortName]byte
	// candidate is the only one if list and node are nil. Else its priority alone says something, the highest of all.
	candidate[T]
}

func (c *child[T]) exists() bool { return c.node != nil || c.list != nil || c.from != nil }

func (c *child[T]) is(name string) bool {
	if len(name) != int(c.length) {
		return false
	}
	if len(name) <= shortName {
		return string(c.short[:len(name)]) == name
	}
	return string(c.short[:]) == name[:shortName] && strings.HasPrefix(c.tail.text, name[shortName:])
}

func (c *child[T]) name() string {
	if c.length <= shortName {
		return string(c.short[:c.length])
	}
	return string(c.short[:]) + c.tail.text[:c.length-shortName]
}

// behind is the text of the tail.
func (c *child[T]) behind() string {
	switch {
	case c.tail == nil:
		return ""
	case c.length <= shortName:
		return c.tail.text
	}
	return c.tail.text[c.length-shortName:]
}

func (c *child[T]) reach() reach {
	if c.node != nil {
		return c.node.high
	}
	return reach{priority: int64(c.priority), ways: 1}
}

// newChild makes one that leads nowhere yet.
func newChild[T any](e change, name, behind string) child[T] {
	c := child[T]{length: uint16(len(name))} // patterns, hosts and names of routes are shorter than 64 KiB
	text := name[copy(c.short[:], name):] + behind
	if text != "" {
		c.tail = e.intern(text)
	}
	return c
}

// addition is a candidate on its way to its place.
type addition[T any] struct {
	candidate[T]
	// expression is nil for a template.
	expression *pattern.Path
}

// insert returns the child with the addition, whose text goes on behind the name. The child may not exist yet.
func (c child[T]) insert(e change, name, text string, added addition[T]) child[T] {
	switch {
	case added.expression == nil && c.node == nil && c.count() < maxList:
		return newLeaf(e, name, append(c.entries(e), entry[T]{added.candidate, e.intern(text)}))
	case c.node == nil:
		c = c.spread(e, name, text)
	default:
		if shared := common(c.behind(), text); shared < len(c.behind()) {
			upper := newChild[T](e, name, text[:shared])
			upper.node = upper.node.adopt(e, c.behind()[shared:], c.node)
			c = upper
		}
	}
	c.node = c.node.insert(e, text[len(c.behind()):], added)
	c.priority = int32(c.node.high.priority)
	return c
}

// spread makes a node of a list, behind what its templates and the text have in common.
func (c child[T]) spread(e change, name, text string) child[T] {
	entries := c.entries(e)
	for _, one := range entries {
		text = text[:common(one.tail.text, text)]
	}
	upper := newChild[T](e, name, text)
	for _, one := range entries {
		upper.node = upper.node.insert(e, one.tail.text[len(text):], addition[T]{candidate: one.candidate})
	}
	return upper
}

// remove returns the child without the rule's candidate, whose text goes on behind the name. It may be one that does not exist.
func (c child[T]) remove(e change, text string, gone addition[T]) child[T] {
	if c.node == nil {
		is := func(one entry[T]) bool { return one.from.rule.name == gone.from.rule.name && one.tail.text == text }
		return newLeaf(e, c.name(), slices.DeleteFunc(c.entries(e), is))
	}
	c.node = c.node.remove(e, text[len(c.behind()):], gone)
	if c.node == nil {
		return child[T]{}
	}
	c.priority = int32(c.node.high.priority)
	return c
}
