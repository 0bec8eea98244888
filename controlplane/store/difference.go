package store

import (
	"context"
	"fmt"

	"tidegate.dev/controlplane/store/queries"
	"tidegate.dev/proto/revision"
)

// Difference is what one resource is in two revisions. Before is nil if the first lacks it, After if the second does.
// Of the versions only Key, From, Body, Digest and Labels are set.
type Difference struct {
	revision.Key
	Before, After *Version
}

// ContentChanged says whether agents see a difference: labels alone never reach them.
func (d Difference) ContentChanged() bool {
	return d.Before == nil || d.After == nil || d.Before.Digest != d.After.Digest
}

// Difference returns what differs between two revisions of a fleet, in either direction, by kind and name. It is one query,
// and its cost follows what changed between them, not what exists. Revision 0 is empty.
func (tx *Tx) Difference(ctx context.Context, fleetID, from, to int64) ([]Difference, error) {
	rows, err := tx.queries.ListDifference(ctx, queries.ListDifferenceParams{
		FleetID: fleetID, FromRevision: from, ToRevision: to,
	})
	if err != nil {
		return nil, fmt.Errorf("comparing revisions %d and %d: %w", from, to, translate(err))
	}
	differences := make([]Difference, len(rows))
	for i, row := range rows {
		key := keyOf(row.Kind, row.Name)
		difference := Difference{Key: key}
		if difference.Before, err = sideOf(key, row.BeforeFrom, row.BeforeBody, row.BeforeDigest, row.BeforeLabels); err != nil {
			return nil, err
		}
		if difference.After, err = sideOf(key, row.AfterFrom, row.AfterBody, row.AfterDigest, row.AfterLabels); err != nil {
			return nil, err
		}
		differences[i] = difference
	}
	return differences, nil
}

func sideOf(key revision.Key, from *int64, body, digest []byte, labels map[string]string) (*Version, error) {
	if from == nil {
		return nil, nil //nolint:nilnil // the side that lacks the resource
	}
	parsed, err := revision.DigestFrom(digest)
	if err != nil {
		return nil, fmt.Errorf("reading the digest of %s: %w", key, err)
	}
	return &Version{Key: key, From: *from, Body: body, Digest: parsed, Labels: labels}, nil
}
