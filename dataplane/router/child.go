package router

import (
	"strings"

	"tidegate.dev/proto/pattern"
)

// shortName is how many bytes of a name a child keeps in itself.
const shortName = 22

// child is what follows behind a segment, or behind a host. Without a node it is a single candidate, as most are where routes
// are many. With pointers as values it is 64 bytes: what a search needs of it is in one line of the processor's caches.
type child[T any] struct {
	// candidate is the one if node is nil; else only its priority says something, the highest of all in the node.
	candidate[T]
	// tail stands between this place and what is there, nil for nothing. In front of it is what of the name is beyond shortName,
	// so that hosts below one domain still share their tails.
	tail *tail
	node *node[T]
	// The name is the segment or host; nothing for a parameter.
	length uint16
	short  [shortName]byte
}

func (c *child[T]) exists() bool { return c.node != nil || c.from != nil }

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

// intern returns the one copy of a tail.
func (c change) intern(text string) *tail {
	known, ok := c.tails[text]
	if !ok {
		known = &tail{text}
		c.tails[text] = known
	}
	return known
}

// addition is a candidate on its way to its place.
type addition[T any] struct {
	candidate[T]
	// expression is nil for a template.
	expression *pattern.Path
}

// insert returns the child with the addition, whose text goes on behind the name. The child may not exist yet.
func (c child[T]) insert(e change, name, text string, added addition[T]) child[T] {
	if !c.exists() && added.expression == nil {
		c = newChild[T](e, name, text)
		c.candidate = added.candidate
		return c
	}
	shared := len(text)
	if c.exists() {
		shared = common(c.behind(), text)
	}
	if c.node == nil || shared < len(c.behind()) {
		c = c.split(e, name, text[:shared])
	}
	c.node = c.node.insert(e, text[shared:], added)
	c.priority = int32(c.node.high.priority)
	return c
}

// split puts a node between the part of the tail that is shared and the rest.
func (c child[T]) split(e change, name, shared string) child[T] {
	upper := newChild[T](e, name, shared)
	if c.exists() {
		upper.node = upper.node.adopt(e, c.behind()[len(shared):], c)
	}
	return upper
}

// remove returns the child without the rule's candidate, whose text goes on behind the name. It may be one that does not exist.
func (c child[T]) remove(e change, text string, gone addition[T]) child[T] {
	if c.node == nil {
		return child[T]{}
	}
	c.node = c.node.remove(e, text[len(c.behind()):], gone)
	if c.node == nil {
		return child[T]{}
	}
	c.priority = int32(c.node.high.priority)
	return c
}
