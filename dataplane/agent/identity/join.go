package identity

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tidegate.dev/dataplane/agent/backoff"
)

// Joining is how an agent without an identity gets one.
type Joining struct {
	// ControlPlane is the address of its agent streams, host:port, or several that are separated by commas.
	ControlPlane string
	// TokenFile has the join token. It is read when it is needed.
	TokenFile string
	Name      string
	Labels    map[string]string
}

// Join enrols an agent that has no identity, and asks again until the control plane answers. An agent whose certificate has
// ended enrols again if its token lets it; if not it stays as it is, since it can still serve what it has. Join returns nil
// when ctx is done.
func (s *Store) Join(ctx context.Context, joining Joining, log *slog.Logger) error {
	had := s.Current()
	if had != nil && time.Now().Before(had.ExpiresAt()) {
		return nil
	}
	for attempt := 0; ; attempt++ {
		err := s.tryJoin(ctx, joining)
		if err == nil {
			log.InfoContext(ctx, "joined", "fleet", s.Current().Fleet, "agent_id", s.Current().AgentID)
		}
		if err == nil || ctx.Err() != nil {
			return nil //nolint:nilerr // ending is no failure
		}
		if had != nil {
			log.ErrorContext(ctx, "the certificate has ended; a new join token is needed", "expired", had.ExpiresAt(), "error", err)
			return nil
		}
		if temporary := new(TemporaryError); !errors.As(err, &temporary) {
			return err
		}
		log.WarnContext(ctx, "not joined yet", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff.Pause(attempt, err)):
		}
	}
}

func (s *Store) tryJoin(ctx context.Context, joining Joining) error {
	if joining.TokenFile == "" {
		return errors.New("this agent belongs to no fleet yet: give it a join token with --join-token-file")
	}
	token, err := ReadJoinToken(joining.TokenFile)
	if err != nil {
		return err
	}
	return s.Enroll(ctx, Enrolment{ControlPlane: joining.ControlPlane, Token: token, Name: joining.Name, Labels: joining.Labels})
}
