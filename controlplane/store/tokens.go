package store

import (
	"context"
	"fmt"
	"time"

	"tidegate.dev/controlplane/store/queries"
)

// Token is an admin token. The token itself is never stored, only its hash.
type Token struct {
	ID         string
	Name       string
	Role       string // "admin", "publisher" or "viewer"
	CreatedAt  time.Time
	ExpiresAt  time.Time
	LastUsedAt *time.Time // to the minute
	// Unmarked says that LastUsedAt lies before the present minute. Only TokenByHash sets it.
	Unmarked bool
}

// HasTokens says whether any token was ever made, and locks out whoever would make one until the transaction ends.
func (tx *Tx) HasTokens(ctx context.Context) (bool, error) {
	if err := tx.queries.LockTokens(ctx); err != nil {
		return false, fmt.Errorf("locking the tokens: %w", translate(err))
	}
	count, err := tx.queries.CountTokens(ctx)
	if err != nil {
		return false, fmt.Errorf("counting the tokens: %w", translate(err))
	}
	return count > 0, nil
}

// CreateToken keeps a new token by its hash. ErrExists if the name is taken.
func (tx *Tx) CreateToken(ctx context.Context, name, role string, hash []byte, lifetime time.Duration) (Token, error) {
	row, err := tx.queries.InsertToken(ctx, queries.InsertTokenParams{
		Name: name, Hash: hash, Role: role, LifetimeSeconds: lifetime.Seconds(),
	})
	if err != nil {
		return Token{}, fmt.Errorf("storing token %q: %w", name, translate(err))
	}
	return Token{ID: row.ID, Name: row.Name, Role: row.Role, CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt}, nil
}

// Tokens lists what was not revoked, by name; expired ones too.
func (tx *Tx) Tokens(ctx context.Context) ([]Token, error) {
	rows, err := tx.queries.ListTokens(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the tokens: %w", translate(err))
	}
	tokens := make([]Token, 0, len(rows))
	for _, row := range rows {
		tokens = append(tokens, Token{
			ID: row.ID, Name: row.Name, Role: row.Role,
			CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt, LastUsedAt: row.LastUsedAt,
		})
	}
	return tokens, nil
}

// TokenByHash finds the token that has this hash, if it is neither revoked nor expired. Else ErrNotFound.
func (tx *Tx) TokenByHash(ctx context.Context, hash []byte) (Token, error) {
	row, err := tx.queries.GetTokenByHash(ctx, hash)
	if err != nil {
		return Token{}, fmt.Errorf("looking up a token: %w", translate(err))
	}
	return Token{
		ID: row.ID, Name: row.Name, Role: row.Role, CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt,
		LastUsedAt: row.LastUsedAt, Unmarked: row.Unmarked,
	}, nil
}

// MarkTokenUsed notes that the token was used in this minute.
func (tx *Tx) MarkTokenUsed(ctx context.Context, id string) error {
	if err := tx.queries.UseToken(ctx, id); err != nil {
		return fmt.Errorf("noting the use of a token: %w", translate(err))
	}
	return nil
}

// RevokeToken ends a token and its sessions, and frees its name, which it returns. ErrNotFound if there is no such token.
func (tx *Tx) RevokeToken(ctx context.Context, id string) (name string, err error) {
	row, err := tx.queries.RevokeToken(ctx, id)
	if err != nil {
		return "", fmt.Errorf("revoking token %q: %w", id, translate(err))
	}
	if err := tx.queries.DeleteSessionsOfToken(ctx, row.ID); err != nil {
		return "", fmt.Errorf("ending the sessions of token %q: %w", row.Name, translate(err))
	}
	return row.Name, nil
}
