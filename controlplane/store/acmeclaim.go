package store

import (
	"context"
	"fmt"
	"time"

	"tidegate.dev/controlplane/store/queries"
)

// ACMEClaim is one certificate that one process works on for the moment. What it writes is refused with ErrStale once the
// certificate was deleted, or another has claimed it.
type ACMEClaim struct {
	FleetID int64
	Name    string
	// Wanted is the digest of what is asked for, Issued of what the present certificate was obtained for; nil if there is none.
	Wanted, Issued []byte
	// Attempts were begun since the last success.
	Attempts int
	RenewAt  *time.Time
	// Now is Postgres's clock at the claim.
	Now    time.Time
	holder string
}

// ClaimACME claims the certificate that has been due for longest, for the length of a lease. holder is unique to this claim.
// ErrNotFound: nothing is due.
func (tx *Tx) ClaimACME(ctx context.Context, holder string, lease time.Duration) (ACMEClaim, error) {
	row, err := tx.queries.ClaimACME(ctx, queries.ClaimACMEParams{Holder: holder, LeaseSeconds: lease.Seconds()})
	if err != nil {
		return ACMEClaim{}, fmt.Errorf("looking for a certificate to obtain: %w", translate(err))
	}
	return ACMEClaim{
		FleetID: row.FleetID, Name: row.Name, Wanted: row.Wanted, Issued: row.Issued, Attempts: int(row.Attempts),
		RenewAt: row.RenewAt, Now: row.Now, holder: holder,
	}, nil
}

// HoldACME keeps a claim for another lease from now.
func (tx *Tx) HoldACME(ctx context.Context, claim ACMEClaim, lease time.Duration) error {
	n, err := tx.queries.HoldACME(ctx, queries.HoldACMEParams{
		FleetID: claim.FleetID, Name: claim.Name, Holder: claim.holder, LeaseSeconds: lease.Seconds(),
	})
	return claim.outcome("keeping", n, err)
}

// BeginACME counts an attempt before anything is asked of the authority, and says when the next may follow should this one be
// cut off: so a process that dies in the middle does not order in a loop.
func (tx *Tx) BeginACME(ctx context.Context, claim ACMEClaim, retryIn time.Duration) error {
	n, err := tx.queries.BeginACME(ctx, queries.BeginACMEParams{
		FleetID: claim.FleetID, Name: claim.Name, Holder: claim.holder, RetrySeconds: retryIn.Seconds(),
	})
	return claim.outcome("beginning with", n, err)
}

// ReleaseACME gives a claim back without a result. With undo, what was begun does not count, and another may begin at once.
func (tx *Tx) ReleaseACME(ctx context.Context, claim ACMEClaim, undo bool) error {
	err := tx.queries.ReleaseACME(ctx, queries.ReleaseACMEParams{
		FleetID: claim.FleetID, Name: claim.Name, Holder: claim.holder, Undo: undo,
	})
	return claim.outcome("giving back", 1, err)
}

// ScheduleACME ends a claim that found the certificate fresh: it is to be renewed at renewAt, and looked at again at dueAt.
func (tx *Tx) ScheduleACME(ctx context.Context, claim ACMEClaim, renewAt, dueAt time.Time) error {
	n, err := tx.queries.ScheduleACME(ctx, queries.ScheduleACMEParams{
		FleetID: claim.FleetID, Name: claim.Name, Holder: claim.holder, Wanted: claim.Wanted, RenewAt: renewAt, DueAt: dueAt,
	})
	return claim.outcome("scheduling", n, err)
}

// ACMESuccess is what an attempt brought.
type ACMESuccess struct {
	Issuer                   string
	NotAfter, RenewAt, DueAt time.Time
}

// SucceedACME ends a claim with success. Write the material to the lane in the same transaction, before.
func (tx *Tx) SucceedACME(ctx context.Context, claim ACMEClaim, success ACMESuccess) error {
	n, err := tx.queries.SucceedACME(ctx, queries.SucceedACMEParams{
		FleetID: claim.FleetID, Name: claim.Name, Holder: claim.holder, Wanted: claim.Wanted,
		Issuer: success.Issuer, NotAfter: success.NotAfter, RenewAt: success.RenewAt, DueAt: success.DueAt,
	})
	return claim.outcome("finishing", n, err)
}

// FailACME ends a claim with a failure, told in words, and says when to try again.
func (tx *Tx) FailACME(ctx context.Context, claim ACMEClaim, reason string, retryIn time.Duration) error {
	n, err := tx.queries.FailACME(ctx, queries.FailACMEParams{
		FleetID: claim.FleetID, Name: claim.Name, Holder: claim.holder, Wanted: claim.Wanted,
		Error: reason, RetrySeconds: retryIn.Seconds(),
	})
	return claim.outcome("noting the failure of", n, err)
}

// outcome is ErrStale if the claim was lost, or what is asked for changed meanwhile.
func (c ACMEClaim) outcome(doing string, rows int64, err error) error {
	if err == nil && rows == 0 {
		err = ErrStale
	}
	if err != nil {
		return fmt.Errorf("%s certificates/%s: %w", doing, c.Name, translate(err))
	}
	return nil
}
