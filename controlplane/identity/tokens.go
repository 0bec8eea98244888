package identity

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tidegate.dev/controlplane/store"
)

// CreateToken makes a token and returns it, once. ErrNameTaken, ErrLifetime.
func (s *Service) CreateToken(ctx context.Context, name string, role Role, lifetime time.Duration) (secret string, made store.Token, err error) {
	if lifetime < time.Second || lifetime > maxTokenLifetime {
		return "", store.Token{}, ErrLifetime
	}
	secret = tokenPrefix + newSecret()
	err = s.store.InTx(ctx, func(tx *store.Tx) (err error) {
		made, err = tx.CreateToken(ctx, name, role.String(), hash(secret), lifetime)
		return err
	})
	if errors.Is(err, store.ErrExists) {
		return "", store.Token{}, fmt.Errorf("%w: %q", ErrNameTaken, name)
	}
	if err != nil {
		return "", store.Token{}, err
	}
	return secret, made, nil
}

// Tokens lists the tokens that were not revoked, by name.
func (s *Service) Tokens(ctx context.Context) (tokens []store.Token, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) (err error) {
		tokens, err = tx.Tokens(ctx)
		return err
	})
	return tokens, err
}

// RevokeToken ends a token and every session that it began, and returns its name. store.ErrNotFound if there is none.
func (s *Service) RevokeToken(ctx context.Context, id string) (name string, err error) {
	err = s.store.InTx(ctx, func(tx *store.Tx) (err error) {
		name, err = tx.RevokeToken(ctx, id)
		return err
	})
	return name, err
}

// AuditEvents lists what was done, the newest first.
func (s *Service) AuditEvents(ctx context.Context, filter store.AuditFilter, limit int32) (events []store.AuditEvent, err error) {
	err = s.store.View(ctx, func(tx *store.Tx) (err error) {
		events, err = tx.AuditEvents(ctx, filter, limit)
		return err
	})
	return events, err
}
