package config

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/pattern"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// maxPairs bounds how many pairs of routes are compared for ties and for shadows, each.
const maxPairs = 200_000

func routeKey(name string) revision.Key {
	return revision.Key{Kind: configv1.Kind_KIND_ROUTE, Name: name}
}

func serviceKey(name string) revision.Key {
	return revision.Key{Kind: configv1.Kind_KIND_SERVICE, Name: name}
}

// checkRoutes: no two routes tie. wrong names resources that are refused already.
func (d *draft) checkRoutes(ctx context.Context, wrong map[revision.Key]bool, e effort) error {
	rules := map[string]pattern.Rule{}
	d.upserts(func(edit *edit) {
		if route, ok := edit.spec.(*configv1.Route); ok && !wrong[edit.Key] {
			if rule, violations := store.RouteRule(edit.Name, route); len(violations) == 0 {
				rules[edit.Name] = rule
			}
		}
	})
	if len(rules) > 0 {
		if err := d.checkTies(ctx, rules); err != nil {
			return err
		}
	}
	if len(d.violations) > 0 {
		return nil // warnings would only distract
	}
	if len(rules) > 0 {
		if err := d.warnOfShadows(ctx, rules, e); err != nil {
			return err
		}
	}
	return d.warnOfUnusedServices(ctx)
}

// checkTies compares the draft's routes with those that share a place in the order, which an index finds.
func (d *draft) checkTies(ctx context.Context, changed map[string]pattern.Rule) error {
	sharing := map[string][]string{}
	for name, rule := range changed {
		for _, key := range pattern.TieKeys(rule) {
			sharing[key] = append(sharing[key], name)
		}
	}
	present, err := d.presentSharing(ctx, sharing)
	if err != nil {
		return err
	}
	compared := map[[2]string]bool{}
	for _, key := range slices.Sorted(maps.Keys(sharing)) {
		names := sharing[key]
		slices.Sort(names)
		for _, one := range names {
			for _, other := range names {
				d.compareForTie(compared, changed, present, one, other)
			}
		}
	}
	if len(compared) >= maxPairs {
		d.warn(routeKey(slices.Sorted(maps.Keys(changed))[0]), fmt.Sprintf("so many routes are alike that only %d pairs of them were compared", maxPairs))
	}
	return nil
}

// presentSharing adds to sharing the routes at head that the draft leaves alone, and returns their rules.
func (d *draft) presentSharing(ctx context.Context, sharing map[string][]string) (map[string]pattern.Rule, error) {
	found, err := d.tx.RoutesByKeys(ctx, d.fleet.ID, slices.Collect(maps.Keys(sharing)))
	if err != nil {
		return nil, err
	}
	var keys []revision.Key
	for tieKey, names := range found {
		for _, name := range names {
			if d.byKey[routeKey(name)] == nil {
				sharing[tieKey] = append(sharing[tieKey], name)
				keys = append(keys, routeKey(name))
			}
		}
	}
	versions, err := d.tx.AtHead(ctx, d.fleet.ID, keys)
	if err != nil {
		return nil, err
	}
	return d.rulesOf(maps.Values(versions))
}

// compareForTie refuses one, which the draft writes, if it ties with other.
func (d *draft) compareForTie(compared map[[2]string]bool, changed, present map[string]pattern.Rule, one, other string) {
	rule, isChanged := changed[one]
	if !isChanged || one == other || compared[[2]string{one, other}] || len(compared) >= maxPairs {
		return
	}
	compared[[2]string{one, other}] = true
	otherRule, ok := changed[other]
	if !ok {
		otherRule = present[other]
	}
	if tie, why := pattern.Ties(rule, otherRule); tie {
		d.refuse(routeKey(one), "spec.match", ruleTie, fmt.Sprintf("routes/%s and routes/%s tie: %s", one, other, why))
	}
}

