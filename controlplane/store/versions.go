package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"tidegate.dev/controlplane/store/queries"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Version is one version of a staged resource.
type Version struct {
	revision.Key
	// From is the revision that brought it; Until the revision that ended it, 0 while it is at head.
	From, Until int64
	// Body is the encoded spec: the bytes that are stored, sent and hashed. They are never encoded again.
	Body      []byte
	Digest    revision.Digest
	Labels    map[string]string
	Author    string
	CreatedAt time.Time
}

// Filter chooses resources of a list.
type Filter struct {
	// After is the name behind which the page begins; "" for the first.
	After string
	// Prefix is what names begin with.
	Prefix string
	// Labels that a resource must all have.
	Labels map[string]string
	// Limit is the most that is returned.
	Limit int
}

// AtHead returns the versions at head of those keys that have one.
func (tx *Tx) AtHead(ctx context.Context, fleetID int64, keys []revision.Key) (map[revision.Key]Version, error) {
	found := make(map[revision.Key]Version, len(keys))
	if len(keys) == 0 {
		return found, nil
	}
	kinds, names := columnsOf(keys)
	rows, err := tx.queries.GetVersionsAtHead(ctx, queries.GetVersionsAtHeadParams{FleetID: fleetID, Kinds: kinds, Names: names})
	if err != nil {
		return nil, fmt.Errorf("reading %d resources at head: %w", len(keys), translate(err))
	}
	for _, row := range rows {
		version, err := versionOf(row)
		if err != nil {
			return nil, err
		}
		found[version.Key] = version
	}
	return found, nil
}

// At returns the version of a resource in the content of a revision, or ErrNotFound.
func (tx *Tx) At(ctx context.Context, fleetID, number int64, key revision.Key) (Version, error) {
	row, err := tx.queries.GetVersionAt(ctx, queries.GetVersionAtParams{
		FleetID: fleetID, Kind: int16(key.Kind), Name: key.Name, Revision: number,
	})
	if err != nil {
		return Version{}, fmt.Errorf("reading %s at revision %d: %w", key, number, translate(err))
	}
	return versionOf(row)
}

// ListHead lists the resources of a kind at head, by name.
func (tx *Tx) ListHead(ctx context.Context, fleetID int64, kind configv1.Kind, filter Filter) ([]Version, error) {
	rows, err := tx.queries.ListVersionsAtHead(ctx, queries.ListVersionsAtHeadParams{
		FleetID: fleetID, Kind: int16(kind), After: filter.After, Prefix: filter.Prefix,
		Labels: encodeLabels(filter.Labels), PageSize: int32(filter.Limit),
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", kind.Collection(), translate(err))
	}
	return versionsOf(rows)
}

// ListAt lists the resources of a kind in the content of a revision, by name.
func (tx *Tx) ListAt(ctx context.Context, fleetID, number int64, kind configv1.Kind, filter Filter) ([]Version, error) {
	rows, err := tx.queries.ListVersionsAt(ctx, queries.ListVersionsAtParams{
		FleetID: fleetID, Revision: number, Kind: int16(kind), After: filter.After, Prefix: filter.Prefix,
		Labels: encodeLabels(filter.Labels), PageSize: int32(filter.Limit),
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s at revision %d: %w", kind.Collection(), number, translate(err))
	}
	return versionsOf(rows)
}

// NamesAtHead returns the names of all resources of a kind at head, sorted.
func (tx *Tx) NamesAtHead(ctx context.Context, fleetID int64, kind configv1.Kind) ([]string, error) {
	names, err := tx.queries.ListNamesAtHead(ctx, queries.ListNamesAtHeadParams{FleetID: fleetID, Kind: int16(kind)})
	if err != nil {
		return nil, fmt.Errorf("listing the names of %s: %w", kind.Collection(), translate(err))
	}
	return names, nil
}

// CountAtHead counts the resources of a kind at head, up to a limit that bounds its cost.
func (tx *Tx) CountAtHead(ctx context.Context, fleetID int64, kind configv1.Kind, limit int) (int64, error) {
	count, err := tx.queries.CountVersionsAtHead(ctx, queries.CountVersionsAtHeadParams{
		FleetID: fleetID, Kind: int16(kind), UpTo: int32(limit),
	})
	if err != nil {
		return 0, fmt.Errorf("counting %s: %w", kind.Collection(), translate(err))
	}
	return count, nil
}

// ChangedSince returns those staged resources that changed after the revision given for each.
func (tx *Tx) ChangedSince(ctx context.Context, fleetID int64, since map[revision.Key]int64) ([]revision.Key, error) {
	kinds, names, bases := sinceColumns(since)
	rows, err := tx.queries.ListChangedSince(ctx, queries.ListChangedSinceParams{
		FleetID: fleetID, Kinds: kinds, Names: names, Bases: bases,
	})
	if err != nil {
		return nil, fmt.Errorf("looking for changes of %d resources: %w", len(since), translate(err))
	}
	changed := make([]revision.Key, len(rows))
	for i, row := range rows {
		changed[i] = keyOf(row.Kind, row.Name)
	}
	return changed, nil
}

func sinceColumns(since map[revision.Key]int64) (kinds []int16, names []string, bases []int64) {
	for key, base := range since {
		kinds = append(kinds, int16(key.Kind))
		names = append(names, key.Name)
		bases = append(bases, base)
	}
	return kinds, names, bases
}

func versionsOf(rows []queries.ResourceVersion) ([]Version, error) {
	versions := make([]Version, len(rows))
	for i, row := range rows {
		var err error
		if versions[i], err = versionOf(row); err != nil {
			return nil, err
		}
	}
	return versions, nil
}

func versionOf(row queries.ResourceVersion) (Version, error) {
	key := keyOf(row.Kind, row.Name)
	digest, err := revision.DigestFrom(row.Digest)
	if err != nil {
		return Version{}, fmt.Errorf("reading the digest of %s: %w", key, err)
	}
	version := Version{
		Key: key, From: row.ValidFrom, Body: row.Body, Digest: digest,
		Labels: row.Labels, Author: row.Author, CreatedAt: row.CreatedAt,
	}
	if row.ValidUntil != nil {
		version.Until = *row.ValidUntil
	}
	return version, nil
}

func keyOf(kind int16, name string) revision.Key {
	return revision.Key{Kind: configv1.Kind(kind), Name: name}
}

// columnsOf splits keys into the parallel arrays that SQL unnests.
func columnsOf(keys []revision.Key) (kinds []int16, names []string) {
	kinds, names = make([]int16, len(keys)), make([]string, len(keys))
	for i, key := range keys {
		kinds[i], names[i] = int16(key.Kind), key.Name
	}
	return kinds, names
}

// encodeLabels never fails: a map of strings always has a JSON form.
func encodeLabels(labels map[string]string) []byte {
	if len(labels) == 0 {
		return []byte("{}")
	}
	encoded, _ := json.Marshal(labels)
	return encoded
}
