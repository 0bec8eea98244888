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
	best     *candidate[T]
	// expression is the regular expression that best belongs to, nil for a template.
	expression *expression[T]
	// collect is where a search for the allowed methods puts them; such a search goes everywhere. Else it is nil.
	collect *[]string
}

// walk searches the templates in the tree below n. The segment to be looked at begins at path[at]; at is beyond the end of
// the path if there are no more segments.
func (s *search[T]) walk(n *node[T], at int) {
	if at > len(s.path) {
		s.consider(n.here)
		if n.priority > s.priority {
			s.consider(n.rest)
		}
		return
	}
	end := len(s.path)
	if next := strings.IndexByte(s.path[at:], '/'); next >= 0 {
		end = at + next
	}
	segment := s.path[at:end]
	if child, ok := n.literals.get(s.seed, segment); ok && child.priority > s.priority {
		s.walk(child, end+1)
		if n.priority <= s.priority {
			return
		}
	}
	if n.parameter != nil && n.parameter.priority > s.priority && segment != "" {
		s.walk(n.parameter, end+1)
	}
	s.consider(n.rest)
}

// walkExpressions searches the regular expressions in the tree below n, those with the longest literal prefix first.
func (s *search[T]) walkExpressions(n *node[T], at int) {
	if len(s.path) > pattern.MaxRegexText {
		return
	}
	if at <= len(s.path) {
		if next := strings.IndexByte(s.path[at:], '/'); next >= 0 {
			if child, ok := n.literals.get(s.seed, s.path[at:at+next]); ok && child.priority > s.priority {
				s.walkExpressions(child, at+next+1)
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
		c := &list[i]
		if c.priority <= s.priority {
			return false
		}
		if s.collect != nil {
			s.collectMethods(c)
			continue
		}
		if s.accepts(c) {
			s.best, s.priority, s.expression = c, c.priority, nil
			return true
		}
	}
	return false
}

func (s *search[T]) accepts(c *candidate[T]) bool {
	if c.methods&s.method == 0 {
		return false
	}
	if s.method == otherMethod && c.methods != anyMethod && !slices.Contains(c.rule.methods, s.name) {
		return false
	}
	return !c.conditional || c.rule.acceptsFields(s.fields)
}

func (s *search[T]) collectMethods(c *candidate[T]) {
	if !c.conditional || c.rule.acceptsFields(s.fields) {
		*s.collect = append(*s.collect, c.rule.methods...)
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
