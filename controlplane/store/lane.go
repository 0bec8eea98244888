package store

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store/queries"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// LaneVersion is one version of a resource of the fast lane: a consumer, a key, a block, a certificate or a secret.
type LaneVersion struct {
	revision.Key
	// Sequence is the change of the fleet's lane that brought it.
	Sequence int64
	// Deleted says that the version is the end of the resource; Body is then empty.
	Deleted bool
	// Owner is the consumer of a key.
	Owner string
	// Body is the encoded spec; of certificates and secrets it is sealed.
	Body []byte
	// KeyHash is the keyed hash of a key.
	KeyHash   []byte
	Labels    map[string]string
	Author    string
	CreatedAt time.Time
}

// LaneWrite writes or deletes one resource of the fast lane. A deletion keeps Owner, so that a revoked key is still known as
// its consumer's.
type LaneWrite struct {
	revision.Key
	Delete  bool
	Owner   string
	Body    []byte
	KeyHash []byte
	Labels  map[string]string
	// ExpiresAt is when the resource is to be deleted by itself (see [Tx.LaneExpired]); zero: never.
	ExpiresAt time.Time
}

// LockLane keeps everybody else from writing the fast lane of a fleet until the transaction ends. Whoever needs the head too
// locks that first.
func (tx *Tx) LockLane(ctx context.Context, fleetID int64) (sequence int64, err error) {
	sequence, err = tx.queries.LockLaneHead(ctx, fleetID)
	if err != nil {
		return 0, fmt.Errorf("locking the fast lane of fleet %d: %w", fleetID, translate(err))
	}
	return sequence, nil
}

// AppendLane writes to the fast lane: each write takes the next sequence of the fleet, in the order given, and agents are told
// (topic heads). It returns the last sequence. Each resource may be written once. ErrExists: a key with the same hash exists.
func (tx *Tx) AppendLane(ctx context.Context, fleetID int64, author string, writes []LaneWrite) (sequence int64, err error) {
	if sequence, err = tx.LockLane(ctx, fleetID); err != nil || len(writes) == 0 {
		return sequence, err
	}
	rows := queries.InsertLaneParams{FleetID: fleetID, Author: author}
	for _, write := range writes {
		sequence++
		appendLaneRow(&rows, sequence, write)
	}
	err = tx.queries.SupersedeLane(ctx, queries.SupersedeLaneParams{FleetID: fleetID, Kinds: rows.Kinds, Names: rows.Names})
	if err != nil {
		return 0, fmt.Errorf("ending former versions of the fast lane: %w", translate(err))
	}
	if err := tx.queries.InsertLane(ctx, rows); err != nil {
		return 0, fmt.Errorf("writing %d versions of the fast lane: %w", len(writes), translate(err))
	}
	if err := tx.queries.SetLaneHead(ctx, queries.SetLaneHeadParams{FleetID: fleetID, Sequence: sequence}); err != nil {
		return 0, fmt.Errorf("moving the fast lane to %d: %w", sequence, translate(err))
	}
	if err := tx.indexLane(ctx, fleetID, writes); err != nil {
		return 0, err
	}
	if err := tx.analyze(ctx, len(writes), "lane_versions, resource_references"); err != nil {
		return 0, err
	}
	return sequence, tx.NotifyHeads(ctx, fleetID)
}

func appendLaneRow(rows *queries.InsertLaneParams, sequence int64, write LaneWrite) {
	body, hash := write.Body, write.KeyHash
	switch {
	case write.Delete:
		body, hash = nil, nil
	case body == nil:
		body = []byte{} // an empty spec; NULL would be a deletion
	}
	rows.Sequences = append(rows.Sequences, sequence)
	rows.Kinds = append(rows.Kinds, int16(write.Kind))
	rows.Names = append(rows.Names, write.Name)
	rows.Owners = append(rows.Owners, write.Owner)
	rows.Bodies = append(rows.Bodies, body)
	rows.KeyHashes = append(rows.KeyHashes, hash)
	rows.Labels = append(rows.Labels, string(encodeLabels(write.Labels)))
	expiration := ""
	if !write.Delete && !write.ExpiresAt.IsZero() {
		expiration = write.ExpiresAt.UTC().Format(time.RFC3339Nano)
	}
	rows.Expirations = append(rows.Expirations, expiration)
}

// indexLane keeps what the resources of the fast lane refer to: consumers and blocks refer to something.
func (tx *Tx) indexLane(ctx context.Context, fleetID int64, writes []LaneWrite) error {
	var from []revision.Key
	var references []Reference
	for _, write := range writes {
		if write.Kind != configv1.Kind_KIND_CONSUMER && write.Kind != configv1.Kind_KIND_BLOCK {
			continue
		}
		from = append(from, write.Key)
		if write.Delete {
			continue
		}
		spec := configv1.NewSpec(write.Kind)
		if err := proto.Unmarshal(write.Body, spec); err != nil {
			return fmt.Errorf("decoding %s: %w", write.Key, err)
		}
		references = appendReferences(references, write.Key, spec)
	}
	if len(from) == 0 {
		return nil
	}
	return tx.replaceReferences(ctx, fleetID, from, references)
}

