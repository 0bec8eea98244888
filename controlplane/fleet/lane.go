package fleet

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/store"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

const (
	// laneLimit bounds a part of the fast lane, in bytes.
	laneLimit    = 512 << 10
	lanePageRows = 2000
	// laneMemory bounds the parts that are kept, in bytes.
	laneMemory = 32 << 20
)

// lanes reads parts of the fast lane, as agents get them.
type lanes struct {
	store   *store.Store
	keyring *keyring.Keyring
	log     *slog.Logger
	shared  *shared[laneKey, lanePart]
}

// laneKey names a part: what follows on after, when the lane reaches (at least) to head.
type laneKey struct {
	fleetID, epoch int64
	after, head    int64
	reset          bool
}

// lanePart is a signed LaneBatch, encoded once for all agents, and what an agent holds after it.
type lanePart struct {
	bytes   encoded
	through int64
	// incomplete: more follows
	incomplete bool
}

func newLanes(s *store.Store, k *keyring.Keyring, log *slog.Logger) *lanes {
	size := func(part lanePart) int { return entryOverhead + len(part.bytes) }
	return &lanes{store: s, keyring: k, log: log, shared: newShared[laneKey](laneMemory, size)}
}

// part returns what follows on after for an agent of the fleet. With reset it begins from nothing. It reaches to the lane's
// end unless it would be too large; then the caller asks again.
func (l *lanes) part(ctx context.Context, delivery *store.Delivery, after int64, reset bool) (lanePart, error) {
	key := laneKey{fleetID: delivery.FleetID, epoch: delivery.Epoch, after: after, head: delivery.LaneSequence, reset: reset}
	return l.shared.get(ctx, key, func(ctx context.Context) (lanePart, error) {
		batch := &agentv1.LaneBatch{Fleet: delivery.Fleet, Epoch: delivery.Epoch, AfterSequence: after, Reset_: reset}
		err := l.store.View(ctx, func(tx *store.Tx) error { return l.fill(ctx, tx, delivery.FleetID, batch) })
		if err != nil {
			return lanePart{}, err
		}
		signed, err := l.keyring.Sign(batch)
		if err != nil {
			return lanePart{}, err
		}
		bytes, err := encode(&agentv1.ConnectResponse{Message: &agentv1.ConnectResponse_LaneBatch{LaneBatch: signed}})
		if err != nil {
			return lanePart{}, err
		}
		return lanePart{bytes: bytes, through: batch.GetThroughSequence(), incomplete: batch.GetIncomplete()}, nil
	})
}

// fill reads entries until the lane ends or the batch is large enough. The head is read on the same snapshot, so a batch
// that reaches it lacks nothing.
func (l *lanes) fill(ctx context.Context, tx *store.Tx, fleetID int64, batch *agentv1.LaneBatch) error {
	head, err := tx.Head(ctx, fleetID)
	if err != nil {
		return err
	}
	room := laneLimit
	for after := batch.GetAfterSequence(); ; {
		// A part that follows a reset may name what was deleted; the agent knows to forget what it never had.
		changes, err := tx.LaneChanges(ctx, fleetID, after, batch.GetReset_(), lanePageRows)
		if err != nil {
			return err
		}
		for _, change := range changes {
			entry, err := l.entry(ctx, tx, fleetID, change)
			if err != nil && ctx.Err() != nil {
				return err
			}
			if err != nil {
				// One row that cannot be read must not hold back the revocations behind it.
				l.log.Error("an entry of the fast lane is left out", "fleet_id", fleetID, "sequence", change.Sequence, "error", err)
			}
			if entry == nil {
				after = change.Sequence
				continue
			}
			size := proto.Size(entry)
			if size > room && len(batch.GetEntries()) > 0 {
				batch.ThroughSequence, batch.Incomplete = after, true
				return nil
			}
			batch.Entries = append(batch.Entries, entry)
			room, after = room-size, change.Sequence
		}
		if len(changes) < lanePageRows {
			batch.ThroughSequence = head.LaneSequence
			return nil
		}
	}
}

