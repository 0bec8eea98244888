package router

import (
	"hash/maphash"
	"slices"
	"strings"

	"tidegate.dev/proto/pattern"
)

// search is one request on its way through the trees. Trees are walked in the order of precedence, so of two candidates with
// the same priority the first that is met wins; what comes later wins by a higher priority only.
type search[T any] struct {
	seed   maphash.Seed
	path   string
	name   string
	method methodSet
	fields pattern.Fields
	// priority is that of best, or lowest.
	priority int64
	best     *target[T]
	// captures tells that best takes values from the path.
	captures bool
	// expression is the regular expression that best belongs to, nil for a template.
	expression *expression[T]
	// collect is where a search for the allowed methods puts them; such a search goes everywhere. Else it is nil.
	collect *[]string
}

// maxSuffix is the longest name that a wildcard's suffix can be, in bytes.
const maxSuffix = 253

// search goes through the trees of all host patterns that fit, in their order.
func (r *Router[T]) search(s *search[T], authority string) {
	if !strings.HasPrefix(s.path, "/") {
		return
	}
	if r.templates.named()+r.expressions.named() > 0 {
		r.searchNamed(s, pattern.NormalizeHost(authority))
	}
	if n := r.templates.any; n != nil && n.high.priority > s.priority {
		s.walk(n, 0)
	}
	if n := r.expressions.any; n != nil && n.high.priority > s.priority {
		s.walkExpressions(n, 0)
	}
}

func (r *Router[T]) searchNamed(s *search[T], name string) {
	s.host(&r.templates.exact, &r.expressions.exact, name)
	if r.templates.wildcard.size+r.expressions.wildcard.size == 0 {
		return
	}
	// A wildcard stands for at least one character, so the first dot that counts is the second character.
	for at := max(1, len(name)-1-maxSuffix); at < len(name); at++ {
		if name[at] == '.' {
			s.host(&r.templates.wildcard, &r.expressions.wildcard, name[at+1:])
		}
	}
}

func (s *search[T]) host(templates, expressions *table[T], name string) {
	if c := templates.find(s.seed, name); c != nil {
		s.child(c, 0)
	}
	if c := expressions.find(s.seed, name); c != nil && int64(c.priority) > s.priority {
		if rest, ok := cutTail(c.behind(), s.path); ok {
			s.walkExpressions(c.node, len(s.path)-len(rest))
		}
	}
}

// child searches what follows behind a segment. The path goes on at path[at:], with a slash unless that is its end.
func (s *search[T]) child(c *child[T], at int) {
	if int64(c.priority) <= s.priority {
		return
	}
	rest := s.path[at:]
	if c.list != nil {
		s.list(c, rest)
		return
	}
	if c.tail != nil {
		ok := false
		if rest, ok = cutTail(c.behind(), rest); !ok {
			return
		}
	}
	if c.node != nil {
		s.walk(c.node, len(s.path)-len(rest))
	} else if rest == "" {
		s.judge(&c.terms, &c.target)
	}
}

// list looks through a few candidates for what is left of the path.
func (s *search[T]) list(c *child[T], rest string) {
	segments := strings.Count(rest, "/")
	targets := c.targets()
	var last *tail
	fits := false
	for i := range c.tail.forms {
		f := &c.tail.forms[i]
		if int64(f.priority) <= s.priority {
			return
		}
		if f.methods&s.method == 0 {
			continue
		}
		if f.tail != last {
			last, fits = f.tail, f.tail.fits(rest, segments)
		}
		if fits && s.judge(&f.terms, &targets[i]) {
			return
		}
	}
}

// walk searches the templates in the tree below n.
func (s *search[T]) walk(n *node[T], at int) {
	if at == len(s.path) {
		s.consider(n.here)
		if n.high.priority > s.priority {
			s.consider(n.rest)
		}
		return
	}
	end := s.end(at)
	segment := s.path[at+1 : end]
	if c := n.literals.find(s.seed, segment); c != nil {
		s.child(c, end)
		if n.high.priority <= s.priority {
			return
		}
	}
	if n.parameter.exists() && segment != "" {
		s.child(&n.parameter, end)
	}
	s.consider(n.rest)
}

// end is where the segment ends that begins with the slash at path[at].
func (s *search[T]) end(at int) int {
	if next := strings.IndexByte(s.path[at+1:], '/'); next >= 0 {
		return at + 1 + next
	}
	return len(s.path)
}

// walkExpressions searches the regular expressions in the tree below n, those with the longest literal prefix first.
func (s *search[T]) walkExpressions(n *node[T], at int) {
	if len(s.path) > pattern.MaxRegexText {
		return
	}
	if at < len(s.path) {
		end := s.end(at)
		if c := n.literals.find(s.seed, s.path[at+1:end]); c != nil && int64(c.priority) > s.priority {
			if rest, ok := cutTail(c.behind(), s.path[end:]); ok {
				s.walkExpressions(c.node, len(s.path)-len(rest))
			}
		}
	}
	for i := range n.expressions {
		e := &n.expressions[i]
		if first(e.candidates) > s.priority && strings.HasPrefix(s.path, e.path.LiteralPrefix()) && e.regex.MatchString(s.path) {
			if s.consider(e.candidates) {
				s.expression = e
			}
		}
	}
}

// consider takes the first candidate of the list that wins over the best so far, if there is one.
func (s *search[T]) consider(list []candidate[T]) (found bool) {
	for i := range list {
		if int64(list[i].priority) <= s.priority {
			return false
		}
		if s.judge(&list[i].terms, &list[i].target) {
			return true
		}
	}
	return false
}

// judge takes the candidate, which is above the best so far, if it accepts the request.
func (s *search[T]) judge(on *terms, to *target[T]) (taken bool) {
	if s.collect != nil {
		s.collectMethods(on, to)
		return false
	}
	if !s.accepts(on, to) {
		return false
	}
	s.best, s.captures, s.priority, s.expression = to, on.captures, int64(on.priority), nil
	return true
}

func (s *search[T]) accepts(on *terms, to *target[T]) bool {
	if on.methods&s.method == 0 {
		return false
	}
	if s.method == otherMethod && on.methods != anyMethod && !slices.Contains(to.from.rule.methods, s.name) {
		return false
	}
	return !on.conditional || to.from.rule.acceptsFields(s.fields)
}

func (s *search[T]) collectMethods(on *terms, to *target[T]) {
	if !on.conditional || to.from.rule.acceptsFields(s.fields) {
		*s.collect = append(*s.collect, to.from.rule.methods...)
	}
}

func (r *rule[T]) acceptsFields(fields pattern.Fields) bool {
	for i := range r.headers {
		value, present := "", false
		if fields != nil {
			value, present = fields.Header(r.headers[i].Name())
		}
		if !r.headers[i].Accepts(value, present) {
			return false
		}
	}
	for i := range r.query {
		value, present := "", false
		if fields != nil {
			value, present = fields.Query(r.query[i].Name())
		}
		if !r.query[i].Accepts(value, present) {
			return false
		}
	}
	return true
}
