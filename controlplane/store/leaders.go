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
	Since  time.Time
}

// AcquireLease takes the lease if nobody holds it; held is false if somebody does. Postgres's clock decides.
func (tx *Tx) AcquireLease(ctx context.Context, name, holder string, length time.Duration) (lease Lease, held bool, err error) {
	row, err := tx.queries.AcquireLeadership(ctx, queries.AcquireLeadershipParams{
		Name: name, Holder: holder, LeaseSeconds: length.Seconds(),
	})
	err = translate(err)
	if errors.Is(err, ErrNotFound) {
		return Lease{}, false, nil
	}
	if err != nil {
		return Lease{}, false, fmt.Errorf("asking to lead %s: %w", name, err)
	}
	return Lease{Name: name, Holder: holder, Token: row.Token, Since: row.Since}, true, nil
}

// RenewLease holds the lease for another length from now. ErrStale: it ran out; whether or not another has it, it is lost.
func (tx *Tx) RenewLease(ctx context.Context, lease Lease, length time.Duration) error {
	renewed, err := tx.queries.RenewLeadership(ctx, queries.RenewLeadershipParams{
		Name: lease.Name, Holder: lease.Holder, Token: lease.Token, LeaseSeconds: length.Seconds(),
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
