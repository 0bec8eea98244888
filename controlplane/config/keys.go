package config

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Key is one API key of a consumer, without the key.
type Key struct {
	// ID is the first characters of the key's random part, so that a leaked key can be found.
	ID       string
	Consumer string
	Spec     *configv1.Key
	// Sequence is the change of the fast lane that brought its last change.
	Sequence  int64
	CreatedAt time.Time
	// LastUsedAt is the last use that an agent reported, to the minute.
	LastUsedAt, RevokedAt *time.Time
	// State is one of the KeyState constants.
	State string
	ETag  string
}

// States of a key.
const (
	KeyActive  = "active"
	KeyExpired = "expired"
	KeyRevoked = "revoked"
	// KeyPending: the plan of its consumer is not served yet.
	KeyPending = "pending"
)

// AnyConsumer stands for every consumer in lists of keys.
const AnyConsumer = "-"

// keyTries is how often a new key's id may be taken already; one collision among a million keys has a chance of 1 in 200 million.
const keyTries = 8

func consumerKey(name string) revision.Key {
	return revision.Key{Kind: configv1.Kind_KIND_CONSUMER, Name: name}
}

func keyKey(id string) revision.Key {
	return revision.Key{Kind: configv1.Kind_KIND_KEY, Name: id}
}

// CreateKey makes a key for a consumer and returns it, this once. It never waits for a publish.
func (s *Service) CreateKey(ctx context.Context, actor, fleet, consumer string, spec *configv1.Key) (Key, string, error) {
	var made Key
	var secret string
	err := s.changeKeys(ctx, fleet, func(tx *store.Tx, fleet store.Fleet) error {
		var err error
		made, secret, err = s.createKey(ctx, tx, fleet, actor, consumer, spec)
		return err
	})
	return made, secret, err
}

func (s *Service) createKey(ctx context.Context, tx *store.Tx, fleet store.Fleet, actor, consumer string, spec *configv1.Key) (Key, string, error) {
	if spec == nil {
		spec = new(configv1.Key)
	}
	if err := hasConsumer(ctx, tx, fleet, consumer); err != nil {
		return Key{}, "", err
	}
	if err := checkKeySpec(ctx, tx, spec); err != nil {
		return Key{}, "", err
	}
	secret, id, err := s.freeKey(ctx, tx, fleet)
	if err != nil {
		return Key{}, "", err
	}
	if err := s.writeKey(ctx, tx, fleet, actor, consumer, id, spec, s.keys.KeyHash(secret)); err != nil {
		return Key{}, "", err
	}
	made, err := s.key(ctx, tx, fleet, consumer, id)
	return made, secret, err
}

func hasConsumer(ctx context.Context, tx *store.Tx, fleet store.Fleet, name string) error {
	key := consumerKey(name)
	found, err := tx.Lane(ctx, fleet.ID, []revision.Key{key})
	if err != nil {
		return err
	}
	if version, ok := found[key]; !ok || version.Deleted {
		return named(key, store.ErrNotFound)
	}
	return nil
}

func checkKeySpec(ctx context.Context, tx *store.Tx, spec *configv1.Key) error {
	fields, err := configv1.Validate(spec)
	if err != nil {
		return err
	}
	if len(fields) == 0 && spec.GetExpiresAt() != "" {
		now, err := tx.Now(ctx)
		if err != nil {
			return err
		}
		if expires, err := time.Parse(time.RFC3339, spec.GetExpiresAt()); err != nil || !expires.After(now) {
			fields = append(fields, configv1.FieldViolation{Field: "expires_at", Rule: ruleExpired, Message: "must be a time that is yet to come"})
		}
	}
	violations := specViolations(keyKey(""), fields)
	for i := range violations {
		violations[i].Resource = "keys"
	}
	return refused(violations)
}

func (s *Service) freeKey(ctx context.Context, tx *store.Tx, fleet store.Fleet) (secret, id string, err error) {
	for range keyTries {
		secret, id = newKey()
		taken, err := tx.Lane(ctx, fleet.ID, []revision.Key{keyKey(id)})
		if err != nil {
			return "", "", err
		}
		if len(taken) == 0 {
			return secret, id, nil
		}
	}
	return "", "", errors.New("making a key: every id that was tried is taken")
}

