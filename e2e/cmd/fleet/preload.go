package main

import (
	"context"
	"fmt"
	"net/http"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

const (
	fleetPath = "/v1/fleets/default"
	// batch bounds the routes of one change, since a request has a bound.
	batch = 20_000
	// strategy is that of every change: to all agents at once.
	strategy = "immediate"
	consumer = "fleet-consumer"
)

// preload makes a service, routes and a consumer, and waits until the revision is stable.
func preload(ctx context.Context, plane *controlPlane, routes int) error {
	first := []*adminv1.Resource{
		{Name: "fleet-service", Spec: &adminv1.Resource_Service{Service: &configv1.Service{Url: "http://127.0.0.1:9"}}},
		{Name: consumer, Spec: &adminv1.Resource_Consumer{Consumer: &configv1.Consumer{}}},
	}
	for from := 0; from < routes; from += batch {
		resources := first
		for i := from; i < min(from+batch, routes); i++ {
			resources = append(resources, routeOf(i, 0))
		}
		first = nil
		if _, err := apply(ctx, plane, resources...); err != nil {
			return fmt.Errorf("making routes: %w", err)
		}
	}
	return nil
}

// routeOf is a route as it was changed the nth time.
func routeOf(i, n int) *adminv1.Resource {
	return &adminv1.Resource{Name: fmt.Sprintf("fleet-route-%06d", i), Spec: &adminv1.Resource_Route{Route: &configv1.Route{
		Service:  "fleet-service",
		Match:    &configv1.Match{Paths: []string{fmt.Sprintf("/fleet/v%d/items-%d/{id}", i%7, i)}, Methods: []string{"GET"}},
		Timeouts: &configv1.Timeouts{Total: fmt.Sprintf("%dms", 1000+n)},
	}}}
}

// apply publishes resources in one revision to all agents at once, and returns its number.
func apply(ctx context.Context, plane *controlPlane, resources ...*adminv1.Resource) (int64, error) {
	var answer adminv1.ApplyResponse
	request := &adminv1.ApplyRequest{Fleet: "default", Strategy: strategy, Resources: resources}
	if err := plane.call(ctx, http.MethodPost, fleetPath+":apply", request, &answer); err != nil {
		return 0, err
	}
	return int64(answer.GetPublished().GetRevision()), nil
}

// settled waits until a revision is stable, so that the next change does not wait in the queue.
func settled(ctx context.Context, plane *controlPlane, revision int64) error {
	for {
		var fleet adminv1.Fleet
		if err := plane.call(ctx, http.MethodGet, fleetPath, nil, &fleet); err != nil {
			return err
		}
		if int64(fleet.GetStableRevision()) >= revision && fleet.GetActiveRollout() == "" {
			return nil
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("revision %d is not stable: %w", revision, err)
		}
	}
}
