package store

import (
	"context"
	"fmt"
	"maps"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store/queries"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Commit is what becomes a revision.
type Commit struct {
	// Origin is one of the Origin constants.
	Origin  string
	Author  string
	Message string
	// Changes against head; each key once.
	Changes []Change
}

// Change writes or deletes one staged resource.
type Change struct {
	revision.Key
	// Delete takes the resource away; Body and Labels are then unused.
	Delete bool
	// Body is the spec as [revision.Encode] encoded it.
	Body []byte
	// Labels never reach agents: a change of labels alone makes a version and leaves the root as it is.
	Labels map[string]string
}

// CommitRevision makes the next revision of a fleet from head and changes, and moves head to it. It writes the versions, what
// they refer to, the keys under which routes tie, and the tree, each as one statement over all changes, so the cost follows
// the changes and not what exists. It validates nothing.
//
// What equals head is no change; made is false, and nothing is written, if nothing else is left. The revision is "pending".
// head comes from LockHead in this transaction.
func (tx *Tx) CommitRevision(ctx context.Context, head Head, commit Commit) (made Revision, changed bool, err error) {
	former, err := tx.AtHead(ctx, head.FleetID, keysOf(commit.Changes))
	if err != nil {
		return Revision{}, false, err
	}
	write := newCommitWrite(head, commit, former)
	if len(write.keys) == 0 {
		return Revision{}, false, nil
	}
	root, err := tx.updateTree(ctx, head, write.tree)
	if err != nil {
		return Revision{}, false, err
	}
	if err := tx.writeVersions(ctx, write); err != nil {
		return Revision{}, false, err
	}
	if err := tx.indexChanges(ctx, write); err != nil {
		return Revision{}, false, err
	}
	row, err := tx.queries.InsertRevision(ctx, queries.InsertRevisionParams{
		FleetID: head.FleetID, Number: write.number, Parent: head.Revision, Root: root[:], Origin: commit.Origin,
		Message: commit.Message, Author: commit.Author,
		Created: write.created, Updated: write.updated, Deleted: write.deleted,
	})
	if err != nil {
		return Revision{}, false, fmt.Errorf("writing revision %d: %w", write.number, translate(err))
	}
	parameters := queries.SetHeadRevisionParams{FleetID: head.FleetID, Revision: write.number}
	if err := tx.queries.SetHeadRevision(ctx, parameters); err != nil {
		return Revision{}, false, fmt.Errorf("moving head to revision %d: %w", write.number, translate(err))
	}
	if err := tx.analyze(ctx, len(write.keys), "resource_versions, resource_references, route_keys, tree_nodes"); err != nil {
		return Revision{}, false, err
	}
	made, err = revisionOf(row)
	return made, err == nil, err
}

// commitWrite is a commit as parallel arrays for SQL.
type commitWrite struct {
	fleetID, number int64
	// keys of all changes, and of those that had a former version.
	keys, former              []revision.Key
	upserts                   []Change
	versions                  queries.InsertVersionsParams
	tree                      []revision.Change
	created, updated, deleted int32
}

func newCommitWrite(head Head, commit Commit, former map[revision.Key]Version) *commitWrite {
	write := &commitWrite{fleetID: head.FleetID, number: head.Last + 1}
	write.versions = queries.InsertVersionsParams{FleetID: head.FleetID, Revision: write.number, Author: commit.Author}
	for _, change := range commit.Changes {
		version, existed := former[change.Key]
		switch {
		case change.Delete && existed:
			write.deleted++
			write.tree = append(write.tree, revision.Change{Key: change.Key})
		case change.Delete:
			continue
		default:
			digest := revision.DigestOf(change.Key, change.Body)
			sameContent := existed && digest == version.Digest
			if sameContent && maps.Equal(change.Labels, version.Labels) {
				continue
			}
			if !sameContent {
				write.tree = append(write.tree, revision.Change{Key: change.Key, Digest: &digest})
			}
			write.upsert(change, digest, existed)
		}
		write.keys = append(write.keys, change.Key)
		if existed {
			write.former = append(write.former, change.Key)
		}
	}
	return write
}

func (w *commitWrite) upsert(change Change, digest revision.Digest, existed bool) {
	if existed {
		w.updated++
	} else {
		w.created++
	}
	w.upserts = append(w.upserts, change)
	v := &w.versions
	v.Kinds = append(v.Kinds, int16(change.Kind))
	v.Names = append(v.Names, change.Name)
	v.Bodies = append(v.Bodies, change.Body)
	v.Digests = append(v.Digests, digest[:])
	v.Buckets = append(v.Buckets, int32(revision.Bucket(change.Key)))
	v.Labels = append(v.Labels, string(encodeLabels(change.Labels)))
}

func (tx *Tx) writeVersions(ctx context.Context, write *commitWrite) error {
	kinds, names := columnsOf(write.former)
	err := tx.queries.CloseVersions(ctx, queries.CloseVersionsParams{
		FleetID: write.fleetID, Revision: write.number, Kinds: kinds, Names: names,
	})
	if err != nil {
		return fmt.Errorf("ending %d versions: %w", len(write.former), translate(err))
	}
	if err := tx.queries.InsertVersions(ctx, write.versions); err != nil {
		return fmt.Errorf("writing %d versions: %w", len(write.upserts), translate(err))
	}
	return nil
}

// indexChanges keeps what head's resources refer to, and where its routes stand in the order.
func (tx *Tx) indexChanges(ctx context.Context, write *commitWrite) error {
	var references []Reference
	keys := queries.InsertRouteKeysParams{FleetID: write.fleetID}
	for _, change := range write.upserts {
		spec, err := decodeSpec(change.Key, change.Body)
		if err != nil {
			return err
		}
		references = appendReferences(references, change.Key, spec)
		if route, ok := spec.(*configv1.Route); ok {
			if err := appendRouteKeys(&keys, change.Name, route); err != nil {
				return err
			}
		}
	}
	if err := tx.replaceReferences(ctx, write.fleetID, write.keys, references); err != nil {
		return err
	}
	return tx.replaceRouteKeys(ctx, write, keys)
}

func decodeSpec(key revision.Key, body []byte) (proto.Message, error) {
	spec := configv1.NewSpec(key.Kind)
	if spec == nil {
		return nil, fmt.Errorf("decoding %s: no such kind", key)
	}
	if err := proto.Unmarshal(body, spec); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", key, err)
	}
	return spec, nil
}

func keysOf(changes []Change) []revision.Key {
	keys := make([]revision.Key, len(changes))
	for i, change := range changes {
		keys[i] = change.Key
	}
	return keys
}
