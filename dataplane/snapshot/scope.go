package snapshot

import (
	"maps"
	"slices"
	"strings"

	"tidegate.dev/dataplane/plugin"
)

// place is where a plugin is bound: a route, a service, or the fleet if both are empty.
type place struct {
	route, service string
}

// places are the bindings of each place by type, in the order of types. They are never changed, only replaced.
type places map[place][]typeBindings

type typeBindings struct {
	typeName   string
	phase      plugin.Phase
	cumulative bool
	*plugin.Bindings
}

// bind makes the bindings of the places where something changed, and keeps those of the others.
func (c *compilation) bind() places {
	if len(c.touched) == 0 && c.Previous != nil {
		return c.next.places
	}
	bound := make(map[place][]*boundPlugin)
	for _, part := range c.next.plugins {
		if p := part.value; p.policy != nil && c.touched[p.place] {
			bound[p.place] = append(bound[p.place], p)
		}
	}
	next := maps.Clone(c.next.places)
	if next == nil {
		next = make(places)
	}
	for at := range c.touched {
		if plugins := bound[at]; len(plugins) > 0 {
			next[at] = bindPlace(plugins)
		} else {
			delete(next, at)
		}
	}
	return next
}

func bindPlace(plugins []*boundPlugin) []typeBindings {
	slices.SortFunc(plugins, func(a, b *boundPlugin) int { return strings.Compare(a.name, b.name) })
	var out []typeBindings
	for _, p := range plugins {
		at := slices.IndexFunc(out, func(t typeBindings) bool { return t.typeName == p.typeName })
		if at < 0 {
			at = len(out)
			out = append(out, typeBindings{p.typeName, p.phase, p.cumulative, &plugin.Bindings{}})
		}
		add(out[at].Bindings, p)
	}
	return out
}

// add puts a plugin among those of its type and place. Of two that are not cumulative and for the same callers the first by
// name stays; publishing two is refused.
func add(b *plugin.Bindings, p *boundPlugin) {
	join := func(list []*plugin.Policy) []*plugin.Policy {
		if len(list) > 0 && !p.cumulative {
			return list
		}
		return append(list, p.policy)
	}
	switch {
	case p.consumer != "":
		if b.Consumers == nil {
			b.Consumers = make(map[string][]*plugin.Policy)
		}
		b.Consumers[p.consumer] = join(b.Consumers[p.consumer])
	case p.plan != "":
		if b.Plans == nil {
			b.Plans = make(map[string][]*plugin.Policy)
		}
		b.Plans[p.plan] = join(b.Plans[p.plan])
	default:
		b.Everyone = join(b.Everyone)
	}
}

// chain makes the chain of a route. Routes without policies of their own share that of their service, and services that of
// the fleet; made holds those that were made already.
func (p places) chain(route, service string, made map[place]*plugin.Chain) *plugin.Chain {
	key := place{route: route, service: service}
	if _, own := p[place{route: route}]; !own {
		key.route = ""
		if _, ofService := p[place{service: service}]; !ofService {
			key.service = ""
		}
	}
	if chain, ok := made[key]; ok {
		return chain
	}
	chain := plugin.NewChain(p.choices([...]place{{route: route}, {service: service}, {}}))
	made[key] = chain
	return chain
}

// choices gathers the types that are bound anywhere from the route to the fleet.
func (p places) choices(from [3]place) []plugin.Choice {
	var types []string
	var choices []plugin.Choice
	for level, at := range from {
		if level < 2 && at == (place{}) {
			// There is no service; the fleet comes last.
			continue
		}
		for _, bound := range p[at] {
			i := slices.Index(types, bound.typeName)
			if i < 0 {
				i = len(types)
				types = append(types, bound.typeName)
				choices = append(choices, plugin.Choice{Phase: bound.phase, Cumulative: bound.cumulative})
			}
			choices[i].Places[level] = bound.Bindings
		}
	}
	return choices
}

// checkReferences looks for plugins that are bound to what is not there. Nothing can have gone missing if nothing was deleted
// and no plugin came.
func (c *compilation) checkReferences() {
	if !c.deleted && len(c.touched) == 0 {
		return
	}
	for name, part := range c.next.plugins {
		at := part.value.place
		if _, ok := c.next.routes[at.route]; at.route != "" && !ok {
			c.fail("plugins/"+name, "scope.route", CodeReference, "there is no route %q", at.route)
		}
		if _, ok := c.next.services[at.service]; at.service != "" && !ok {
			c.fail("plugins/"+name, "scope.service", CodeReference, "there is no service %q", at.service)
		}
		if _, ok := c.next.plans[part.value.plan]; part.value.plan != "" && !ok {
			c.fail("plugins/"+name, "scope.plan", CodeReference, "there is no plan %q", part.value.plan)
		}
	}
}
