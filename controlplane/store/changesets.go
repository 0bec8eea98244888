package store

import (
	"context"
	"fmt"
	"time"

	"tidegate.dev/controlplane/store/queries"
	"tidegate.dev/proto/revision"
)

// States of a change set.
const (
	ChangeSetOpen      = "open"
	ChangeSetPublished = "published"
	ChangeSetAbandoned = "abandoned"
)

// ChangeSet is a draft, without its edits.
type ChangeSet struct {
	ID      string
	FleetID int64
	// BaseRevision and BaseLane are where the fleet stood when it was opened or rebased.
	BaseRevision, BaseLane int64
	State                  string
	Message                string
	Author                 string
	// Revision is what it became; 0: nothing (yet).
	Revision int64
	// Version is raised by every change.
	Version int64
	// Editors are those who edited it, its author among them.
	Editors []string
	// Expectations is what it means to change: encoded Expectations.
	Expectations         []byte
	CreatedAt, UpdatedAt time.Time
}

// Edit is what a change set does to one resource. Bodies of certificates and secrets are sealed.
type Edit struct {
	revision.Key
	Delete bool
	Body   []byte
	Labels map[string]string
	// Base is the version that the author saw, a revision or of fast kinds a sequence; 0: that of the change set's base.
	Base int64
}

// CreateChangeSet opens a draft on head.
func (tx *Tx) CreateChangeSet(ctx context.Context, head Head, author, message string) (ChangeSet, error) {
	row, err := tx.queries.InsertChangeSet(ctx, queries.InsertChangeSetParams{
		FleetID: head.FleetID, BaseRevision: head.Revision, BaseLane: head.LaneSequence, Author: author, Message: message,
	})
	if err != nil {
		return ChangeSet{}, fmt.Errorf("opening a change set: %w", translate(err))
	}
	return changeSetOf(row), nil
}

// ChangeSet returns ErrNotFound if the fleet has none of that id.
func (tx *Tx) ChangeSet(ctx context.Context, fleetID int64, id string) (ChangeSet, error) {
	row, err := tx.queries.GetChangeSet(ctx, queries.GetChangeSetParams{FleetID: fleetID, ID: id})
	if err != nil {
		return ChangeSet{}, fmt.Errorf("reading change set %s: %w", id, translate(err))
	}
	return changeSetOf(row), nil
}

// LockChangeSet reads a change set and keeps everybody else from changing it until the transaction ends. Whoever needs the
// fleet's head too locks that first.
func (tx *Tx) LockChangeSet(ctx context.Context, fleetID int64, id string) (ChangeSet, error) {
	row, err := tx.queries.LockChangeSet(ctx, queries.LockChangeSetParams{FleetID: fleetID, ID: id})
	if err != nil {
		return ChangeSet{}, fmt.Errorf("locking change set %s: %w", id, translate(err))
	}
	return changeSetOf(row), nil
}