// entry is what an agent gets of a resource of the fast lane; nil: nothing.
func (l *lanes) entry(ctx context.Context, tx *store.Tx, fleetID int64, change store.LaneChange) (*agentv1.LaneEntry, error) {
	entry := &agentv1.LaneEntry{Sequence: change.Sequence, Kind: change.Kind, Name: change.Name, Deleted: change.Body == nil}
	if change.Kind == configv1.Kind_KIND_ISSUED_CERTIFICATE {
		// To agents it is the certificate itself, and that alone says when it is gone.
		entry.Kind = configv1.Kind_KIND_CERTIFICATE
		if entry.GetDeleted() {
			return nil, nil //nolint:nilnil // nothing for agents
		}
	}
	if entry.GetDeleted() {
		return entry, nil
	}
	var err error
	if entry.GetKind() == configv1.Kind_KIND_CERTIFICATE {
		err = l.addCertificate(ctx, tx, entry, fleetID, change)
	} else {
		err = l.addMaterial(entry, fleetID, change)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %v %q of the fast lane: %w", change.Kind, change.Name, err)
	}
	if entry.GetMaterial() == nil {
		return nil, nil //nolint:nilnil // nothing for agents
	}
	return entry, nil
}

func (l *lanes) addMaterial(entry *agentv1.LaneEntry, fleetID int64, change store.LaneChange) error {
	switch change.Kind {
	case configv1.Kind_KIND_CONSUMER:
		var consumer configv1.Consumer
		if err := proto.Unmarshal(change.Body, &consumer); err != nil {
			return err
		}
		entry.Material = &agentv1.LaneEntry_Consumer{Consumer: &agentv1.ConsumerMaterial{
			Plan: consumer.GetPlan(), Disabled: consumer.GetDisabled(),
		}}
		return nil
	case configv1.Kind_KIND_BLOCK:
		var block configv1.Block
		if err := proto.Unmarshal(change.Body, &block); err != nil {
			return err
		}
		entry.Material = &agentv1.LaneEntry_Block{Block: &agentv1.BlockMaterial{
			Addresses: block.GetAddresses(), Consumer: block.GetConsumer(),
		}}
		return nil
	case configv1.Kind_KIND_KEY:
		return addKey(entry, change)
	case configv1.Kind_KIND_SECRET:
		var secret configv1.Secret
		if err := l.unseal(fleetID, change, &secret); err != nil {
			return err
		}
		entry.Material = &agentv1.LaneEntry_Secret{Secret: &agentv1.SecretMaterial{Value: secret.GetValue()}}
		return nil
	case configv1.Kind_KIND_ACME_CHALLENGE:
		var challenge agentv1.AcmeChallengeMaterial
		if err := l.unseal(fleetID, change, &challenge); err != nil {
			return err
		}
		entry.Material = &agentv1.LaneEntry_AcmeChallenge{AcmeChallenge: &challenge}
		return nil
	default:
		return fmt.Errorf("kind %v does not belong there", change.Kind)
	}
}

func addKey(entry *agentv1.LaneEntry, change store.LaneChange) error {
	var key configv1.Key
	if err := proto.Unmarshal(change.Body, &key); err != nil {
		return err
	}
	material := &agentv1.KeyMaterial{Consumer: change.Owner, Hash: change.KeyHash, Scopes: key.GetScopes()}
	if key.GetExpiresAt() != "" {
		expiresAt, err := time.Parse(time.RFC3339, key.GetExpiresAt())
		if err != nil {
			return fmt.Errorf("its expires_at: %w", err)
		}
		material.ExpiresAt = expiresAt.Unix()
	}
	entry.Material = &agentv1.LaneEntry_Key{Key: material}
	return nil
}

// unseal opens a body that is kept sealed and decodes it.
func (l *lanes) unseal(fleetID int64, change store.LaneChange, into proto.Message) error {
	plain, err := l.keyring.Unseal(change.Body, keyring.ResourceContext(fleetID, change.Kind, change.Name))
	if err != nil {
		return err
	}
	return proto.Unmarshal(plain, into)
}
