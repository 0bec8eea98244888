package router

import "tidegate.dev/proto/pattern"

// insert adds a rule whose name is not there yet.
func (r *Router[T]) insert(c change, rule *rule[T]) {
	r.rules.put(c, rule.name, rule)
	for _, a := range rule.alternatives {
		at, added := placeOf(a.Path), rule.candidate(a.Path)
		r.changeHost(c, a.Host, func(h host[T]) host[T] {
			if a.Path.Regexp() != nil {
				h.expressions = h.expressions.insert(c, at, added)
			} else {
				h.templates = h.templates.insert(c, at, added)
			}
			return h
		})
	}
}

// remove takes out the rule with the name, if there is one.
func (r *Router[T]) remove(c change, name string) {
	rule, ok := r.rules.get(c.seed, name)
	if !ok {
		return
	}
	r.rules.remove(c, name)
	for _, a := range rule.alternatives {
		at := placeOf(a.Path)
		r.changeHost(c, a.Host, func(h host[T]) host[T] {
			if a.Path.Regexp() != nil {
				h.expressions = h.expressions.remove(c, at, name)
			} else {
				h.templates = h.templates.remove(c, at, name)
			}
			return h
		})
	}
}

// changeHost replaces the trees of a host pattern, which may be there or not, before and after.
func (r *Router[T]) changeHost(c change, of pattern.Host, edit func(host[T]) host[T]) {
	if of.IsAny() {
		r.any = changed(r.any, edit)
		return
	}
	hosts, key := &r.exact, of.String()
	if suffix, ok := of.Wildcard(); ok {
		hosts, key = &r.wildcard, suffix
	}
	old, _ := hosts.get(c.seed, key)
	if h := changed(old, edit); h != nil {
		hosts.put(c, key, h)
	} else {
		hosts.remove(c, key)
	}
}

// changed returns what edit makes of a host's trees, nil if nothing is left. It copies the two pointers, never the trees.
func changed[T any](old *host[T], edit func(host[T]) host[T]) *host[T] {
	h := host[T]{}
	if old != nil {
		h = *old
	}
	if h = edit(h); h.templates == nil && h.expressions == nil {
		return nil
	}
	return &h
}
