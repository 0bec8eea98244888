package lane

import (
	"crypto/tls"
	"slices"
	"sync/atomic"
	"time"
)

// Hash is a key's keyed hash: HMAC-SHA-256 under the key-hash key.
type Hash [32]byte

// Consumer is who calls. It is not changed after it was made; a change makes another.
type Consumer struct {
	Name     string
	Plan     string
	Disabled bool
	// Blocked is said by the blocks of the lane that name the consumer.
	Blocked bool
	// Revocation ends when the consumer is disabled, blocked or removed.
	Revocation *Revocation
}

// Key is what a consumer calls with. It is not changed after it was made, except for LastUsed.
type Key struct {
	// ID is the key's public name, never the key.
	ID       string
	Consumer string
	// ExpiresAt is in seconds since 1970; 0 means never.
	ExpiresAt int64
	Scopes    []string
	// LastUsed is for whoever reports uses: minutes since 1970.
	LastUsed *atomic.Int64
	// Revocation ends when the key is removed, or its hash or consumer changes. Reaching ExpiresAt does not end it.
	Revocation *Revocation

	hash Hash
}

// Expired tells whether the key has stopped working by now.
func (k *Key) Expired(now time.Time) bool {
	return k.ExpiresAt != 0 && now.Unix() >= k.ExpiresAt
}

// HasScopes tells whether the key has every one of the wanted scopes.
func (k *Key) HasScopes(wanted []string) bool {
	for _, scope := range wanted {
		if !slices.Contains(k.Scopes, scope) {
			return false
		}
	}
	return true
}

// certificate is a certificate with the names that it is shown for.
type certificate struct {
	name  string
	names []string
	tls   *tls.Certificate
	// bare is tls without its OCSP response, for when that has expired; nil if it never does.
	bare     *tls.Certificate
	staleAt  time.Time
	presents Presentation
}
