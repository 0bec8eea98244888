package router

import (
	"fmt"

	"tidegate.dev/proto/pattern"
)

// maxName is the longest name of a rule, a segment or a host, in bytes.
const maxName = pattern.MaxPathLength

// rule is what is compiled of an [Entry], shared by its candidates.
type rule[T any] struct {
	name         string
	priority     int32
	conditions   int
	headers      []pattern.Condition
	query        []pattern.Condition
	methods      []string
	alternatives []pattern.Alternative
	value        T
}

func compile[T any](entry Entry[T]) (*rule[T], error) {
	if entry.Rule.Name == "" {
		return nil, fmt.Errorf("compiling a route: it has no name")
	}
	if len(entry.Rule.Name) > maxName {
		return nil, fmt.Errorf("compiling a route: its name has %d bytes, more than %d", len(entry.Rule.Name), maxName)
	}
	return &rule[T]{
		name:         entry.Rule.Name,
		priority:     entry.Rule.Priority,
		conditions:   entry.Rule.Conditions(),
		headers:      entry.Rule.Headers,
		query:        entry.Rule.Query,
		methods:      entry.Rule.Methods,
		alternatives: entry.Rule.Alternatives(),
		value:        entry.Value,
	}, nil
}

// addition is the rule's candidate for a path.
func (r *rule[T]) addition(path pattern.Path) addition[T] {
	added := addition[T]{candidate: candidate[T]{
		terms: terms{
			priority:    r.priority,
			methods:     methodsOf(r.methods),
			conditional: len(r.headers)+len(r.query) > 0,
			captures:    len(path.Captures()) > 0,
		},
		target: target[T]{r.value, &alternative[T]{r, path.Captures()}},
	}}
	if path.Regexp() != nil {
		added.expression = &path
	}
	return added
}

// methodSet has a bit for each usual method, and one for all others together.
type methodSet uint16

const (
	otherMethod methodSet = 1 << iota
	methodGet
	methodHead
	methodPost
	methodPut
	methodPatch
	methodDelete
	methodOptions
	methodConnect
	methodTrace

	// anyMethod has more bits than any list of methods can have.
	anyMethod = ^methodSet(0)
)

func methodBit(method string) methodSet {
	switch method {
	case "GET":
		return methodGet
	case "HEAD":
		return methodHead
	case "POST":
		return methodPost
	case "PUT":
		return methodPut
	case "PATCH":
		return methodPatch
	case "DELETE":
		return methodDelete
	case "OPTIONS":
		return methodOptions
	case "CONNECT":
		return methodConnect
	case "TRACE":
		return methodTrace
	}
	return otherMethod
}

func methodsOf(methods []string) methodSet {
	if len(methods) == 0 {
		return anyMethod
	}
	var set methodSet
	for _, method := range methods {
		set |= methodBit(method)
	}
	return set
}
