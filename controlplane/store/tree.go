package store

import (
	"context"
	"fmt"

	"tidegate.dev/controlplane/store/queries"
	"tidegate.dev/proto/revision"
)

// updateTree carries changes of content into the tree at head and returns the new root. It runs before the versions are
// written: the leaves are read from them.
func (tx *Tx) updateTree(ctx context.Context, head Head, changes []revision.Change) (revision.Digest, error) {
	if len(changes) == 0 {
		return tx.rootOf(ctx, head)
	}
	buckets, prefixes := revision.Touched(changes)
	leaves, err := tx.leaves(ctx, head.FleetID, buckets)
	if err != nil {
		return revision.Digest{}, err
	}
	nodes, err := tx.nodes(ctx, head.FleetID, prefixes)
	if err != nil {
		return revision.Digest{}, err
	}
	updated, root := revision.Update(nodes, leaves, changes)
	return root, tx.writeNodes(ctx, head.FleetID, updated)
}

func (tx *Tx) rootOf(ctx context.Context, head Head) (revision.Digest, error) {
	if head.Revision == 0 {
		return revision.Digest{}, nil
	}
	at, err := tx.Revision(ctx, head.FleetID, head.Revision)
	return at.Root, err
}

func (tx *Tx) leaves(ctx context.Context, fleetID int64, buckets []uint16) (map[uint16][]revision.Entry, error) {
	parameters := queries.ListBucketsParams{FleetID: fleetID, Buckets: make([]int32, len(buckets))}
	for i, bucket := range buckets {
		parameters.Buckets[i] = int32(bucket)
	}
	rows, err := tx.queries.ListBuckets(ctx, parameters)
	if err != nil {
		return nil, fmt.Errorf("reading %d leaves of the tree: %w", len(buckets), translate(err))
	}
	leaves := make(map[uint16][]revision.Entry, len(buckets))
	for _, row := range rows {
		key := keyOf(row.Kind, row.Name)
		digest, err := revision.DigestFrom(row.Digest)
		if err != nil {
			return nil, fmt.Errorf("reading the digest of %s: %w", key, err)
		}
		bucket := uint16(row.Bucket)
		leaves[bucket] = append(leaves[bucket], revision.Entry{Key: key, Digest: digest})
	}
	return leaves, nil
}

func (tx *Tx) nodes(ctx context.Context, fleetID int64, prefixes []revision.Prefix) (map[revision.Prefix]revision.Node, error) {
	parameters := queries.ListTreeNodesParams{FleetID: fleetID, Prefixes: make([][]byte, len(prefixes))}
	for i, prefix := range prefixes {
		parameters.Prefixes[i] = []byte(prefix)
	}
	rows, err := tx.queries.ListTreeNodes(ctx, parameters)
	if err != nil {
		return nil, fmt.Errorf("reading %d nodes of the tree: %w", len(prefixes), translate(err))
	}
	nodes := make(map[revision.Prefix]revision.Node, len(rows))
	for _, row := range rows {
		if nodes[revision.Prefix(row.Prefix)], err = revision.NodeFrom(row.Children); err != nil {
			return nil, fmt.Errorf("reading node %x of the tree: %w", row.Prefix, err)
		}
	}
	return nodes, nil
}

func (tx *Tx) writeNodes(ctx context.Context, fleetID int64, nodes map[revision.Prefix]revision.Node) error {
	upserts := queries.UpsertTreeNodesParams{FleetID: fleetID}
	deletes := queries.DeleteTreeNodesParams{FleetID: fleetID}
	for prefix, node := range nodes {
		if node == (revision.Node{}) {
			deletes.Prefixes = append(deletes.Prefixes, []byte(prefix))
			continue
		}
		upserts.Prefixes = append(upserts.Prefixes, []byte(prefix))
		upserts.Children = append(upserts.Children, node.Bytes())
	}
	if err := tx.queries.UpsertTreeNodes(ctx, upserts); err != nil {
		return fmt.Errorf("writing %d nodes of the tree: %w", len(upserts.Prefixes), translate(err))
	}
	if len(deletes.Prefixes) == 0 {
		return nil
	}
	if err := tx.queries.DeleteTreeNodes(ctx, deletes); err != nil {
		return fmt.Errorf("removing empty nodes of the tree: %w", translate(err))
	}
	return nil
}
