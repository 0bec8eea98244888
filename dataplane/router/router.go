package router

import (
	"fmt"
	"hash/maphash"
	"slices"

	"tidegate.dev/proto/pattern"
)

// MaxWays bounds [Router.Ways]. Sets of routes that people write have a handful.
const MaxWays = 64

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
	// rules by name, so that a later change finds what it replaces. What a child leads to is of no meaning here.
	rules table[T]
	// Of each host pattern, the regular expressions come after all templates.
	templates   forest[T]
	expressions forest[T]
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
		if r.rules.find(r.seed, name) == nil || seen[name] {
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
	if ways := next.Ways(); ways > MaxWays {
		return nil, fmt.Errorf("compiling %d routes: one path would have to be searched in %d ways, more than %d; too many of them have a parameter "+
			"where others have a literal", next.Len(), ways, MaxWays)
	}
	return &next, nil
}

// Ways is in how many ways at most one path is looked for below one host pattern, the product of ambiguity: a way more for each
// place on one line through the tree where a literal and a parameter stand side by side. A search visits no more places than
// this times the segments of the path. It is an upper bound, kept while routes change.
func (r *Router[T]) Ways() int { return max(r.templates.ways(), r.expressions.ways()) }

// Len is the number of rules.
func (r *Router[T]) Len() int { return r.rules.size }

// Get returns the value of the entry with the name.
func (r *Router[T]) Get(name string) (value T, ok bool) {
	named := r.rules.find(r.seed, name)
	if named == nil {
		return value, false
	}
	return named.from.rule.value, true
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
		} else if s.captures {
			params.capture(path, s.best.from.captures)
		}
	}
	return s.best.value, true
}

// Allowed returns the methods, sorted, with which the request would match. After a Match that found nothing they belong into
// the Allow header of a 405; none means 404.
func (r *Router[T]) Allowed(host, path string, fields pattern.Fields) []string {
	var methods []string
	s := search[T]{seed: r.seed, path: pattern.MatchForm(path), method: anyMethod, fields: fields, priority: lowest, collect: &methods}
	r.search(&s, host)
	slices.Sort(methods)
	return slices.Compact(methods)
}
