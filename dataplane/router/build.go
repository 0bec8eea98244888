package router

import "tidegate.dev/proto/pattern"

// forest has the trees of all host patterns.
type forest[T any] struct {
	// exact hosts by name, wildcards by what follows "*.", and what is for any host.
	exact    table[T]
	wildcard table[T]
	any      *node[T]
}

// insert adds a rule whose name is not there yet.
func (r *Router[T]) insert(c change, rule *rule[T]) {
	named := newChild[T](c, rule.name, "")
	named.from = &alternative[T]{rule: rule}
	r.rules.put(c, named, nothing)
	for _, a := range rule.alternatives {
		text, added := textOf(a.Path), rule.addition(a.Path)
		trees := r.forest(a.Path)
		if hosts, name := trees.hosts(a.Host); hosts != nil {
			hosts.edit(c, name, func(of child[T]) child[T] { return of.insert(c, name, text, added) })
		} else {
			trees.any = trees.any.insert(c, text, added)
		}
	}
}

// remove takes out the rule with the name, if there is one.
func (r *Router[T]) remove(c change, name string) {
	named := r.rules.find(c.seed, name)
	if named == nil {
		return
	}
	rule, was := named.from.rule, named.reach()
	r.rules.remove(c, name, was)
	for _, a := range rule.alternatives {
		text, gone := textOf(a.Path), rule.addition(a.Path)
		trees := r.forest(a.Path)
		if hosts, name := trees.hosts(a.Host); hosts != nil {
			hosts.edit(c, name, func(of child[T]) child[T] { return of.remove(c, text, gone) })
		} else {
			trees.any = trees.any.remove(c, text, gone)
		}
	}
}

// forest is where a path belongs.
func (r *Router[T]) forest(path pattern.Path) *forest[T] {
	if path.Regexp() != nil {
		return &r.expressions
	}
	return &r.templates
}

// hosts is where a host pattern belongs, and its name there; nil for any host.
func (f *forest[T]) hosts(of pattern.Host) (hosts *table[T], name string) {
	if of.IsAny() {
		return nil, ""
	}
	if suffix, ok := of.Wildcard(); ok {
		return &f.wildcard, suffix
	}
	return &f.exact, of.String()
}

// named is how many host patterns have a name.
func (f *forest[T]) named() int { return f.exact.size + f.wildcard.size }

// ways is the largest number of ways in a tree.
func (f *forest[T]) ways() int {
	ways := 0
	if f.any != nil {
		ways = f.any.high.ways
	}
	return max(ways, f.exact.ways(), f.wildcard.ways())
}

func (t *table[T]) ways() int {
	if t.size == 0 {
		return 0
	}
	return t.high.ways
}
