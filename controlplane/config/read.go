package config

import (
	"context"
	"errors"
	"fmt"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// viewStable names what has proved itself.
const viewStable = "stable"

func checkView(view string) error {
	switch view {
	case "", "head", viewStable:
		return nil
	}
	return refusedField("view", "string.in", `must be "", "head" or "stable"`)
}

func checkKind(kind configv1.Kind) error {
	if kind == configv1.Kind_KIND_KEY || configv1.NewSpec(kind) == nil {
		return refusedField("kind", ruleKind, "no such kind of resource")
	}
	return nil
}

// Get returns a resource, or store.ErrNotFound. Resources of the fast lane are the same in every view.
func (s *Service) Get(ctx context.Context, fleet string, kind configv1.Kind, name, view string) (Resource, error) {
	if err := errors.Join(checkKind(kind), checkView(view)); err != nil {
		return Resource{}, err
	}
	var resource Resource
	err := s.viewFleet(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, head store.Head) error {
		var err error
		resource, err = s.get(ctx, tx, fleet, head, revision.Key{Kind: kind, Name: name}, view)
		return err
	})
	return resource, err
}

func (s *Service) get(ctx context.Context, tx *store.Tx, fleet store.Fleet, head store.Head, key revision.Key, view string) (Resource, error) {
	if key.Kind.Fast() {
		return s.getFast(ctx, tx, fleet, head, key)
	}
	if view == viewStable {
		version, err := tx.At(ctx, fleet.ID, head.Stable, key)
		if err != nil {
			return Resource{}, err
		}
		return s.stagedResource(version, StateServing)
	}
	versions, err := tx.AtHead(ctx, fleet.ID, []revision.Key{key})
	if err != nil {
		return Resource{}, err
	}
	version, ok := versions[key]
	if !ok {
		return Resource{}, named(key, store.ErrNotFound)
	}
	standing, err := s.standing(ctx, tx, head, []int64{version.From})
	if err != nil {
		return Resource{}, err
	}
	return s.stagedResource(version, standing.of(version.From))
}

func (s *Service) getFast(ctx context.Context, tx *store.Tx, fleet store.Fleet, head store.Head, key revision.Key) (Resource, error) {
	versions, err := tx.Lane(ctx, fleet.ID, []revision.Key{key})
	if err != nil {
		return Resource{}, err
	}
	version, ok := versions[key]
	if !ok || version.Deleted {
		return Resource{}, named(key, store.ErrNotFound)
	}
	resources, err := s.laneResources(ctx, tx, fleet, head, []store.LaneVersion{version})
	if err != nil {
		return Resource{}, err
	}
	return resources[0], nil
}

// List returns a page of the resources of a kind, by name, and the token of the next page, which is empty on the last.
func (s *Service) List(ctx context.Context, fleet string, kind configv1.Kind, options ListOptions) ([]Resource, string, error) {
	if err := errors.Join(checkKind(kind), checkView(options.View)); err != nil {
		return nil, "", err
	}
	page, err := options.page(kind.Collection())
	if err != nil {
		return nil, "", err
	}
	filter, err := options.resourceFilter(page)
	if err != nil {
		return nil, "", err
	}
	var resources []Resource
	var next string
	err = s.viewFleet(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, head store.Head) error {
		if kind.Fast() {
			resources, err = s.listFast(ctx, tx, fleet, head, kind, filter)
		} else {
			resources, err = s.listStaged(ctx, tx, head, kind, options.View, filter)
		}
		resources, next = cut(resources, page, func(r Resource) string { return r.Name })
		return err
	})
	return resources, next, err
}

func (s *Service) listStaged(ctx context.Context, tx *store.Tx, head store.Head, kind configv1.Kind, view string, filter store.Filter) ([]Resource, error) {
	var versions []store.Version
	var err error
	if view == viewStable {
		versions, err = tx.ListAt(ctx, head.FleetID, head.Stable, kind, filter)
	} else {
		versions, err = tx.ListHead(ctx, head.FleetID, kind, filter)
	}
	if err != nil {
		return nil, err
	}
	brought := make([]int64, len(versions))
	for i, version := range versions {
		brought[i] = version.From
	}
	standing, err := s.standing(ctx, tx, head, brought)
	if err != nil {
		return nil, err
	}
	resources := make([]Resource, len(versions))
	for i, version := range versions {
		if resources[i], err = s.stagedResource(version, standing.of(version.From)); err != nil {
			return nil, err
		}
	}
	return resources, nil
}

func (s *Service) listFast(ctx context.Context, tx *store.Tx, fleet store.Fleet, head store.Head, kind configv1.Kind, filter store.Filter) ([]Resource, error) {
	versions, err := tx.LaneList(ctx, fleet.ID, kind, filter)
	if err != nil {
		return nil, err
	}
	return s.laneResources(ctx, tx, fleet, head, versions)
}

// laneResources decodes versions of the fast lane. A consumer whose plan is not served yet is pending.
func (s *Service) laneResources(ctx context.Context, tx *store.Tx, fleet store.Fleet, head store.Head, versions []store.LaneVersion) ([]Resource, error) {
	resources := make([]Resource, len(versions))
	served := map[string]bool{"": true}
	for i, version := range versions {
		resource, err := s.laneResource(fleet.ID, version, StateServing)
		if err != nil {
			return nil, err
		}
		if consumer, ok := resource.Spec.(*configv1.Consumer); ok {
			if resource.State, err = s.consumerState(ctx, tx, head, consumer.GetPlan(), served); err != nil {
				return nil, err
			}
		}
		resources[i] = resource
	}
	return resources, s.addIssuances(ctx, tx, fleet.ID, resources)
}

// consumerState looks each plan up once; served remembers.
func (s *Service) consumerState(ctx context.Context, tx *store.Tx, head store.Head, plan string, served map[string]bool) (string, error) {
	known, looked := served[plan]
	if !looked {
		_, err := tx.At(ctx, head.FleetID, head.Stable, revision.Key{Kind: configv1.Kind_KIND_PLAN, Name: plan})
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return "", fmt.Errorf("looking for plan %s in the stable revision: %w", plan, err)
		}
		known = err == nil
		served[plan] = known
	}
	if known {
		return StateServing, nil
	}
	return StatePending, nil
}
