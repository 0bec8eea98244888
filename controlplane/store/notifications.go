package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidegate.dev/controlplane/store/queries"
)

// NotifiedEvent is an event of a rollout with what matters of the rollout.
type NotifiedEvent struct {
	ID             int64
	At             time.Time
	Step           int32
	Type           string
	Message        string
	Actor          string
	RolloutID      int64
	Revision       int64
	StableRevision int64
	State          string
	Strategy       string
}

// NotificationCursor is how far a notification has come.
type NotificationCursor struct {
	// LastEvent was taken or given up; Attempts were made for the next.
	LastEvent int64
	Attempts  int32
}

// BeginNotification lets a notification of a fleet begin with what happens from now on, unless it has begun already.
func (tx *Tx) BeginNotification(ctx context.Context, fleetID int64, name string) error {
	if err := tx.queries.BeginNotification(ctx, queries.BeginNotificationParams{FleetID: fleetID, Name: name}); err != nil {
		return fmt.Errorf("beginning notification %q: %w", name, translate(err))
	}
	return nil
}

// ClaimNotification takes it on, for as long as held, to send what a notification of a fleet has not sent yet. One that is new
// begins with what happens from now on. It is false if it is not due, or another replica is at it.
func (tx *Tx) ClaimNotification(ctx context.Context, fleetID int64, name string, held time.Duration) (NotificationCursor, bool, error) {
	if err := tx.BeginNotification(ctx, fleetID, name); err != nil {
		return NotificationCursor{}, false, err
	}
	row, err := tx.queries.ClaimNotification(ctx, queries.ClaimNotificationParams{FleetID: fleetID, Name: name, HeldSeconds: held.Seconds()})
	err = translate(err)
	if errors.Is(err, ErrNotFound) {
		return NotificationCursor{}, false, nil
	}
	if err != nil {
		return NotificationCursor{}, false, fmt.Errorf("taking on notification %q: %w", name, err)
	}
	return NotificationCursor(row), true, nil
}

// EventsToNotify returns up to most events of a fleet's rollouts behind one, the oldest first.
func (tx *Tx) EventsToNotify(ctx context.Context, fleetID, after int64, most int) ([]NotifiedEvent, error) {
	rows, err := tx.queries.ListEventsToNotify(ctx, queries.ListEventsToNotifyParams{FleetID: fleetID, After: after, Most: int32(most)})
	if err != nil {
		return nil, fmt.Errorf("reading events of rollouts: %w", translate(err))
	}
	events := make([]NotifiedEvent, len(rows))
	for i, row := range rows {
		events[i] = NotifiedEvent(row)
	}
	return events, nil
}

// SettleNotification says how far a notification came, why it came no further, and when it is due again.
func (tx *Tx) SettleNotification(ctx context.Context, fleetID int64, name string, at NotificationCursor, why string, pause time.Duration) error {
	err := tx.queries.SettleNotification(ctx, queries.SettleNotificationParams{
		FleetID: fleetID, Name: name, LastEvent: at.LastEvent, Attempts: at.Attempts, Error: why, PauseSeconds: pause.Seconds(),
	})
	if err != nil {
		return fmt.Errorf("settling notification %q: %w", name, translate(err))
	}
	return nil
}