// ChangeSets lists up to limit change sets, the newest first, beginning behind the one of id after ("" for the newest), of one
// state ("" for all).
func (tx *Tx) ChangeSets(ctx context.Context, fleetID int64, state, after string, limit int) ([]ChangeSet, error) {
	rows, err := tx.queries.ListChangeSets(ctx, queries.ListChangeSetsParams{
		FleetID: fleetID, State: state, After: after, PageSize: int32(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("listing change sets: %w", translate(err))
	}
	sets := make([]ChangeSet, len(rows))
	for i, row := range rows {
		sets[i] = changeSetOf(row)
	}
	return sets, nil
}

// SaveChangeSet writes base, state, message, revision, editors and expectations, and raises the version. The caller holds it (LockChangeSet).
func (tx *Tx) SaveChangeSet(ctx context.Context, set ChangeSet) (ChangeSet, error) {
	parameters := queries.UpdateChangeSetParams{
		ID: set.ID, BaseRevision: set.BaseRevision, BaseLane: set.BaseLane, State: set.State, Message: set.Message,
		Editors: set.Editors, Expectations: notNull(set.Expectations),
	}
	if set.Revision != 0 {
		parameters.Revision = &set.Revision
	}
	row, err := tx.queries.UpdateChangeSet(ctx, parameters)
	if err != nil {
		return ChangeSet{}, fmt.Errorf("saving change set %s: %w", set.ID, translate(err))
	}
	return changeSetOf(row), nil
}

// Approval is one person's word for a change set.
type Approval struct {
	Approver, Comment string
	At                time.Time
}

// Approvals returns who approved a change set as it is now, in the order in which they did.
func (tx *Tx) Approvals(ctx context.Context, id string) ([]Approval, error) {
	rows, err := tx.queries.ListApprovals(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the approvals of change set %s: %w", id, translate(err))
	}
	approvals := make([]Approval, len(rows))
	for i, row := range rows {
		approvals[i] = Approval(row)
	}
	return approvals, nil
}

// Approve notes one person's word for a change set.
func (tx *Tx) Approve(ctx context.Context, id, approver, comment string) error {
	err := tx.queries.AddApproval(ctx, queries.AddApprovalParams{ChangeSet: id, Approver: approver, Comment: comment})
	if err != nil {
		return fmt.Errorf("approving change set %s: %w", id, translate(err))
	}
	return nil
}

// TakeBackApprovals forgets who approved a change set: it is another now.
func (tx *Tx) TakeBackApprovals(ctx context.Context, id string) error {
	if err := tx.queries.DeleteApprovals(ctx, id); err != nil {
		return fmt.Errorf("taking back the approvals of change set %s: %w", id, translate(err))
	}
	return nil
}

// notNull is bytes for a column that holds none as an empty string.
func notNull(bytes []byte) []byte {
	if bytes == nil {
		return []byte{}
	}
	return bytes
}

// Edits returns what a change set does, by kind and name.
func (tx *Tx) Edits(ctx context.Context, id string) ([]Edit, error) {
	rows, err := tx.queries.ListEdits(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("reading the edits of change set %s: %w", id, translate(err))
	}
	edits := make([]Edit, len(rows))
	for i, row := range rows {
		edits[i] = editOf(queries.GetEditRow(row))
	}
	return edits, nil
}

// Edit returns what a change set does to one resource, or ErrNotFound.
func (tx *Tx) Edit(ctx context.Context, id string, key revision.Key) (Edit, error) {
	row, err := tx.queries.GetEdit(ctx, queries.GetEditParams{ChangeSet: id, Kind: int16(key.Kind), Name: key.Name})
	if err != nil {
		return Edit{}, fmt.Errorf("reading the edit of %s in change set %s: %w", key, id, translate(err))
	}
	return editOf(row), nil
}

// PutEdits adds edits to a change set, each resource once; an earlier edit of the same resource is replaced. The caller holds
// the change set and saves it afterwards.
func (tx *Tx) PutEdits(ctx context.Context, id string, edits []Edit) error {
	rows := queries.UpsertEditsParams{ChangeSet: id}
	for _, edit := range edits {
		body := edit.Body
		switch {
		case edit.Delete:
			body = nil
		case body == nil:
			body = []byte{} // an empty spec; NULL would be a deletion
		}
		rows.Kinds = append(rows.Kinds, int16(edit.Kind))
		rows.Names = append(rows.Names, edit.Name)
		rows.Bodies = append(rows.Bodies, body)
		rows.Labels = append(rows.Labels, string(encodeLabels(edit.Labels)))
		rows.Bases = append(rows.Bases, edit.Base)
	}
	if err := tx.queries.UpsertEdits(ctx, rows); err != nil {
		return fmt.Errorf("writing %d edits of change set %s: %w", len(edits), id, translate(err))
	}
	return nil
}

func editOf(row queries.GetEditRow) Edit {
	return Edit{Key: keyOf(row.Kind, row.Name), Delete: row.Body == nil, Body: row.Body, Labels: row.Labels, Base: row.Base}
}

func changeSetOf(row queries.ChangeSet) ChangeSet {
	set := ChangeSet{
		ID: row.ID, FleetID: row.FleetID, BaseRevision: row.BaseRevision, BaseLane: row.BaseLane, State: row.State,
		Message: row.Message, Author: row.Author, Version: row.Version, Editors: row.Editors, Expectations: row.Expectations, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt,
	}
	if row.Revision != nil {
		set.Revision = *row.Revision
	}
	return set
}
