package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/store"
)

// ErrUnauthenticated says that the connection shows no certificate of an agent that this control plane knows.
var ErrUnauthenticated = errors.New("no agent of this control plane")

// caller is the agent at the other end of a connection.
type caller struct {
	store.AgentIdentity
	// until is when its certificate ends.
	until time.Time
}

// authenticate reads who calls from the certificate of the connection alone, and looks up that the agent still exists.
func (s *Server) authenticate(ctx context.Context) (caller, error) {
	identity, until, err := certified(ctx)
	if err != nil {
		return caller{}, fmt.Errorf("%w: %w", ErrUnauthenticated, err)
	}
	var agent store.AgentIdentity
	err = s.store.View(ctx, func(tx *store.Tx) error {
		agent, err = tx.FindAgent(ctx, identity.Fleet, identity.AgentID)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		return caller{}, fmt.Errorf("%w: agent %s of fleet %q was deleted; it must enrol again", ErrUnauthenticated, identity.AgentID, identity.Fleet)
	}
	if err != nil {
		return caller{}, err
	}
	return caller{AgentIdentity: agent, until: until}, nil
}

// certified reads the identity from the verified client certificate of the connection.
func certified(ctx context.Context) (identity keyring.Identity, until time.Time, err error) {
	connection, ok := peer.FromContext(ctx)
	if !ok {
		return identity, until, errors.New("the connection is unknown")
	}
	info, ok := connection.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return identity, until, errors.New("the connection shows no client certificate")
	}
	leaf := info.State.VerifiedChains[0][0]
	if identity, err = keyring.ParseIdentity(leaf); err != nil {
		return identity, until, err
	}
	if _, err := uuid.Parse(identity.AgentID); err != nil {
		return identity, until, errors.New("the certificate's agent id is not a UUID")
	}
	return identity, leaf.NotAfter, nil
}