// warnOfShadows warns of routes that never match because another takes all of their requests. Only a higher priority and
// regular expressions allow that: otherwise the order puts what is more specific first.
func (d *draft) warnOfShadows(ctx context.Context, changed map[string]pattern.Rule, e effort) error {
	count, err := d.tx.CountAtHead(ctx, d.fleet.ID, configv1.Kind_KIND_ROUTE, e.routes+1)
	if err != nil || count > int64(e.routes) {
		return err
	}
	versions, err := d.tx.ListHead(ctx, d.fleet.ID, configv1.Kind_KIND_ROUTE, store.Filter{Limit: e.routes})
	if err != nil {
		return err
	}
	versions = slices.DeleteFunc(versions, func(v store.Version) bool { return d.byKey[v.Key] != nil })
	present, err := d.rulesOf(slices.Values(versions))
	if err != nil {
		return err
	}
	shades := newShades(changed, present)
	pairs := 0
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		one := changed[name]
		for other := range shades.of(one) {
			if pairs++; pairs > maxPairs {
				return nil
			}
			switch {
			case one.Priority > other.Priority:
				d.warnIfShadowed(one, other)
			case one.Priority < other.Priority:
				d.warnIfShadowed(other, one)
			default:
				d.warnIfShadowed(one, other)
				d.warnIfShadowed(other, one)
			}
		}
	}
	return nil
}

// shades finds the rules that one may shadow or be shadowed by: those of another priority and regular expressions.
type shades struct {
	byPriority map[int32][]pattern.Rule
	regexes    map[int32][]pattern.Rule
}

func newShades(groups ...map[string]pattern.Rule) shades {
	s := shades{byPriority: map[int32][]pattern.Rule{}, regexes: map[int32][]pattern.Rule{}}
	for _, group := range groups {
		for _, rule := range group {
			s.byPriority[rule.Priority] = append(s.byPriority[rule.Priority], rule)
			if hasRegex(rule) {
				s.regexes[rule.Priority] = append(s.regexes[rule.Priority], rule)
			}
		}
	}
	return s
}

func (s shades) of(one pattern.Rule) iter.Seq[pattern.Rule] {
	return func(yield func(pattern.Rule) bool) {
		for priority, rules := range s.byPriority {
			if priority == one.Priority && !hasRegex(one) {
				rules = s.regexes[priority]
			}
			for _, rule := range rules {
				if rule.Name != one.Name && !yield(rule) {
					return
				}
			}
		}
	}
}

func hasRegex(rule pattern.Rule) bool {
	return slices.ContainsFunc(rule.Paths, func(p pattern.Path) bool { return p.Regexp() != nil })
}

func (d *draft) warnIfShadowed(first, second pattern.Rule) {
	if shadows, why := pattern.Shadows(first, second); shadows {
		d.warn(routeKey(second.Name), fmt.Sprintf("never matches, routes/%s goes first: %s", first.Name, why))
	}
}

// warnOfUnusedServices looks at the services that the draft writes, and at those that its routes leave.
func (d *draft) warnOfUnusedServices(ctx context.Context) error {
	suspects := map[revision.Key]bool{}
	used := map[string]bool{}
	var edited []string
	for _, e := range d.edits {
		if e.Kind == configv1.Kind_KIND_ROUTE {
			edited = append(edited, e.Name)
		}
		if route, ok := d.former[e.Key].(*configv1.Route); ok {
			for _, service := range route.Services() {
				suspects[serviceKey(service)] = true
			}
		}
		if route, ok := e.spec.(*configv1.Route); ok && !e.delete {
			for _, reference := range configv1.References(route) {
				used[reference.Name] = true
			}
		}
		if e.Kind == configv1.Kind_KIND_SERVICE {
			suspects[e.Key] = true
		}
	}
	maps.DeleteFunc(suspects, func(key revision.Key, _ bool) bool {
		other := d.byKey[key]
		return used[key.Name] || other != nil && other.delete
	})
	elsewhere, err := d.tx.Referenced(ctx, d.fleet.ID, slices.Collect(maps.Keys(suspects)), configv1.Kind_KIND_ROUTE, edited)
	if err != nil {
		return err
	}
	for _, key := range elsewhere {
		delete(suspects, key)
	}
	for _, key := range slices.SortedFunc(maps.Keys(suspects), revision.Key.Compare) {
		d.warn(key, "no route uses it")
	}
	return nil
}

// rulesOf decodes routes.
func (d *draft) rulesOf(versions iter.Seq[store.Version]) (map[string]pattern.Rule, error) {
	rules := map[string]pattern.Rule{}
	for version := range versions {
		spec, err := d.service.decode(d.fleet.ID, version.Key, version.Body)
		if err != nil {
			return nil, err
		}
		route, ok := spec.(*configv1.Route)
		if !ok {
			continue
		}
		// What is stored was checked when it was written.
		rules[version.Name], _ = store.RouteRule(version.Name, route)
	}
	return rules, nil
}
