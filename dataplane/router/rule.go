package router

import (
	"fmt"
	"strings"

	"tidegate.dev/proto/pattern"
)

// rule is what is compiled of an [Entry], shared by its candidates.
type rule[T any] struct {
	name         string
	priority     int64
	conditions   int
	headers      []pattern.Condition
	query        []pattern.Condition
	methods      []string
	alternatives []pattern.Alternative
	value        T
}

func (r *rule[T]) highest() int64 { return r.priority }

func compile[T any](entry Entry[T]) (*rule[T], error) {
	if entry.Rule.Name == "" {
		return nil, fmt.Errorf("compiling a route: it has no name")
	}
	return &rule[T]{
		name:         entry.Rule.Name,
		priority:     int64(entry.Rule.Priority),
		conditions:   entry.Rule.Conditions(),
		headers:      entry.Rule.Headers,
		query:        entry.Rule.Query,
		methods:      entry.Rule.Methods,
		alternatives: entry.Rule.Alternatives(),
		value:        entry.Value,
	}, nil
}

func (r *rule[T]) candidate(path pattern.Path) candidate[T] {
	return candidate[T]{
		priority:    r.priority,
		methods:     methodsOf(r.methods),
		conditional: len(r.headers)+len(r.query) > 0,
		rule:        r,
		captures:    path.Captures(),
		value:       r.value,
	}
}

// placeOf says where in a host's trees the path belongs. A regular expression hangs below the whole segments of its literal
// prefix, where only requests that begin with them come by.
func placeOf(path pattern.Path) place {
	if path.Regexp() == nil {
		return place{path: path, segments: path.Segments()}
	}
	whole, _, _ := cutLast(path.LiteralPrefix())
	var segments []pattern.Segment
	for part := range strings.SplitSeq(strings.TrimPrefix(whole, "/"), "/") {
		if part != "" {
			segments = append(segments, pattern.Segment{Text: part})
		}
	}
	return place{path: path, segments: segments}
}

// cutLast cuts text around its last slash.
func cutLast(text string) (before, after string, found bool) {
	if at := strings.LastIndexByte(text, '/'); at >= 0 {
		return text[:at], text[at+1:], true
	}
	return "", text, false
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
