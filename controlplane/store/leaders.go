package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidegate.dev/controlplane/store/queries"
)

// Lease says who leads at something. What a leader writes carries its lease, and Postgres checks it in the statement itself: a
// leader that was frozen and thaws after its lease went to another changes nothing.
type Lease struct {
	Name   string // what is led: "rollout"
	Holder string // unique to the process, not to the replica
	Token  int64  // rises with every change of holder
	// Asked is Postgres's clock when the lease was asked for, whether or not it was given. ClockOffset is by how much that clock
	// was set, as far as leaders noticed: what the last one left, and what RenewLease leaves to the next.
	Asked       time.Time
	ClockOffset time.Duration
}

// AcquireLease takes the lease if nobody holds it; held is false if somebody does. Postgres's clock decides.
func (tx *Tx) AcquireLease(ctx context.Context, name, holder string, length time.Duration) (lease Lease, held bool, err error) {
	clock, err := tx.queries.GetLeaderClock(ctx, name)
	if err != nil {
		return Lease{}, false, fmt.Errorf("asking to lead %s: %w", name, translate(err))
	}
	lease = Lease{
		Name: name, Holder: holder, Asked: clock.Now, ClockOffset: time.Duration(clock.ClockOffsetMs) * time.Millisecond,
	}
	lease.Token, err = tx.queries.AcquireLeadership(ctx, queries.AcquireLeadershipParams{
		Name: name, Holder: holder, LeaseSeconds: length.Seconds(),
	})
	err = translate(err)
	if errors.Is(err, ErrNotFound) {
		return lease, false, nil
	}
	if err != nil {
		return Lease{}, false, fmt.Errorf("asking to lead %s: %w", name, err)
	}
	return lease, true, nil
}

// RenewLease holds the lease for another length from now. ErrStale: it ran out; whether or not another has it, it is lost.
func (tx *Tx) RenewLease(ctx context.Context, lease Lease, length time.Duration) error {
	renewed, err := tx.queries.RenewLeadership(ctx, queries.RenewLeadershipParams{
		Name: lease.Name, Holder: lease.Holder, Token: lease.Token, LeaseSeconds: length.Seconds(),
		ClockOffsetMs: lease.ClockOffset.Milliseconds(),
	})
	if err == nil && renewed == 0 {
		err = ErrStale
	}
	if err != nil {
		return fmt.Errorf("renewing the lease of %s: %w", lease.Name, translate(err))
	}
	return nil
}

// ReleaseLease ends the lease, so that another need not wait for it to run out.
func (tx *Tx) ReleaseLease(ctx context.Context, lease Lease) error {
	err := tx.queries.ReleaseLeadership(ctx, queries.ReleaseLeadershipParams{
		Name: lease.Name, Holder: lease.Holder, Token: lease.Token,
	})
	if err != nil {
		return fmt.Errorf("releasing the lease of %s: %w", lease.Name, translate(err))
	}
	return nil
}
