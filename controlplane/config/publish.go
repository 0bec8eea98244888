package config

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Published says what a publish made.
type Published struct {
	// Revision is the new revision and Rollout what carries it; both 0 when nothing staged changed.
	Revision, Rollout int64
	// LaneSequence is the fast lane's sequence after the publish.
	LaneSequence int64
	Warnings     []Warning
}

// publication is what a publish is told beside its draft.
type publication struct {
	actor    string
	message  string
	origin   string
	strategy string
	// changeSet is the draft's id and approvals who approved it; empty if it is none.
	changeSet string
	approvals []store.Approval
	options   PublishOptions
	// expectations are encoded.
	expectations []byte
}

// publish checks the draft and makes it real: the fast part first, so that the revision says how much of the lane an agent
// must hold to serve it. The caller holds the fleet's head.
func (d *draft) publish(ctx context.Context, p publication) (Published, error) {
	if err := p.options.check(); err != nil {
		return Published{}, err
	}
	if p.options.Emergency {
		p.strategy = strategyImmediate
	}
	strategy, spec, err := d.service.strategy(ctx, d.tx, d.fleet, p.strategy)
	if err != nil {
		return Published{}, strategyError(p.strategy, err)
	}
	if err := d.check(ctx, publishEffort); err != nil {
		return Published{}, err
	}
	if err := refused(d.violations); err != nil {
		return Published{}, err
	}
	policy, err := d.permit(ctx, p)
	if err != nil {
		return Published{}, err
	}
	published := Published{LaneSequence: d.head.LaneSequence, Warnings: d.warnings}
	if published.LaneSequence, err = d.appendLane(ctx, p.actor); err != nil {
		return Published{}, err
	}
	made, changed, err := d.tx.CommitRevision(ctx, d.head, store.Commit{
		Origin: p.origin, Author: p.actor, Message: p.options.note(p.message), Changes: d.stagedChanges(),
	})
	if err != nil || !changed {
		return published, err
	}
	published.Revision = made.Number
	published.Rollout, err = d.queueRollout(ctx, made, strategy, spec, store.QueuedRollout{
		Expectations: p.expectations, Supersede: p.options.Emergency || policy.GetNewerRevision() == newerSupersedes,
	})
	return published, err
}

// newerSupersedes is the word of a policy by which a newer revision does not wait.
const newerSupersedes = "supersede"

func (d *draft) queueRollout(ctx context.Context, made store.Revision, name string, spec *configv1.Strategy, queued store.QueuedRollout) (int64, error) {
	encoded, err := proto.Marshal(spec)
	if err != nil {
		return 0, fmt.Errorf("encoding strategy %q: %w", name, err)
	}
	queued.FleetID, queued.Revision, queued.Stable = d.head.FleetID, made.Number, d.head.Stable
	queued.Strategy, queued.Spec, queued.Author = name, encoded, made.Author
	rollout, err := d.tx.QueueRollout(ctx, queued)
	if err != nil {
		return 0, err
	}
	return rollout, d.tx.NotifyHeads(ctx, d.head.FleetID)
}

func (d *draft) stagedChanges() []store.Change {
	var changes []store.Change
	for _, e := range d.edits {
		if e.Kind.Staged() {
			changes = append(changes, store.Change{Key: e.Key, Delete: e.delete, Body: e.body, Labels: e.labels})
		}
	}
	return changes
}

// appendLane writes the fast part. With a consumer go its keys, and with a certificate what was obtained for it.
func (d *draft) appendLane(ctx context.Context, actor string) (sequence int64, err error) {
	var writes []store.LaneWrite
	for _, e := range d.edits {
		if !e.Kind.Fast() {
			continue
		}
		if e.delete && e.Kind == configv1.Kind_KIND_CONSUMER {
			if writes, err = d.appendKeyDeletes(ctx, writes, e.Name); err != nil {
				return 0, err
			}
		}
		if e.Kind == configv1.Kind_KIND_CERTIFICATE {
			more, err := d.appendIssuance(ctx, e)
			if err != nil {
				return 0, err
			}
			writes = append(writes, more...)
		}
		write := store.LaneWrite{Key: e.Key, Delete: e.delete, Labels: e.labels, ExpiresAt: blockEnds(e.spec)}
		if !e.delete {
			if write.Body, err = d.service.seal(d.fleet.ID, e.Key, e.body); err != nil {
				return 0, err
			}
		}
		writes = append(writes, write)
	}
	if len(writes) == 0 {
		return d.head.LaneSequence, nil
	}
	return d.tx.AppendLane(ctx, d.fleet.ID, actor, writes)
}

func (d *draft) appendKeyDeletes(ctx context.Context, writes []store.LaneWrite, consumer string) ([]store.LaneWrite, error) {
	// Nobody makes a key for a consumer that goes.
	if _, err := d.tx.LockLane(ctx, d.fleet.ID); err != nil {
		return nil, err
	}
	after := ""
	for {
		keys, err := d.tx.LaneKeys(ctx, d.fleet.ID, consumer, after, maxPageSize)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			writes = append(writes, store.LaneWrite{Key: key.Key, Delete: true, Owner: consumer, Labels: key.Labels})
			after = key.Name
		}
		if len(keys) < maxPageSize {
			return writes, nil
		}
	}
}
