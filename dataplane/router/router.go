package router

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"tidegate.dev/proto/pattern"
)

// Entry is a rule and what it leads to.
type Entry[T any] struct {
	// Rule's Name identifies the entry; it is not empty.
	Rule pattern.Rule
	// Value is what Match returns for it.
	Value T
}

// Router matches requests against a fixed set of rules. It is immutable: any number of goroutines may use it.
type Router[T any] struct {
	seed maphash.Seed
	// rules by name, so that a later change finds what it replaces.
	rules table[*rule[T]]
	// exact hosts by name, wildcards by what follows "*.", and the rules for any host.
	exact    table[*host[T]]
	wildcard table[*host[T]]
	any      *host[T]
}

// host has the trees of one host pattern.
type host[T any] struct {
	templates   *node[T]
	expressions *node[T]
}

func (h *host[T]) highest() int64 {
	if h == nil {
		return lowest
	}
	return max(h.templates.highest(), h.expressions.highest())
}

// New compiles entries. It fails if two have one name or one has none. Rules that tie, which a control plane refuses to
// publish, are decided by name.
func New[T any](entries []Entry[T]) (*Router[T], error) {
	empty := &Router[T]{seed: maphash.MakeSeed()}
	return empty.With(entries, nil)
}

// With returns a router with the upserts put in place of entries of the same name or added, and the deletes gone. The
// receiver stays as it is, and shares with the new one what did not change: the cost follows the size of the change. It fails
// if a name is given twice or a deleted one is not there.
func (r *Router[T]) With(upserts []Entry[T], deletes []string) (*Router[T], error) {
	next := *r
	c := newChange(r.seed)
	seen := make(map[string]bool, len(upserts)+len(deletes))
	for _, name := range deletes {
		if _, ok := r.rules.get(r.seed, name); !ok || seen[name] {
			return nil, fmt.Errorf("deleting route %q: it is not there", name)
		}
		seen[name] = true
		next.remove(c, name)
	}
	for _, entry := range upserts {
		rule, err := compile(entry)
		if err != nil {
			return nil, err
		}
		if seen[rule.name] {
			return nil, fmt.Errorf("compiling route %q: the name is given twice", rule.name)
		}
		seen[rule.name] = true
		next.remove(c, rule.name)
		next.insert(c, rule)
	}
	return &next, nil
}

// Len is the number of rules.
func (r *Router[T]) Len() int { return r.rules.size }

// Get returns the value of the entry with the name.
func (r *Router[T]) Get(name string) (value T, ok bool) {
	rule, ok := r.rules.get(r.seed, name)
	if !ok {
		return value, false
	}
	return rule.value, true
}

// Match returns the value of the rule that takes the request, and false if none does; [Router.Allowed] then tells 404 from
// 405. Host is the Host or :authority as sent, path what [pattern.NormalizePath] returned, fields may be nil. Params gets
// the values of the pattern's parameters, and is emptied if there are none; it may be nil if nobody wants them. Match does
// not allocate, but for hosts not in lower case, escaped reserved characters (%3A) and the groups of regular expressions.
func (r *Router[T]) Match(host, method, path string, fields pattern.Fields, params *Params) (value T, ok bool) {
	if params != nil {
		params.Reset()
	}
	s := search[T]{seed: r.seed, path: pattern.MatchForm(path), name: method, method: methodBit(method), fields: fields, priority: lowest}
	r.search(&s, host)
	if s.best == nil {
		return value, false
	}
	if params != nil {
		if s.expression != nil && s.expression.captures {
			params.captureExpression(s.path, s.expression.regex)
		} else if len(s.best.captures) > 0 {
			params.capture(path, s.best.captures)
		}
	}
	return s.best.value, true
}

// Allowed returns the methods, sorted, with which the request would match. After a Match that found nothing they belong into
// the Allow header of a 405; none means 404.
func (r *Router[T]) Allowed(host, path string, fields pattern.Fields) []string {
	var methods []string
	s := search[T]{seed: r.seed, path: pattern.MatchForm(path), fields: fields, priority: lowest, collect: &methods}
	r.search(&s, host)
	slices.Sort(methods)
	return slices.Compact(methods)
}

// search goes through the trees of all host patterns that fit, in their order.
func (r *Router[T]) search(s *search[T], authority string) {
	if !strings.HasPrefix(s.path, "/") {
		return
	}
	if r.exact.size+r.wildcard.size > 0 {
		r.searchNamed(s, pattern.NormalizeHost(authority))
	}
	s.host(r.any)
}

func (r *Router[T]) searchNamed(s *search[T], name string) {
	if h, ok := r.exact.get(r.seed, name); ok {
		s.host(h)
	}
	if r.wildcard.size == 0 {
		return
	}
	// A wildcard stands for at least one character, so the first dot that counts is the second character.
	for at := 1; at < len(name); at++ {
		if name[at] != '.' {
			continue
		}
		if h, ok := r.wildcard.get(r.seed, name[at+1:]); ok {
			s.host(h)
		}
	}
}

func (s *search[T]) host(h *host[T]) {
	if h == nil {
		return
	}
	if h.templates != nil && h.templates.priority > s.priority {
		s.walk(h.templates, 1)
	}
	if h.expressions != nil && h.expressions.priority > s.priority {
		s.walkExpressions(h.expressions, 1)
	}
}
