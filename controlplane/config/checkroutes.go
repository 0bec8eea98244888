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
	count, err := d.tx.CountAtHead(ctx, d.fleet.ID, configv1.Kind_KIND_ROUTE)
	if err != nil || count > e.routes {
		return err
	}
	all := maps.Clone(changed)
	versions, err := d.tx.ListHead(ctx, d.fleet.ID, configv1.Kind_KIND_ROUTE, store.Filter{Limit: int(e.routes)})
	if err != nil {
		return err
	}
	versions = slices.DeleteFunc(versions, func(v store.Version) bool { return d.byKey[v.Key] != nil })
	present, err := d.rulesOf(slices.Values(versions))
	if err != nil {
		return err
	}
	maps.Copy(all, present)
	names := slices.Sorted(maps.Keys(all))
	pairs := 0
	for _, one := range slices.Sorted(maps.Keys(changed)) {
		for _, other := range names {
			if one == other || pairs >= maxPairs {
				continue
			}
			if mayShadow(all[one], all[other]) {
				pairs++
				d.warnIfShadowed(all[one], all[other])
			}
			if _, alsoChanged := changed[other]; !alsoChanged && mayShadow(all[other], all[one]) {
				pairs++
				d.warnIfShadowed(all[other], all[one])
			}
		}
	}
	return nil
}

func mayShadow(first, second pattern.Rule) bool {
	isRegex := func(p pattern.Path) bool { return p.Regexp() != nil }
	return first.Priority > second.Priority ||
		first.Priority == second.Priority && (slices.ContainsFunc(second.Paths, isRegex) || slices.ContainsFunc(first.Paths, isRegex))
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
	for _, e := range d.edits {
		if route, ok := d.former[e.Key].(*configv1.Route); ok {
			suspects[serviceKey(route.GetService())] = true
		}
		if route, ok := e.spec.(*configv1.Route); ok && !e.delete {
			used[route.GetService()] = true
		}
		if e.Kind == configv1.Kind_KIND_SERVICE {
			suspects[e.Key] = true
		}
	}
	maps.DeleteFunc(suspects, func(key revision.Key, _ bool) bool {
		other := d.byKey[key]
		return used[key.Name] || other != nil && other.delete
	})
	references, err := d.tx.ReferencesTo(ctx, d.fleet.ID, slices.Collect(maps.Keys(suspects)))
	if err != nil {
		return err
	}
	for _, reference := range references {
		if d.byKey[reference.From] == nil && reference.From.Kind == configv1.Kind_KIND_ROUTE {
			delete(suspects, reference.To)
		}
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