func (s *Service) writeKey(ctx context.Context, tx *store.Tx, fleet store.Fleet, actor, consumer, id string, spec *configv1.Key, hash []byte) error {
	body, err := revision.Encode(spec)
	if err != nil {
		return fmt.Errorf("encoding a key: %w", err)
	}
	_, err = tx.AppendLane(ctx, fleet.ID, actor, []store.LaneWrite{{Key: keyKey(id), Owner: consumer, Body: body, KeyHash: hash}})
	return err
}

// RotateKey makes a successor with the same settings, and lets the old key live for the overlap.
func (s *Service) RotateKey(ctx context.Context, actor, fleet, consumer, id string, overlap time.Duration, ifMatch string) (Key, string, error) {
	if overlap < 0 {
		return Key{}, "", refusedField("overlap", ruleDuration, "must not be negative")
	}
	var made Key
	var secret string
	err := s.changeKeys(ctx, fleet, func(tx *store.Tx, fleet store.Fleet) error {
		old, version, err := s.liveKey(ctx, tx, fleet, consumer, id, ifMatch)
		if err != nil {
			return err
		}
		now, err := tx.Now(ctx)
		if err != nil {
			return err
		}
		if made, secret, err = s.createKey(ctx, tx, fleet, actor, version.Owner, old.Spec); err != nil {
			return err
		}
		ending := proto.CloneOf(old.Spec)
		if end := now.Add(overlap); ending.GetExpiresAt() == "" || end.Before(expiryOf(ending)) {
			ending.ExpiresAt = end.UTC().Format(time.RFC3339Nano)
		}
		return s.writeKey(ctx, tx, fleet, actor, version.Owner, id, ending, version.KeyHash)
	})
	return made, secret, err
}

// RevokeKey refuses a key on every agent from now on. The reason belongs into the audit, which the caller writes.
func (s *Service) RevokeKey(ctx context.Context, actor, fleet, consumer, id, _, ifMatch string) (Key, error) {
	var revoked Key
	err := s.changeKeys(ctx, fleet, func(tx *store.Tx, fleet store.Fleet) error {
		_, version, err := s.liveKey(ctx, tx, fleet, consumer, id, ifMatch)
		if err != nil {
			return err
		}
		write := store.LaneWrite{Key: version.Key, Delete: true, Owner: version.Owner, Labels: version.Labels}
		if _, err := tx.AppendLane(ctx, fleet.ID, actor, []store.LaneWrite{write}); err != nil {
			return err
		}
		revoked, err = s.key(ctx, tx, fleet, consumer, id)
		return err
	})
	return revoked, err
}

// Key returns a key by its id, one that was revoked too, or store.ErrNotFound.
func (s *Service) Key(ctx context.Context, fleet, consumer, id string) (Key, error) {
	var found Key
	err := s.viewFleet(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, _ store.Head) error {
		var err error
		found, err = s.key(ctx, tx, fleet, consumer, id)
		return err
	})
	return found, err
}

// Keys lists the keys of a consumer by id, or those of every consumer (AnyConsumer), without those that were revoked.
func (s *Service) Keys(ctx context.Context, fleet, consumer string, options ListOptions) ([]Key, string, error) {
	page, err := options.page("keys of " + consumer)
	if err != nil {
		return nil, "", err
	}
	var keys []Key
	err = s.viewFleet(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, head store.Head) error {
		var versions []store.LaneVersion
		var err error
		if consumer == AnyConsumer {
			filter := store.Filter{After: page.after, Limit: page.size + 1}
			versions, err = tx.LaneList(ctx, fleet.ID, configv1.Kind_KIND_KEY, filter)
		} else if err = hasConsumer(ctx, tx, fleet, consumer); err == nil {
			versions, err = tx.LaneKeys(ctx, fleet.ID, consumer, page.after, page.size+1)
		}
		if err != nil {
			return err
		}
		keys, err = s.keysOf(ctx, tx, fleet, head, versions)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	keys, next := cut(keys, page, func(k Key) string { return k.ID })
	return keys, next, nil
}

// changeKeys runs writes on keys. They lock the lane and never the head.
func (s *Service) changeKeys(ctx context.Context, fleet string, write func(*store.Tx, store.Fleet) error) error {
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		at, err := tx.FleetByName(ctx, fleet)
		if err != nil {
			return err
		}
		if _, err := tx.LockLane(ctx, at.ID); err != nil {
			return err
		}
		return write(tx, at)
	})
}
