package acme

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// author is who writes to the fast lane, as its history tells.
const author = "acme"

var (
	// errLost: the certificate was deleted, or another process works on it.
	errLost = errors.New("the claim on the certificate was lost")
	// errSlow: the attempt was given up.
	errSlow = errors.New("it took too long")
)

// attempt is the work on one claimed certificate.
type attempt struct {
	*Manager
	claim store.ACMEClaim
	log   *slog.Logger
	fleet string
	// spec is what is asked for, present what was obtained before; nil if nothing was.
	spec    *configv1.Certificate
	present *x509.Certificate
	// begun: the attempt was counted.
	begun bool
	// retryAfter is how long the authority asked to wait; 0: it did not.
	retryAfter time.Duration
}

// attend does what is due for a claimed certificate, and ends the claim.
func (m *Manager) attend(ctx context.Context, claim store.ACMEClaim) {
	a := &attempt{Manager: m, claim: claim, log: m.config.Log.With("fleet_id", claim.FleetID, "certificate", claim.Name)}
	running, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	running, expire := context.WithTimeoutCause(running, m.config.AttemptDeadline, errSlow)
	defer expire()
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		m.keep(running, claim, cancel)
	}()
	err := a.run(running)
	if cause := context.Cause(running); err != nil && cause != nil && ctx.Err() == nil {
		err = cause // it says more than "context canceled"
	}
	cancel(nil)
	<-kept
	a.end(ctx, err)
}

// run returns nil when the claim was ended, with success or without need.
func (a *attempt) run(ctx context.Context) error {
	if err := a.read(ctx); err != nil {
		return err
	}
	if a.fresh() {
		return a.lookAgain(ctx)
	}
	err := a.inTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		return tx.BeginACME(ctx, a.claim, pause(a.config.FirstPause, a.claim.Attempts+1))
	})
	if err != nil {
		return err
	}
	a.begun = true
	a.log.Info("obtaining a certificate", "names", a.spec.GetServerNames(), "directory", a.spec.GetAcme().DirectoryURL(),
		"renewal", a.present != nil, "attempt", a.claim.Attempts+1)
	obtained, err := a.obtain(ctx)
	if err != nil {
		return err
	}
	return a.publish(ctx, obtained)
}

// end gives the claim back after an error.
func (a *attempt) end(ctx context.Context, failure error) {
	var err error
	switch {
	case failure == nil:
		return
	case ctx.Err() != nil, errors.Is(failure, store.ErrStale), errors.Is(failure, errLost):
		// The process ends, or something else is wanted by now: whoever comes next begins at once.
		a.log.Info("obtaining a certificate was given up", "cause", failure.Error())
		err = a.atLast(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.ReleaseACME(ctx, a.claim, a.begun) })
	default:
		wait := max(pause(a.config.FirstPause, a.claim.Attempts+1), a.retryAfter)
		words := explain(failure, a.spec)
		a.metrics.attempts.WithLabelValues(outcomeFailed).Inc()
		a.log.Warn("obtaining a certificate failed", "error", words, "failures", a.claim.Attempts+1, "retry_in", wait.String(),
			"shown_until", notAfterOf(a.present))
		err = a.atLast(ctx, func(ctx context.Context, tx *store.Tx) error {
			err := tx.FailACME(ctx, a.claim, words, wait)
			if errors.Is(err, store.ErrStale) { // something else is wanted by now
				return tx.ReleaseACME(ctx, a.claim, a.begun)
			}
			return err
		})
	}
	if err != nil {
		a.log.Warn("ending the work on a certificate", "error", err) // the lease ends it
	}
}

