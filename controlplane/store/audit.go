package store

import (
	"context"
	"fmt"
	"time"

	"tidegate.dev/controlplane/store/queries"
)

// AuditEvent is one thing that somebody did. Rows are never changed: a trigger refuses it.
type AuditEvent struct {
	ID        int64     // given by Audit
	At        time.Time // given by Audit
	Actor     string
	Action    string // "config.publish", "key.revoke", …
	Fleet     string
	Resource  string // "routes/orders"
	Reason    string
	RequestID string
	Source    string // the caller's address
}

// AuditFilter selects audit events; an empty field selects all.
type AuditFilter struct {
	Fleet, Actor, Action, Resource string
	Before                         int64 // only events with a lower id
}

// Audit notes what was done, in the transaction that does it.
func (tx *Tx) Audit(ctx context.Context, event AuditEvent) error {
	err := tx.queries.InsertAuditEvent(ctx, queries.InsertAuditEventParams{
		Actor: event.Actor, Action: event.Action, Fleet: event.Fleet, Resource: event.Resource,
		Reason: event.Reason, RequestID: event.RequestID, Source: event.Source,
	})
	if err != nil {
		return fmt.Errorf("writing the audit of %s: %w", event.Action, translate(err))
	}
	return nil
}

// AuditEvents lists at most limit events, the newest first.
func (tx *Tx) AuditEvents(ctx context.Context, filter AuditFilter, limit int32) ([]AuditEvent, error) {
	rows, err := tx.queries.ListAuditEvents(ctx, queries.ListAuditEventsParams{
		Before: filter.Before, Fleet: filter.Fleet, Actor: filter.Actor, Action: filter.Action,
		Resource: filter.Resource, PageSize: limit,
	})
	if err != nil {
		return nil, fmt.Errorf("listing the audit: %w", translate(err))
	}
	events := make([]AuditEvent, 0, len(rows))
	for _, row := range rows {
		events = append(events, AuditEvent{
			ID: row.ID, At: row.At, Actor: row.Actor, Action: row.Action, Fleet: row.Fleet,
			Resource: row.Resource, Reason: row.Reason, RequestID: row.RequestID, Source: row.Source,
		})
	}
	return events, nil
}
