package acme

import (
	"bytes"
	"context"
	"crypto/x509"
	"math/rand/v2"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"tidegate.dev/controlplane/store"
)

// pauses are how long to wait after each failure in a row, in first pauses; the last holds for all that follow. With a first
// pause of a minute there are five attempts in the first hour, which is as many failed validations of a name as Let's Encrypt
// takes in one (https://letsencrypt.org/docs/rate-limits/).
var pauses = []int{1, 5, 10, 30, 60, 120, 240, 360}

// pause is how long to wait after the failures, give or take a tenth, so that certificates that failed together do not come
// back together.
func pause(first time.Duration, failures int) time.Duration {
	length := first * time.Duration(pauses[min(max(failures, 1), len(pauses))-1])
	return length - length/10 + rand.N(length/5+1)
}

const (
	// leastLife is the least that a certificate is used before it is renewed, whatever the authority suggests, unless that is
	// more than a third of its life: so a wrong suggestion does not lead to ordering without end.
	leastLife = time.Hour
	// Bounds of how often an authority is asked when to renew (RFC 9773, section 4.3), and what holds if it does not say.
	leastLook, usualLook, mostLook = time.Minute, 6 * time.Hour, 24 * time.Hour
)

// renewal is when to renew a certificate: when its authority suggests (RFC 9773), within reason, or else when two thirds of its
// life are over.
func renewal(leaf *x509.Certificate, suggested *acme.RenewalInfo, now time.Time) time.Time {
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	at := leaf.NotAfter.Add(-life / 3).Add(-rand.N(life/50 + 1))
	if suggested != nil && suggested.HasWindow() {
		at = suggested.SelectedTime
	}
	earliest, latest := now.Add(min(leastLife, life/3)), leaf.NotAfter.Add(-life/10)
	if at.After(latest) {
		at = latest
	}
	if at.Before(earliest) {
		at = earliest
	}
	return at
}

// nextLook is when something is due next for a certificate that is to be renewed at a time.
func nextLook(renewAt time.Time, suggested *acme.RenewalInfo, now time.Time) time.Time {
	wait := usualLook
	if suggested != nil && suggested.RetryAfter != nil {
		wait = min(max(suggested.RetryAfter.Sub(now), leastLook), mostLook)
	}
	if next := now.Add(wait); next.Before(renewAt) {
		return next
	}
	return renewAt
}

// fresh says whether what was obtained is what is asked for, and not yet to be renewed.
func (a *attempt) fresh() bool {
	return a.present != nil && bytes.Equal(a.claim.Issued, a.claim.Wanted) && a.claim.RenewAt != nil && a.claim.Now.Before(*a.claim.RenewAt)
}

// lookAgain asks the authority whether a fresh certificate is to be renewed earlier or later than was said, which it says of
// those that it will revoke.
func (a *attempt) lookAgain(ctx context.Context) error {
	renewAt, now := *a.claim.RenewAt, time.Now()
	var suggested *acme.RenewalInfo
	client, done, err := a.client()
	if err != nil {
		return err
	}
	defer done()
	if info, err := client.GetRenewalInfo(ctx, a.present); err == nil {
		suggested = &info
		if window := info.SuggestedWindow; renewAt.Before(window.Start) || renewAt.After(window.End) {
			renewAt = info.SelectedTime
		}
	} else if ctx.Err() == nil {
		a.log.Debug("the authority does not say when to renew", "error", err)
	}
	a.metrics.attempts.WithLabelValues(outcomeFresh).Inc()
	return a.inTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.ScheduleACME(ctx, a.claim, renewAt, nextLook(renewAt, suggested, now))
	})
}
