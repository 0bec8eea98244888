package store

import (
	"context"
	"fmt"
	"time"

	"tidegate.dev/controlplane/store/queries"
)

// Session is somebody signed in to the console, by a token.
type Session struct {
	TokenID   string
	Name      string // the token's
	Role      string
	ExpiresAt time.Time // the session's or the token's, whichever is first
}

// CreateSession keeps a session by its hash and says when it ends. Sessions that have ended are swept on the way.
func (tx *Tx) CreateSession(ctx context.Context, hash []byte, tokenID string, lifetime time.Duration) (time.Time, error) {
	if _, err := tx.queries.DeleteExpiredSessions(ctx); err != nil {
		return time.Time{}, fmt.Errorf("sweeping the sessions: %w", translate(err))
	}
	expires, err := tx.queries.InsertSession(ctx, queries.InsertSessionParams{
		Hash: hash, TokenID: tokenID, LifetimeSeconds: lifetime.Seconds(),
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("storing a session: %w", translate(err))
	}
	return expires, nil
}

// SessionByHash finds the session that has this hash, if neither it nor its token has ended. Else ErrNotFound.
func (tx *Tx) SessionByHash(ctx context.Context, hash []byte) (Session, error) {
	row, err := tx.queries.GetSession(ctx, hash)
	if err != nil {
		return Session{}, fmt.Errorf("looking up a session: %w", translate(err))
	}
	return Session{TokenID: row.TokenID, Name: row.Name, Role: row.Role, ExpiresAt: row.ExpiresAt}, nil
}

// EndSession forgets a session. One that is not there is no error.
func (tx *Tx) EndSession(ctx context.Context, hash []byte) error {
	if _, err := tx.queries.DeleteSession(ctx, hash); err != nil {
		return fmt.Errorf("ending a session: %w", translate(err))
	}
	return nil
}
