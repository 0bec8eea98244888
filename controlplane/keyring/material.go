package keyring

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/tink"

	"tidegate.dev/controlplane/store"
)

// The names of the rows of key_material.
const (
	authorityName = "authority"
	signingName   = "signing"
	keyHashName   = "key-hash"
	ticketsName   = "session-tickets"
)

// materialKind says how a key is made: its public half, and what is sealed.
type materialKind struct {
	name string
	make func() (public, private []byte, err error)
}

// materialKinds are the keys that a control plane has, each once.
var materialKinds = []materialKind{
	{authorityName, newAuthorityMaterial},
	{signingName, newSigningMaterial},
	{keyHashName, newSecretMaterial},
	{ticketsName, newSecretMaterial},
}

// readMaterial reads the keys that the database holds.
func readMaterial(ctx context.Context, s *store.Store) (stored []store.KeyMaterial, err error) {
	err = s.View(ctx, func(tx *store.Tx) error {
		stored, err = tx.KeyMaterial(ctx)
		return err
	})
	return stored, err
}

// completeMaterial makes the keys that stored lacks, and returns what the database then holds: another replica's where that
// was first.
func completeMaterial(ctx context.Context, s *store.Store, master tink.AEAD, stored []store.KeyMaterial) (all []store.KeyMaterial, err error) {
	fresh, err := newMaterial(master, stored)
	if err != nil {
		return nil, err
	}
	err = s.InTx(ctx, func(tx *store.Tx) error {
		for _, key := range fresh {
			if err := tx.AddKeyMaterial(ctx, key); err != nil {
				return err
			}
		}
		all, err = tx.KeyMaterial(ctx)
		return err
	})
	return all, err
}

// newMaterial makes the keys that stored lacks, sealed.
func newMaterial(master tink.AEAD, stored []store.KeyMaterial) ([]store.KeyMaterial, error) {
	present := map[string]bool{}
	for _, row := range stored {
		present[row.Name] = true
	}
	var fresh []store.KeyMaterial
	for _, kind := range materialKinds {
		if present[kind.name] {
			continue
		}
		public, private, err := kind.make()
		if err != nil {
			return nil, fmt.Errorf("making the key %q: %w", kind.name, err)
		}
		sealed, err := master.Encrypt(private, materialContext(kind.name, public))
		if err != nil {
			return nil, fmt.Errorf("sealing the key %q: %w", kind.name, err)
		}
		fresh = append(fresh, store.KeyMaterial{Name: kind.name, Public: public, Sealed: sealed})
	}
	return fresh, nil
}

// materialContext binds a private key to its name and its public half, so that whoever may write to the database cannot
// exchange one for another.
func materialContext(name string, public []byte) []byte {
	return append([]byte("tidegate key\x00"+name+"\x00"), public...)
}

// unwrap opens the stored keys.
func unwrap(master tink.AEAD, stored []store.KeyMaterial) (*Keyring, error) {
	k := &Keyring{master: master}
	for _, row := range stored {
		private, err := master.Decrypt(row.Sealed, materialContext(row.Name, row.Public))
		if err != nil {
			return nil, fmt.Errorf("the master key does not open the key %q of this database: the file belongs to another control plane, or the row was changed", row.Name)
		}
		switch row.Name {
		case authorityName:
			k.authority, err = openAuthority(row.Public, private)
		case signingName:
			k.signer, err = openSigner(row.Public, private)
		case keyHashName:
			k.hashKey, err = private, checkLength(private, keyHashLength)
		case ticketsName:
			k.tickets, err = private, checkLength(private, keyHashLength)
		}
		if err != nil {
			return nil, fmt.Errorf("opening the key %q: %w", row.Name, err)
		}
	}
	if k.authority == nil || k.signer == nil || k.hashKey == nil || k.tickets == nil {
		return nil, errors.New("the database lacks keys of the control plane")
	}
	return k, nil
}

// keyHashLength is the length of the key of the keyed hash, in bytes: as long as the hash (RFC 2104, section 3). The secret of
// session tickets is as long.
const keyHashLength = 32

func newSecretMaterial() (public, private []byte, err error) {
	private = make([]byte, keyHashLength)
	_, err = rand.Read(private)
	return []byte{}, private, err
}

func checkLength(key []byte, want int) error {
	if len(key) != want {
		return fmt.Errorf("it has %d bytes instead of %d", len(key), want)
	}
	return nil
}
