package config

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// liveKey returns a key that can still be changed, and its stored version.
func (s *Service) liveKey(ctx context.Context, tx *store.Tx, fleet store.Fleet, consumer, id, ifMatch string) (Key, store.LaneVersion, error) {
	version, err := keyVersion(ctx, tx, fleet, consumer, id)
	if err != nil {
		return Key{}, store.LaneVersion{}, err
	}
	if version.Deleted {
		return Key{}, store.LaneVersion{}, named(keyKey(id), store.ErrNotFound)
	}
	if err := checkMatch(keyKey(id).String(), ifMatch, laneETag(version.Sequence)); err != nil {
		return Key{}, store.LaneVersion{}, err
	}
	spec := new(configv1.Key)
	err = proto.Unmarshal(version.Body, spec)
	return Key{ID: id, Consumer: version.Owner, Spec: spec}, version, err
}

// keyVersion finds the present version of a key of a consumer, or of any (AnyConsumer).
func keyVersion(ctx context.Context, tx *store.Tx, fleet store.Fleet, consumer, id string) (store.LaneVersion, error) {
	key := keyKey(id)
	found, err := tx.Lane(ctx, fleet.ID, []revision.Key{key})
	if err != nil {
		return store.LaneVersion{}, err
	}
	version, ok := found[key]
	if !ok || consumer != AnyConsumer && version.Owner != consumer {
		return store.LaneVersion{}, named(key, store.ErrNotFound)
	}
	return version, nil
}

func (s *Service) key(ctx context.Context, tx *store.Tx, fleet store.Fleet, consumer, id string) (Key, error) {
	version, err := keyVersion(ctx, tx, fleet, consumer, id)
	if err != nil {
		return Key{}, err
	}
	head, err := tx.Head(ctx, fleet.ID)
	if err != nil {
		return Key{}, err
	}
	keys, err := s.keysOf(ctx, tx, fleet, head, []store.LaneVersion{version})
	if err != nil {
		return Key{}, err
	}
	return keys[0], s.addHistory(ctx, tx, fleet, &keys[0], version)
}

// addHistory adds what only the history of a key says: when it was made, and of a revoked one what it was.
func (s *Service) addHistory(ctx context.Context, tx *store.Tx, fleet store.Fleet, key *Key, version store.LaneVersion) error {
	history, err := tx.LaneHistory(ctx, fleet.ID, version.Key, maxPageSize)
	if err != nil {
		return err
	}
	key.CreatedAt = history[len(history)-1].CreatedAt
	if !version.Deleted {
		return nil
	}
	for _, earlier := range history {
		if !earlier.Deleted {
			return proto.Unmarshal(earlier.Body, key.Spec)
		}
	}
	return nil
}

// keysOf decodes versions of keys and says how each stands.
func (s *Service) keysOf(ctx context.Context, tx *store.Tx, fleet store.Fleet, head store.Head, versions []store.LaneVersion) ([]Key, error) {
	ids := make([]string, len(versions))
	owners := make([]revision.Key, len(versions))
	for i, version := range versions {
		ids[i], owners[i] = version.Name, consumerKey(version.Owner)
	}
	uses, err := tx.KeyUses(ctx, fleet.ID, ids)
	if err != nil {
		return nil, err
	}
	pending, err := s.pendingConsumers(ctx, tx, fleet, head, owners)
	if err != nil {
		return nil, err
	}
	now, err := tx.Now(ctx)
	if err != nil {
		return nil, err
	}
	keys := make([]Key, len(versions))
	for i, version := range versions {
		keys[i] = Key{
			ID: version.Name, Consumer: version.Owner, Spec: new(configv1.Key), Sequence: version.Sequence,
			CreatedAt: version.CreatedAt, ETag: laneETag(version.Sequence),
		}
		if err := proto.Unmarshal(version.Body, keys[i].Spec); err != nil {
			return nil, named(version.Key, err)
		}
		if used, ok := uses[version.Name]; ok {
			keys[i].LastUsedAt = &used
		}
		if version.Deleted {
			keys[i].RevokedAt = &version.CreatedAt
		}
		keys[i].State = keyState(keys[i], pending[version.Owner], now)
	}
	return keys, nil
}

func keyState(key Key, pending bool, now time.Time) string {
	switch {
	case key.RevokedAt != nil:
		return KeyRevoked
	case key.Spec.GetExpiresAt() != "" && !now.Before(expiryOf(key.Spec)):
		return KeyExpired
	case pending:
		return KeyPending
	}
	return KeyActive
}

// expiryOf is when a key stops working; what cannot be read has ended.
func expiryOf(spec *configv1.Key) time.Time {
	expires, err := time.Parse(time.RFC3339, spec.GetExpiresAt())
	if err != nil {
		return time.Time{}
	}
	return expires
}

// pendingConsumers are those whose plan is not served yet.
func (s *Service) pendingConsumers(ctx context.Context, tx *store.Tx, fleet store.Fleet, head store.Head, owners []revision.Key) (map[string]bool, error) {
	found, err := tx.Lane(ctx, fleet.ID, owners)
	if err != nil {
		return nil, err
	}
	var versions []store.LaneVersion
	for _, version := range found {
		if !version.Deleted {
			versions = append(versions, version)
		}
	}
	consumers, err := s.laneResources(ctx, tx, fleet, head, versions)
	if err != nil {
		return nil, err
	}
	pending := map[string]bool{}
	for _, consumer := range consumers {
		pending[consumer.Name] = consumer.State == StatePending
	}
	return pending, nil
}
