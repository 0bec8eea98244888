package store

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store/queries"
	"tidegate.dev/proto/pattern"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Reference says that one resource names another, as things stand at head and in the fast lane.
type Reference struct {
	From, To revision.Key
	// Field is the path of the naming field in From's spec.
	Field string
}

// ReferencesTo returns who refers to any of keys.
func (tx *Tx) ReferencesTo(ctx context.Context, fleetID int64, keys []revision.Key) ([]Reference, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	kinds, names := columnsOf(keys)
	rows, err := tx.queries.ListReferencesTo(ctx, queries.ListReferencesToParams{FleetID: fleetID, Kinds: kinds, Names: names})
	if err != nil {
		return nil, fmt.Errorf("looking for references: %w", translate(err))
	}
	references := make([]Reference, len(rows))
	for i, row := range rows {
		references[i] = Reference{From: keyOf(row.Kind, row.Name), To: keyOf(row.ToKind, row.ToName), Field: row.Field}
	}
	return references, nil
}

// Referenced returns those of keys that some resource of a kind refers to, resources of the excepted names aside.
func (tx *Tx) Referenced(ctx context.Context, fleetID int64, keys []revision.Key, by configv1.Kind, excepted []string) ([]revision.Key, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	kinds, names := columnsOf(keys)
	rows, err := tx.queries.ListReferenced(ctx, queries.ListReferencedParams{
		FleetID: fleetID, Kinds: kinds, Names: names, FromKind: int16(by), Excepted: append([]string{}, excepted...),
	})
	if err != nil {
		return nil, fmt.Errorf("looking for what is referred to: %w", translate(err))
	}
	referenced := make([]revision.Key, len(rows))
	for i, row := range rows {
		referenced[i] = keyOf(row.Kind, row.Name)
	}
	return referenced, nil
}

// RoutesByKeys returns the names of the routes at head that take a place in the order which keys name ([pattern.TieKeys]).
func (tx *Tx) RoutesByKeys(ctx context.Context, fleetID int64, keys []string) (map[string][]string, error) {
	rows, err := tx.queries.ListRoutesByKeys(ctx, queries.ListRoutesByKeysParams{FleetID: fleetID, Keys: keys})
	if err != nil {
		return nil, fmt.Errorf("looking for routes that tie: %w", translate(err))
	}
	routes := make(map[string][]string, len(rows))
	for _, row := range rows {
		routes[row.Key] = append(routes[row.Key], row.Route)
	}
	return routes, nil
}

func appendReferences(references []Reference, from revision.Key, spec proto.Message) []Reference {
	for _, reference := range configv1.References(spec) {
		to := revision.Key{Kind: reference.Kind, Name: reference.Name}
		references = append(references, Reference{From: from, To: to, Field: reference.Field})
	}
	return references
}

// replaceReferences says that resources refer to references and to nothing else.
func (tx *Tx) replaceReferences(ctx context.Context, fleetID int64, from []revision.Key, references []Reference) error {
	kinds, names := columnsOf(from)
	err := tx.queries.DeleteReferences(ctx, queries.DeleteReferencesParams{FleetID: fleetID, Kinds: kinds, Names: names})
	if err != nil {
		return fmt.Errorf("removing former references: %w", translate(err))
	}
	if len(references) == 0 {
		return nil
	}
	rows := queries.InsertReferencesParams{FleetID: fleetID}
	for _, reference := range references {
		rows.Kinds = append(rows.Kinds, int16(reference.From.Kind))
		rows.Names = append(rows.Names, reference.From.Name)
		rows.ToKinds = append(rows.ToKinds, int16(reference.To.Kind))
		rows.ToNames = append(rows.ToNames, reference.To.Name)
		rows.Fields = append(rows.Fields, reference.Field)
	}
	if err := tx.queries.InsertReferences(ctx, rows); err != nil {
		return fmt.Errorf("writing %d references: %w", len(references), translate(err))
	}
	return nil
}

func appendRouteKeys(rows *queries.InsertRouteKeysParams, name string, route *configv1.Route) error {
	rule, violations := RouteRule(name, route)
	if len(violations) > 0 {
		return fmt.Errorf("reading the match of routes/%s: %s: %s", name, violations[0].Field, violations[0].Message)
	}
	for _, key := range pattern.TieKeys(rule) {
		rows.Keys = append(rows.Keys, key)
		rows.Routes = append(rows.Routes, name)
	}
	return nil
}

func (tx *Tx) replaceRouteKeys(ctx context.Context, write *commitWrite, rows queries.InsertRouteKeysParams) error {
	var routes []string
	for _, key := range write.keys {
		if key.Kind == configv1.Kind_KIND_ROUTE {
			routes = append(routes, key.Name)
		}
	}
	if len(routes) == 0 {
		return nil
	}
	err := tx.queries.DeleteRouteKeys(ctx, queries.DeleteRouteKeysParams{FleetID: write.fleetID, Routes: routes})
	if err != nil {
		return fmt.Errorf("removing the former keys of %d routes: %w", len(routes), translate(err))
	}
	if err := tx.queries.InsertRouteKeys(ctx, rows); err != nil {
		return fmt.Errorf("writing the keys of %d routes: %w", len(routes), translate(err))
	}
	return nil
}
