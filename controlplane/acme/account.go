package acme

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/mholt/acmez/v3/acme"

	"tidegate.dev/controlplane/store"
)

// account returns the account for the certificate's directory and email, and makes it if the authority does not know it yet.
// Replicas that do so at once use one key, and to an authority the same key is the same account (RFC 8555, section 7.3.1).
func (a *attempt) account(ctx context.Context, client *acme.Client) (acme.Account, error) {
	directory, email := a.spec.GetAcme().DirectoryURL(), a.spec.GetAcme().GetEmail()
	stored, err := a.storedAccount(ctx, directory, email)
	if err != nil {
		return acme.Account{}, err
	}
	key, err := a.openAccountKey(stored)
	if err != nil {
		return acme.Account{}, err
	}
	account := acme.Account{Status: acme.StatusValid, Location: stored.Location, PrivateKey: key, TermsOfServiceAgreed: true}
	if email != "" {
		account.Contact = []string{"mailto:" + email}
	}
	if account.Location != "" {
		return account, nil
	}
	account.Status = ""
	if account, err = client.NewAccount(ctx, account); err != nil {
		return acme.Account{}, fmt.Errorf("making an account: %w", err)
	}
	stored.Location = account.Location
	return account, a.inTx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.SetACMEAccountLocation(ctx, stored) })
}

// forgetAccount has the account made again: the authority does not know it any more.
func (a *attempt) forgetAccount(ctx context.Context) error {
	unknown := store.ACMEAccount{Directory: a.spec.GetAcme().DirectoryURL(), Email: a.spec.GetAcme().GetEmail()}
	return a.inTx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.SetACMEAccountLocation(ctx, unknown) })
}

// storedAccount reads the account, or keeps a new key for it.
func (a *attempt) storedAccount(ctx context.Context, directory, email string) (account store.ACMEAccount, err error) {
	err = a.inTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		account, err = tx.ACMEAccount(ctx, directory, email)
		return err
	})
	if !errors.Is(err, store.ErrNotFound) {
		return account, err
	}
	_, plain, err := newKey()
	if err != nil {
		return account, err
	}
	sealed, err := a.config.Keyring.Seal(plain, accountContext(directory, email))
	if err != nil {
		return account, err
	}
	err = a.inTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if err := tx.AddACMEAccount(ctx, store.ACMEAccount{Directory: directory, Email: email, Sealed: sealed}); err != nil {
			return err
		}
		account, err = tx.ACMEAccount(ctx, directory, email)
		return err
	})
	return account, err
}

func (a *attempt) openAccountKey(stored store.ACMEAccount) (crypto.Signer, error) {
	plain, err := a.config.Keyring.Unseal(stored.Sealed, accountContext(stored.Directory, stored.Email))
	if err != nil {
		return nil, fmt.Errorf("opening the account's key: %w", err)
	}
	key, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, errors.New("the account's key is not PKCS #8")
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, errors.New("the account's key cannot sign")
	}
	return signer, nil
}

// accountContext is what an account's key is sealed for.
func accountContext(directory, email string) []byte {
	return []byte("tidegate acme account\x00" + directory + "\x00" + email)
}

// newKey makes a key that every authority takes: ECDSA P-256, and encodes it (PKCS #8, DER).
func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding a key: %w", err)
	}
	return key, encoded, nil
}
