package identity

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"tidegate.dev/controlplane/store"
)

const (
	// DefaultTokenLifetime is how long a token lives when nobody says.
	DefaultTokenLifetime = 90 * 24 * time.Hour
	maxTokenLifetime     = 365 * 24 * time.Hour
	// SessionLifetime is how long somebody stays signed in.
	SessionLifetime = 12 * time.Hour
)

// Principal is who asks.
type Principal struct {
	// Name is the token's name: what the audit shows.
	Name string
	Role Role
	// ExpiresAt is when the token or the session ends.
	ExpiresAt time.Time
}

// Service keeps identities in the store. It is safe for concurrent use.
type Service struct {
	store  *store.Store
	guard  *guard
	recent *recent
}

// New returns a service over the store.
func New(s *store.Store) *Service {
	return &Service{store: s, guard: newGuard(time.Now), recent: newRecent(maxSources)}
}

// Authenticate says who holds the token. ErrUnknown if nobody does; *LockedOutError if the source has failed too often.
func (s *Service) Authenticate(ctx context.Context, token string, source netip.Addr) (Principal, error) {
	found, err := s.findToken(ctx, token, source)
	if err != nil {
		return Principal{}, err
	}
	return principal(found.Name, found.Role, found.ExpiresAt)
}

func (s *Service) findToken(ctx context.Context, token string, source netip.Addr) (found store.Token, err error) {
	if err := s.admit(token, looksLikeToken(token), source); err != nil {
		return found, err
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		found, err = tx.TokenByHash(ctx, hash(token))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		s.guard.failed(source)
		return found, ErrUnknown
	}
	if err != nil {
		return found, err
	}
	s.recent.add(hash(token))
	if found.Unmarked {
		err = s.store.InTx(ctx, func(tx *store.Tx) error { return tx.MarkTokenUsed(ctx, found.ID) })
	}
	return found, err
}

// ResumeSession says who is signed in. ErrUnknown if nobody is; *LockedOutError if the source has failed too often.
func (s *Service) ResumeSession(ctx context.Context, session string, source netip.Addr) (Principal, error) {
	if err := s.admit(session, looksLikeSecret(session), source); err != nil {
		return Principal{}, err
	}
	var found store.Session
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		found, err = tx.SessionByHash(ctx, hash(session))
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		// Not counted: a browser comes back with an old session quite honestly, and 256 bits are not guessed this way.
		return Principal{}, ErrUnknown
	}
	if err != nil {
		return Principal{}, err
	}
	s.recent.add(hash(session))
	return principal(found.Name, found.Role, found.ExpiresAt)
}

// admit says whether a secret is worth looking up.
func (s *Service) admit(secret string, wellFormed bool, source netip.Addr) error {
	if wait := s.guard.retryAfter(source); wait > 0 && !s.recent.has(hash(secret)) {
		return &LockedOutError{RetryAfter: wait}
	}
	if !wellFormed {
		s.guard.failed(source)
		return ErrUnknown
	}
	return nil
}

// SignIn trades a token for a session, which ends after SessionLifetime or with the token. Only the caller ever sees it.
func (s *Service) SignIn(ctx context.Context, token string, source netip.Addr) (session string, who Principal, err error) {
	found, err := s.findToken(ctx, token, source)
	if err != nil {
		return "", Principal{}, err
	}
	session = newSecret()
	expires := found.ExpiresAt
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		ends, err := tx.CreateSession(ctx, hash(session), found.ID, SessionLifetime)
		if ends.Before(expires) {
			expires = ends
		}
		return err
	})
	if err != nil {
		return "", Principal{}, err
	}
	who, err = principal(found.Name, found.Role, expires)
	return session, who, err
}

// SignOut ends a session. One that has ended already is no error.
func (s *Service) SignOut(ctx context.Context, session string) error {
	return s.store.InTx(ctx, func(tx *store.Tx) error { return tx.EndSession(ctx, hash(session)) })
}

func principal(name, roleName string, expires time.Time) (Principal, error) {
	role, err := ParseRole(roleName)
	if err != nil {
		return Principal{}, fmt.Errorf("reading the role of token %q: %w", name, err)
	}
	return Principal{Name: name, Role: role, ExpiresAt: expires}, nil
}
