package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// obtained is a certificate, its key, and when its authority suggests to renew it; nil: it does not say.
type obtained struct {
	chainPEM, keyPEM string
	leaf             *x509.Certificate
	renewal          *acme.RenewalInfo
}

// names are those to obtain the certificate for, in lower case.
func (a *attempt) names() []string {
	names := make([]string, len(a.spec.GetServerNames()))
	for i, name := range a.spec.GetServerNames() {
		names[i] = strings.ToLower(name)
	}
	return names
}

// obtain goes the whole way of RFC 8555, section 7.4: an order, a proof for each name, the certificate.
func (a *attempt) obtain(ctx context.Context) (*obtained, error) {
	client, done, err := a.client()
	if err != nil {
		return nil, err
	}
	defer done()
	account, err := a.account(ctx, client)
	if err != nil {
		return nil, err
	}
	order, err := a.order(ctx, client, account)
	if isProblem(err, acme.ProblemTypeAccountDoesNotExist) {
		a.log.Warn("the authority does not know the account any more; making it anew")
		if err := a.forgetAccount(ctx); err != nil {
			return nil, err
		}
		if account, err = a.account(ctx, client); err != nil {
			return nil, err
		}
		order, err = a.order(ctx, client, account)
	}
	if err != nil {
		return nil, fmt.Errorf("ordering: %w", err)
	}
	if err := a.prove(ctx, client, account, order); err != nil {
		return nil, err
	}
	return a.finish(ctx, client, account, order)
}

// order begins an order. A renewal names what it replaces, which authorities do not count against their limits (RFC 9773,
// section 5); an authority that does not know the predecessor is asked without.
func (a *attempt) order(ctx context.Context, client *acme.Client, account acme.Account) (acme.Order, error) {
	wanted := acme.Order{Profile: a.spec.GetAcme().GetProfile()}
	for _, name := range a.names() {
		wanted.Identifiers = append(wanted.Identifiers, acme.Identifier{Type: "dns", Value: name})
	}
	directory, err := client.GetDirectory(ctx)
	if err != nil {
		return acme.Order{}, err
	}
	if a.present == nil || a.claim.Issued == nil || directory.RenewalInfo == "" {
		return client.NewOrder(ctx, account, wanted)
	}
	replacing := wanted
	if replacing.Replaces, err = acme.ARIUniqueIdentifier(a.present); err != nil {
		return client.NewOrder(ctx, account, wanted)
	}
	order, err := client.NewOrder(ctx, account, replacing)
	var problem acme.Problem
	if errors.As(err, &problem) && problem.Type != acme.ProblemTypeAccountDoesNotExist && problem.Type != acme.ProblemTypeRateLimited {
		a.log.Debug("the authority does not take the order as a renewal", "error", err)
		return client.NewOrder(ctx, account, wanted)
	}
	return order, err
}

// challenge is how names are proved.
func (a *attempt) challenge() string {
	if wanted := a.spec.GetAcme().GetChallenge(); wanted != "" {
		return wanted
	}
	return acme.ChallengeTypeHTTP01
}

// prove proves each name of the order, and waits until the authority has seen it.
func (a *attempt) prove(ctx context.Context, client *acme.Client, account acme.Account, order acme.Order) error {
	var open []acme.Authorization
	var challenges []acme.Challenge
	for _, url := range order.Authorizations {
		authorization, err := client.GetAuthorization(ctx, account, url)
		if err != nil {
			return fmt.Errorf("asking what is to be proved: %w", err)
		}
		if !slices.Contains(a.names(), authorization.Identifier.Value) {
			return fmt.Errorf("the authority wants %q to be proved, which was not asked for", authorization.Identifier.Value)
		}
		if authorization.Status == acme.StatusValid {
			continue // proved not long ago
		}
		at := slices.IndexFunc(authorization.Challenges, func(c acme.Challenge) bool { return c.Type == a.challenge() })
		if at < 0 {
			return fmt.Errorf("%s: %w: %s", authorization.IdentifierValue(), errNotOffered, a.challenge())
		}
		open, challenges = append(open, authorization), append(challenges, authorization.Challenges[at])
	}
	if len(open) == 0 {
		return nil
	}
	defer a.withdraw(ctx, challenges)
	if err := a.show(ctx, challenges); err != nil {
		return err
	}
	for _, challenge := range challenges {
		if _, err := client.InitiateChallenge(ctx, account, challenge); err != nil {
			return fmt.Errorf("asking the authority to look at %s: %w", challenge.Identifier.Value, err)
		}
	}
	for _, authorization := range open {
		if _, err := client.PollAuthorization(ctx, account, authorization); err != nil {
			return &proofError{name: authorization.IdentifierValue(), err: err}
		}
	}
	return nil
}

// proofError: the authority is not convinced that the name is ours.
type proofError struct {
	name string
	err  error
}

// Error names the name.
func (e *proofError) Error() string { return "proving " + e.name + ": " + e.err.Error() }

// Unwrap returns what the authority says.
func (e *proofError) Unwrap() error { return e.err }

// finish has the authority certify a new key, and checks what it gives.
func (a *attempt) finish(ctx context.Context, client *acme.Client, account acme.Account, order acme.Order) (*obtained, error) {
	key, encoded, err := newKey()
	if err != nil {
		return nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: a.names()}, key)
	if err != nil {
		return nil, fmt.Errorf("requesting a certificate: %w", err)
	}
	if order, err = client.FinalizeOrder(ctx, account, order, request); err != nil {
		return nil, fmt.Errorf("finishing the order: %w", err)
	}
	chains, err := client.GetCertificateChain(ctx, account, order.Certificate)
	if err != nil {
		return nil, fmt.Errorf("fetching the certificate: %w", err)
	}
	if len(chains) == 0 {
		return nil, errors.New("the authority gave no certificate")
	}
	leaf, err := checkChain(chains[0].ChainPEM, key, a.names(), time.Now())
	if err != nil {
		return nil, fmt.Errorf("the authority gave a certificate that cannot be used: %w", err)
	}
	return &obtained{
		chainPEM: string(chains[0].ChainPEM), leaf: leaf, renewal: chains[0].RenewalInfo,
		keyPEM: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded})),
	}, nil
}

// checkChain says why a chain is not what was asked for. It returns its leaf.
func checkChain(chain []byte, key *ecdsa.PrivateKey, names []string, now time.Time) (*x509.Certificate, error) {
	var leaf *x509.Certificate
	for block, rest := pem.Decode(chain); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil || block.Type != "CERTIFICATE" {
			return nil, errors.New("its chain cannot be read")
		}
		if leaf == nil {
			leaf = certificate
		}
	}
	switch {
	case leaf == nil:
		return nil, errors.New("it is empty")
	case !key.PublicKey.Equal(leaf.PublicKey):
		return nil, errors.New("it is for another key")
	case !now.Before(leaf.NotAfter):
		return nil, errors.New("it has expired")
	}
	for _, name := range names {
		if err := leaf.VerifyHostname(name); err != nil {
			return nil, err
		}
	}
	return leaf, nil
}

func isProblem(err error, kind string) bool {
	var problem acme.Problem
	return errors.As(err, &problem) && problem.Type == kind
}
