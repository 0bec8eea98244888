package store

import (
	"context"
	"fmt"

	configv1 "tidegate.dev/proto/tidegate/config/v1"

	"tidegate.dev/controlplane/store/queries"
)

// RouteSearch says which routes may take a request, or nearly do.
type RouteSearch struct {
	// Leads are what paths may begin with: literal segments until the first that is none (see route_keys.lead).
	Leads []string
	// Hosts are the host patterns that fit, as their canonical text; none: all do.
	Hosts []string
	// Near is the path whose neighbours are wanted too, up to Neighbours on either side.
	Near       string
	Neighbours int
	// Limit bounds the routes that may take the request.
	Limit int
}

// SearchRoutes returns the names of routes at head that a request may take, and of those whose paths begin most like it. Its cost
// follows what it finds, not how many routes there are.
func (tx *Tx) SearchRoutes(ctx context.Context, fleetID int64, search RouteSearch) ([]string, error) {
	leading, err := tx.queries.ListRoutesLeading(ctx, queries.ListRoutesLeadingParams{
		FleetID: fleetID, Leads: search.Leads, Hosts: append([]string{}, search.Hosts...), PageSize: int32(search.Limit),
	})
	if err != nil {
		return nil, fmt.Errorf("looking for routes of a path: %w", translate(err))
	}
	near, err := tx.queries.ListRoutesNear(ctx, queries.ListRoutesNearParams{
		FleetID: fleetID, Path: search.Near, PageSize: int32(search.Neighbours),
	})
	if err != nil {
		return nil, fmt.Errorf("looking for routes that are near a path: %w", translate(err))
	}
	return append(leading, near...), nil
}

// BearingPlugins returns the names of plugins at head that are bound to a route or one of its services, or to no route and no
// service at all.
func (tx *Tx) BearingPlugins(ctx context.Context, fleetID int64, route string, services []string, limit int) ([]string, error) {
	names, err := tx.queries.ListPluginsBearing(ctx, queries.ListPluginsBearingParams{
		FleetID: fleetID, Plugin: int16(configv1.Kind_KIND_PLUGIN), Route: int16(configv1.Kind_KIND_ROUTE), RouteName: route,
		Service: int16(configv1.Kind_KIND_SERVICE), Services: append([]string{}, services...), PageSize: int32(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("looking for the plugins of route %q: %w", route, translate(err))
	}
	return names, nil
}
