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

const (
	// leastWait and mostWait bound the time between two looks at the certificate's age: a failure is not repeated at once,
	// and a clock that was set is noticed.
	leastWait = time.Second
	mostWait  = 30 * time.Second
)

// KeepFresh renews the certificate at two thirds of its life, and asks again until it works. After a renewal the connection
// is made anew, for a certificate is shown only once. It returns when ctx is done.
func (s *Store) KeepFresh(ctx context.Context, connection *Connection, log *slog.Logger) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(min(max(time.Until(s.Current().RenewAt()), leastWait), mostWait)):
		}
		if time.Now().Before(s.Current().RenewAt()) {
			continue
		}
		if err := s.Renew(ctx, connection); err != nil {
			log.WarnContext(ctx, "certificate not renewed", "expires", s.Current().ExpiresAt(), "error", err)
			continue
		}
		log.InfoContext(ctx, "certificate renewed", "expires", s.Current().ExpiresAt())
		if err := connection.Redial(); err != nil {
			log.WarnContext(ctx, "connection not made anew", "error", err)
		}
	}
}
