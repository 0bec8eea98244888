package fleet

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"tidegate.dev/controlplane/store"
)

const (
	joinTokenPrefix = "tgj_"
	// joinTokenDigits of base 62 carry 256 bits.
	joinTokenDigits = 43
	base62          = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

	defaultJoinTokenLifetime = time.Hour
	maxJoinTokenLifetime     = 24 * time.Hour
)

// ErrLifetime says that a join token was asked for that would live too long, or not at all.
var ErrLifetime = fmt.Errorf("a join token lives for at most %v", maxJoinTokenLifetime)

// errJoinToken: a join token that does not let anybody in. It does not say why, since whoever asks is not known.
var errJoinToken = errors.New("the join token is unknown, was used or has expired")

// JoinToken lets one agent join a fleet, once.
type JoinToken struct {
	// Token is "tgj_", 43 digits of base 62, "." and the pin of the authority (keyring.Authority.Pin). Only a hash of it
	// is stored.
	Token     string
	ExpiresAt time.Time
}

// CreateJoinToken makes a join token of the fleet that lives for lifetime by Postgres's clock; 0 means an hour. author is who
// asked. ErrLifetime: lifetime is out of range; store.ErrNotFound: there is no such fleet.
func (d *Directory) CreateJoinToken(ctx context.Context, fleetName, author string, lifetime time.Duration) (JoinToken, error) {
	if lifetime == 0 {
		lifetime = defaultJoinTokenLifetime
	}
	if lifetime < 0 || lifetime > maxJoinTokenLifetime {
		return JoinToken{}, ErrLifetime
	}
	token, err := randomToken()
	if err != nil {
		return JoinToken{}, err
	}
	made := JoinToken{Token: token + "." + d.keyring.Authority().Pin()}
	err = d.store.InTx(ctx, func(tx *store.Tx) error {
		found, err := tx.FleetByName(ctx, fleetName)
		if err != nil {
			return err
		}
		if _, err := tx.DeleteOldJoinTokens(ctx); err != nil {
			return err
		}
		made.ExpiresAt, err = tx.AddJoinToken(ctx, found.ID, joinTokenHash(token), author, lifetime)
		return err
	})
	if err != nil {
		return JoinToken{}, err
	}
	return made, nil
}

// randomToken is the secret part of a join token.
func randomToken() (string, error) {
	token := []byte(joinTokenPrefix)
	for range joinTokenDigits {
		digit, err := rand.Int(rand.Reader, big.NewInt(int64(len(base62))))
		if err != nil {
			return "", fmt.Errorf("choosing a join token: %w", err)
		}
		token = append(token, base62[digit.Int64()])
	}
	return string(token), nil
}

// parseJoinToken returns the hash of the secret part of what an agent presents. The pin is the agent's business.
func parseJoinToken(presented string) (hash []byte, err error) {
	secret, _, _ := strings.Cut(presented, ".")
	digits, ok := strings.CutPrefix(secret, joinTokenPrefix)
	if !ok || len(digits) != joinTokenDigits {
		return nil, errJoinToken
	}
	return joinTokenHash(secret), nil
}

// joinTokenHash needs no key and no salt, since the token has 256 random bits.
func joinTokenHash(secret string) []byte {
	digest := sha256.Sum256([]byte(secret))
	return digest[:]
}
