package config

import (
	"context"
	"slices"
	"strings"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/pattern"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// neighbours is how many routes on either side of a path, in the order of text, are looked at for what is nearly meant.
const neighbours = 20

// routes are those that may take the request and those near it, by name.
func (e explainer) routes(ctx context.Context, request pattern.Request) ([]*configv1.Route, []pattern.Rule, error) {
	names, err := e.tx.SearchRoutes(ctx, e.fleet.ID, store.RouteSearch{
		Leads: leadsOf(request.Path), Hosts: hostsOf(request.Host), Near: leadForm(request.Path), Neighbours: neighbours, Limit: maxExplained,
	})
	if err != nil {
		return nil, nil, err
	}
	specs, err := e.specs(ctx, configv1.Kind_KIND_ROUTE, names)
	if err != nil {
		return nil, nil, err
	}
	routes, rules := make([]*configv1.Route, len(specs)), make([]pattern.Rule, len(specs))
	for i, found := range specs {
		routes[i], _ = found.Spec.(*configv1.Route)
		rules[i], _ = store.RouteRule(found.Name, routes[i])
	}
	return routes, rules, nil
}

// specs reads resources of a kind, sorted by name: those named at head, and in the view of what has proved itself, all that was
// changed since, as it was.
func (e explainer) specs(ctx context.Context, kind configv1.Kind, names []string) ([]Resource, error) {
	keys := make([]revision.Key, len(names))
	for i, name := range names {
		keys[i] = revision.Key{Kind: kind, Name: name}
	}
	versions, err := e.tx.AtHead(ctx, e.fleet.ID, keys)
	if err != nil {
		return nil, err
	}
	bodies := make(map[revision.Key][]byte, len(versions))
	for key, version := range versions {
		bodies[key] = version.Body
	}
	if e.view == viewStable && e.head.Stable != e.head.Revision {
		upserts, deletes, err := e.tx.ContentDelta(ctx, e.fleet.ID, e.head.Revision, e.head.Stable)
		if err != nil {
			return nil, err
		}
		for _, gone := range deletes {
			delete(bodies, revision.Key{Kind: gone.Kind, Name: gone.Name})
		}
		for _, other := range upserts {
			if other.Kind == kind {
				bodies[revision.Key{Kind: kind, Name: other.Name}] = other.Body
			}
		}
	}
	found := make([]Resource, 0, len(bodies))
	for key, body := range bodies {
		spec, err := e.service.decode(e.fleet.ID, key, body)
		if err != nil {
			return nil, err
		}
		found = append(found, Resource{Kind: kind, Name: key.Name, Spec: spec})
	}
	slices.SortFunc(found, func(a, b Resource) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

// leadForm is a path as the canonical form of a pattern writes literals.
func leadForm(path string) string { return strings.ReplaceAll(pattern.MatchForm(path), "*", "%2A") }

// leadsOf are the leads of all patterns that the path may fit: each beginning of it that ends before a slash, none (where a
// pattern begins with what is no literal), and the whole.
func leadsOf(path string) []string {
	path = leadForm(path)
	leads := []string{path}
	for at := strings.LastIndexByte(path, '/'); at >= 0; at = strings.LastIndexByte(path[:at], '/') {
		leads = append(leads, path[:at])
	}
	return leads
}

// hostsOf are the host patterns that a host fits; none if it is not said.
func hostsOf(authority string) []string {
	if authority == "" {
		return nil
	}
	host := pattern.NormalizeHost(authority)
	hosts := []string{"*", host}
	for rest := host; ; {
		_, after, more := strings.Cut(rest, ".")
		if !more {
			return hosts
		}
		hosts, rest = append(hosts, "*."+after), after
	}
}
