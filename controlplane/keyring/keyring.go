package keyring

import (
	"context"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/tink-crypto/tink-go/v2/tink"

	"tidegate.dev/controlplane/store"
)

// Keyring holds the opened keys. It does not change after Open, and is safe for concurrent use.
type Keyring struct {
	master    tink.AEAD
	authority *Authority
	signer    *signer
	hashKey   []byte
	tickets   []byte
}

// Open reads the master key from masterKeyFile and opens with it the keys of the database. With create, what is missing is
// made: first the file, with mode 0600, unless the database already holds keys that another master key wraps; then the keys.
// Replicas that start at the same moment end up with the same keys: the database's unique constraint chooses.
func Open(ctx context.Context, s *store.Store, masterKeyFile string, create bool) (*Keyring, error) {
	stored, err := readMaterial(ctx, s)
	if err != nil {
		return nil, err
	}
	master, err := openMaster(masterKeyFile, create && len(stored) == 0)
	if err != nil {
		return nil, err
	}
	if len(stored) < len(materialKinds) {
		if !create {
			return nil, errors.New("the database lacks keys of the control plane, and making them was not asked for")
		}
		if stored, err = completeMaterial(ctx, s, master, stored); err != nil {
			return nil, err
		}
	}
	return unwrap(master, stored)
}

// Seal encrypts plain so that only this keyring's master key opens it. context says what the plain text is and where it
// belongs (see ResourceContext); the same context must be given to Unseal, so that no sealed value can be moved to
// another place.
func (k *Keyring) Seal(plain, context []byte) ([]byte, error) {
	sealed, err := k.master.Encrypt(plain, context)
	if err != nil {
		return nil, fmt.Errorf("sealing: %w", err)
	}
	return sealed, nil
}

// Unseal decrypts what Seal made of the same context.
func (k *Keyring) Unseal(sealed, context []byte) ([]byte, error) {
	plain, err := k.master.Decrypt(sealed, context)
	if err != nil {
		return nil, fmt.Errorf("unsealing: %w", err)
	}
	return plain, nil
}

// KeyHash returns the keyed hash of an API key: HMAC-SHA-256 (RFC 2104), 32 bytes. It is what the database and the agents
// hold of the key.
func (k *Keyring) KeyHash(key string) []byte {
	mac := hmac.New(sha256.New, k.hashKey)
	mac.Write([]byte(key))
	return mac.Sum(nil)
}

// KeyHashKey returns a copy of the key of KeyHash, for agents.
func (k *Keyring) KeyHashKey() []byte { return slices.Clone(k.hashKey) }

// SessionTicketSecret returns what the agents of a fleet derive the keys of TLS session tickets from: 32 bytes, different for each
// fleet and always the same (RFC 5869).
func (k *Keyring) SessionTicketSecret(fleetID int64) ([]byte, error) {
	secret, err := hkdf.Key(sha256.New, k.tickets, nil, "tidegate session tickets\x00fleet "+strconv.FormatInt(fleetID, 10), sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("deriving the secret of session tickets: %w", err)
	}
	return secret, nil
}

// StickySecret returns what the agents of a fleet hash units with, for which the coin of a rollout is thrown: 32 bytes, different
// for each rollout and always the same.
func (k *Keyring) StickySecret(fleetID, rolloutID int64) ([]byte, error) {
	about := fmt.Sprintf("tidegate sticky coin\x00fleet %d\x00rollout %d", fleetID, rolloutID)
	secret, err := hkdf.Key(sha256.New, k.tickets, nil, about, sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("deriving the secret of a sticky coin: %w", err)
	}
	return secret, nil
}

// Authority returns the authority that certifies agents and this control plane.
func (k *Keyring) Authority() *Authority { return k.authority }

// SigningKey returns the public half of the key that signs, and its id.
func (k *Keyring) SigningKey() (id string, public ed25519.PublicKey) {
	return k.signer.id, slices.Clone(k.signer.public)
}