// read loads what is asked for and what was obtained.
func (a *attempt) read(ctx context.Context) error {
	settings := revision.Key{Kind: configv1.Kind_KIND_CERTIFICATE, Name: a.claim.Name}
	material := revision.Key{Kind: configv1.Kind_KIND_ISSUED_CERTIFICATE, Name: a.claim.Name}
	var found map[revision.Key]store.LaneVersion
	err := a.inTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		fleet, err := tx.FleetByID(ctx, a.claim.FleetID)
		if err != nil {
			return err
		}
		a.fleet, a.log = fleet.Name, a.log.With("fleet", fleet.Name)
		found, err = tx.Lane(ctx, a.claim.FleetID, []revision.Key{settings, material})
		return err
	})
	if err != nil {
		return err
	}
	if a.spec, err = a.open(found[settings]); err != nil {
		return err
	}
	if a.spec.GetAcme() == nil {
		return fmt.Errorf("certificates/%s is not to be obtained", a.claim.Name)
	}
	obtained, err := a.open(found[material])
	if err != nil {
		return err
	}
	if block, _ := pem.Decode([]byte(obtained.GetCertificatePem())); block != nil {
		a.present, err = x509.ParseCertificate(block.Bytes)
	}
	return err
}

// open decodes a sealed certificate; nil if there is none.
func (a *attempt) open(version store.LaneVersion) (*configv1.Certificate, error) {
	if version.Sequence == 0 || version.Deleted {
		return nil, nil //nolint:nilnil // there is none
	}
	plain, err := a.config.Keyring.Unseal(version.Body, keyring.ResourceContext(a.claim.FleetID, version.Kind, version.Name))
	if err != nil {
		return nil, err
	}
	certificate := new(configv1.Certificate)
	return certificate, proto.Unmarshal(plain, certificate)
}

// publish puts what was obtained into the fast lane, and says when it is to be renewed.
func (a *attempt) publish(ctx context.Context, obtained *obtained) error {
	key := revision.Key{Kind: configv1.Kind_KIND_ISSUED_CERTIFICATE, Name: a.claim.Name}
	plain, err := proto.Marshal(&configv1.Certificate{CertificatePem: obtained.chainPEM, PrivateKeyPem: obtained.keyPEM})
	if err != nil {
		return fmt.Errorf("encoding %s: %w", key, err)
	}
	sealed, err := a.config.Keyring.Seal(plain, keyring.ResourceContext(a.claim.FleetID, key.Kind, key.Name))
	if err != nil {
		return err
	}
	now := time.Now()
	renewAt := renewal(obtained.leaf, obtained.renewal, now)
	success := store.ACMESuccess{
		Issuer: obtained.leaf.Issuer.CommonName, NotAfter: obtained.leaf.NotAfter,
		RenewAt: renewAt, DueAt: nextLook(renewAt, obtained.renewal, now),
	}
	err = a.insist(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.AppendLane(ctx, a.claim.FleetID, author, []store.LaneWrite{{Key: key, Body: sealed}}); err != nil {
			return err
		}
		if err := tx.Audit(ctx, store.AuditEvent{
			Actor: author, Action: "certificate.issue", Fleet: a.fleet, Resource: "certificates/" + a.claim.Name, Reason: "issued by " + success.Issuer,
		}); err != nil {
			return err
		}
		return tx.SucceedACME(ctx, a.claim, success)
	})
	if err != nil {
		return err
	}
	a.metrics.attempts.WithLabelValues(outcomeIssued).Inc()
	a.log.Info("obtained a certificate", "names", obtained.leaf.DNSNames, "issuer", success.Issuer,
		"serial", obtained.leaf.SerialNumber.Text(16), "not_after", success.NotAfter, "renew_at", renewAt)
	return nil
}

// insistPause is between two tries to write what must not be lost.
const insistPause = time.Second

// insist writes what an authority will not give twice for nothing: also when ctx has ended, and until then again and again while
// Postgres is away.
func (a *attempt) insist(ctx context.Context, effect func(context.Context, *store.Tx) error) error {
	again := time.NewTicker(insistPause)
	defer again.Stop()
	for {
		err := a.atLast(ctx, effect)
		if !errors.Is(err, store.ErrUnavailable) {
			return err
		}
		a.log.Warn("keeping the certificate", "error", err)
		select {
		case <-ctx.Done():
			return err
		case <-again.C:
		}
	}
}

func notAfterOf(certificate *x509.Certificate) string {
	if certificate == nil {
		return ""
	}
	return certificate.NotAfter.UTC().Format(time.RFC3339)
}