// Lane returns the present versions of those keys that the fast lane knows, deletions included.
func (tx *Tx) Lane(ctx context.Context, fleetID int64, keys []revision.Key) (map[revision.Key]LaneVersion, error) {
	found := make(map[revision.Key]LaneVersion, len(keys))
	if len(keys) == 0 {
		return found, nil
	}
	kinds, names := columnsOf(keys)
	rows, err := tx.queries.GetLaneCurrent(ctx, queries.GetLaneCurrentParams{FleetID: fleetID, Kinds: kinds, Names: names})
	if err != nil {
		return nil, fmt.Errorf("reading %d resources of the fast lane: %w", len(keys), translate(err))
	}
	for _, row := range rows {
		version := laneVersionOf(row)
		found[version.Key] = version
	}
	return found, nil
}

// LaneList lists the resources of a kind in the fast lane, by name, without those that were deleted.
func (tx *Tx) LaneList(ctx context.Context, fleetID int64, kind configv1.Kind, filter Filter) ([]LaneVersion, error) {
	rows, err := tx.queries.ListLaneCurrent(ctx, queries.ListLaneCurrentParams{
		FleetID: fleetID, Kind: int16(kind), After: filter.After, Prefix: filter.Prefix,
		Labels: encodeLabels(filter.Labels), PageSize: int32(filter.Limit),
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", kind.Collection(), translate(err))
	}
	return laneVersionsOf(rows), nil
}

// LaneKeys lists up to limit keys of a consumer, by id, beginning behind after, without those that were revoked.
func (tx *Tx) LaneKeys(ctx context.Context, fleetID int64, consumer, after string, limit int) ([]LaneVersion, error) {
	rows, err := tx.queries.ListLaneOwned(ctx, queries.ListLaneOwnedParams{
		FleetID: fleetID, Owner: consumer, Kind: int16(configv1.Kind_KIND_KEY), After: after, PageSize: int32(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("listing the keys of consumers/%s: %w", consumer, translate(err))
	}
	return laneVersionsOf(rows), nil
}

// LaneNames returns the names of all resources of a kind in the fast lane, sorted.
func (tx *Tx) LaneNames(ctx context.Context, fleetID int64, kind configv1.Kind) ([]string, error) {
	names, err := tx.queries.ListLaneNames(ctx, queries.ListLaneNamesParams{FleetID: fleetID, Kind: int16(kind)})
	if err != nil {
		return nil, fmt.Errorf("listing the names of %s: %w", kind.Collection(), translate(err))
	}
	return names, nil
}

// LaneChangedSince returns those resources of the fast lane that changed after the sequence given for each.
func (tx *Tx) LaneChangedSince(ctx context.Context, fleetID int64, since map[revision.Key]int64) ([]revision.Key, error) {
	kinds, names, bases := sinceColumns(since)
	rows, err := tx.queries.ListLaneChangedSince(ctx, queries.ListLaneChangedSinceParams{
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

// LaneHistory returns up to limit versions of a resource, the newest first.
func (tx *Tx) LaneHistory(ctx context.Context, fleetID int64, key revision.Key, limit int) ([]LaneVersion, error) {
	rows, err := tx.queries.GetLaneHistory(ctx, queries.GetLaneHistoryParams{
		FleetID: fleetID, Kind: int16(key.Kind), Name: key.Name, PageSize: int32(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("reading the history of %s: %w", key, translate(err))
	}
	return laneVersionsOf(rows), nil
}

// KeyUses returns when each of the keys was used last, as far as agents reported it.
func (tx *Tx) KeyUses(ctx context.Context, fleetID int64, ids []string) (map[string]time.Time, error) {
	rows, err := tx.queries.ListKeyUses(ctx, queries.ListKeyUsesParams{FleetID: fleetID, Keys: ids})
	if err != nil {
		return nil, fmt.Errorf("reading the uses of %d keys: %w", len(ids), translate(err))
	}
	uses := make(map[string]time.Time, len(rows))
	for _, row := range rows {
		uses[row.Key] = row.LastUsed
	}
	return uses, nil
}

// Now is Postgres's clock, which decides every time.
func (tx *Tx) Now(ctx context.Context) (time.Time, error) {
	now, err := tx.queries.Now(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("asking Postgres for the time: %w", translate(err))
	}
	return now, nil
}

func laneVersionsOf(rows []queries.LaneVersion) []LaneVersion {
	versions := make([]LaneVersion, len(rows))
	for i, row := range rows {
		versions[i] = laneVersionOf(row)
	}
	return versions
}

func laneVersionOf(row queries.LaneVersion) LaneVersion {
	return LaneVersion{
		Key: keyOf(row.Kind, row.Name), Sequence: row.Sequence, Deleted: row.Body == nil, Owner: row.Owner, Body: row.Body,
		KeyHash: row.KeyHash, Labels: row.Labels, Author: row.Author, CreatedAt: row.CreatedAt,
	}
}
