package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// Renew trades the certificate for a new one, for a new key, and keeps it. The connection must be made with TLS.
func (s *Store) Renew(ctx context.Context, conn grpc.ClientConnInterface) error {
	identity := s.Current()
	if identity == nil {
		return errors.New("renewing the certificate: the agent has not enrolled")
	}
	key, request, err := newKey()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, attemptTimeout, errors.New("the control plane did not answer in time"))
	defer cancel()
	answer, err := agentv1.NewEnrolmentServiceClient(conn).Renew(ctx, &agentv1.RenewRequest{CertificateSigningRequest: request})
	if err != nil {
		return fmt.Errorf("renewing the certificate: %w", err)
	}
	if err := s.replace(identity.AgentID, identity.Fleet, key, answer.GetCredentials()); err != nil {
		return fmt.Errorf("renewing the certificate: %w", err)
	}
	return nil
}

// KeepFresh renews the certificate at two thirds of its life, and after a failure asks again every pause until it works. It
// returns when ctx is done.
func (s *Store) KeepFresh(ctx context.Context, conn grpc.ClientConnInterface, log *slog.Logger) error {
	const pause = 30 * time.Second
	ticks := time.NewTicker(pause)
	defer ticks.Stop()
	for {
		if identity := s.Current(); identity != nil && time.Now().After(identity.RenewAt()) {
			if err := s.Renew(ctx, conn); err != nil {
				log.WarnContext(ctx, "certificate not renewed", "expires", identity.ExpiresAt(), "error", err)
			} else {
				log.InfoContext(ctx, "certificate renewed", "expires", s.Current().ExpiresAt())
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}
