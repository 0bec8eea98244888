package agent

import (
	"bytes"
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/dataplane/agent/journal"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// onLane takes a part of the fast lane. It takes effect even if the disk refuses it: a revocation does not wait.
func (a *Agent) onLane(ctx context.Context, signed *agentv1.Signed) error {
	batch := new(agentv1.LaneBatch)
	if err := a.config.Identity.Current().Open(signed, batch); err != nil {
		a.log.ErrorContext(ctx, "fast lane refused", "error", err)
		return err
	}
	if fleet := a.config.Identity.Current().Fleet; batch.GetFleet() != fleet {
		return fmt.Errorf("the fast lane is that of the fleet %q, and this agent belongs to %q", batch.GetFleet(), fleet)
	}
	batch, err := a.collect(batch)
	if err != nil || batch == nil {
		return err
	}
	if isGoingBack(a.journal.State(), batch) {
		// A database that was restored from an old backup: what was revoked since would come back to life.
		a.staleLane = true
		a.log.ErrorContext(ctx, "the fast lane went back and is refused; the fleet needs a new epoch",
			"held_epoch", a.journal.State().LaneEpoch, "held", a.journal.State().LaneSequence,
			"got_epoch", batch.GetEpoch(), "got", batch.GetThroughSequence())
	}
	if a.staleLane && batch.GetEpoch() <= a.journal.State().LaneEpoch {
		return nil // the state that follows is refused too, which the control plane then shows
	}
	batch, err = cutBatch(a.journal.State(), batch)
	if err != nil || batch == nil {
		return err
	}
	records := journal.LaneRecords(batch)
	if err := a.journal.Append(records...); err != nil {
		a.log.ErrorContext(ctx, "fast lane not kept on the disk", "error", err)
		if err := a.journal.Amend(records...); err != nil {
			return err
		}
	}
	if err := a.config.Lane.Apply(batch); err != nil {
		a.log.ErrorContext(ctx, "fast lane", "error", err)
	}
	a.activateIfReady(ctx)
	return nil
}

// isGoingBack says whether a lane would begin anew, in the same epoch, with less than is held, or is of an epoch that is over.
func isGoingBack(state *journal.State, batch *agentv1.LaneBatch) bool {
	return batch.GetEpoch() < state.LaneEpoch || batch.GetReset_() && batch.GetEpoch() == state.LaneEpoch && batch.GetThroughSequence() < state.LaneSequence
}

// cutBatch keeps what is new of a batch, so that it continues exactly what is held; nil: nothing is new.
func cutBatch(state *journal.State, batch *agentv1.LaneBatch) (*agentv1.LaneBatch, error) {
	held, epoch := state.LaneSequence, state.LaneEpoch
	switch {
	case batch.GetReset_():
		return batch, nil
	case batch.GetAfterSequence() == 0 && held == 0:
		fresh := proto.CloneOf(batch)
		fresh.Reset_ = true
		return fresh, nil
	case batch.GetEpoch() != epoch || batch.GetAfterSequence() > held:
		return nil, fmt.Errorf("the fast lane goes on after (%d, %d), and (%d, %d) is held",
			batch.GetEpoch(), batch.GetAfterSequence(), epoch, held)
	case batch.GetThroughSequence() <= held:
		return nil, nil
	}
	part := &agentv1.LaneBatch{
		Fleet: batch.GetFleet(), Epoch: epoch, AfterSequence: held, ThroughSequence: batch.GetThroughSequence(),
	}
	for _, entry := range batch.GetEntries() {
		if entry.GetSequence() > held {
			part.Entries = append(part.Entries, entry)
		}
	}
	return part, nil
}

// takeKeyHashKey sets the key that API keys are hashed with, and keeps it for a start without a control plane.
func (a *Agent) takeKeyHashKey(ctx context.Context, key []byte) {
	if len(key) == 0 || bytes.Equal(key, a.journal.State().KeyHashKey) {
		return
	}
	a.config.Lane.SetKeyHashKey(key)
	a.keep(ctx, "key of the key hash", journal.KeyHashKeyRecord(key))
}

// takeTicketSecret hands on what the keys of session tickets are derived from, and keeps it likewise.
func (a *Agent) takeTicketSecret(ctx context.Context, secret []byte) {
	if len(secret) == 0 || bytes.Equal(secret, a.journal.State().SessionTicketSecret) {
		return
	}
	a.setTicketSecret(ctx, secret)
	a.keep(ctx, "secret of session tickets", journal.SessionTicketSecretRecord(secret))
}

func (a *Agent) setTicketSecret(ctx context.Context, secret []byte) {
	if a.config.SetTicketSecret == nil || len(secret) == 0 {
		return
	}
	if err := a.config.SetTicketSecret(secret); err != nil {
		a.log.ErrorContext(ctx, "secret of session tickets", "error", err)
	}
}

// keep writes a record that takes effect even if the disk refuses it.
func (a *Agent) keep(ctx context.Context, what string, record *agentv1.JournalRecord) {
	if err := a.journal.Append(record); err != nil {
		a.log.ErrorContext(ctx, what+" not kept on the disk", "error", err)
		if err := a.journal.Amend(record); err != nil {
			a.log.ErrorContext(ctx, what, "error", err)
		}
	}
}
