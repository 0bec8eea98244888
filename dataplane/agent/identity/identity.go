package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// Identity is who the agent is, and whom it believes. It is immutable.
type Identity struct {
	// AgentID and Fleet are the agent's names, as its certificate says.
	AgentID, Fleet string

	certificate *tls.Certificate
	authorities *x509.CertPool
	signingKeys map[string]ed25519.PublicKey
}

// newIdentity checks that the parts belong together: the certificate is the key's, and an authority's.
func newIdentity(agentID, fleet string, key *ecdsa.PrivateKey, credentials *agentv1.Credentials) (*Identity, error) {
	i := &Identity{
		AgentID: agentID, Fleet: fleet,
		authorities: x509.NewCertPool(), signingKeys: make(map[string]ed25519.PublicKey),
	}
	if agentID == "" || fleet == "" {
		return nil, errors.New("the agent has no name or no fleet")
	}
	for _, der := range credentials.GetAuthorities() {
		authority, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("reading an authority's certificate: %w", err)
		}
		i.authorities.AddCert(authority)
	}
	for _, k := range credentials.GetSigningKeys() {
		if len(k.GetPublicKey()) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("the signing key %q has %d bytes, not %d", k.GetId(), len(k.GetPublicKey()), ed25519.PublicKeySize)
		}
		i.signingKeys[k.GetId()] = ed25519.PublicKey(k.GetPublicKey())
	}
	if len(credentials.GetCertificateChain()) == 0 {
		return nil, errors.New("the control plane gave no certificate")
	}
	leaf, err := x509.ParseCertificate(credentials.GetCertificateChain()[0])
	if err != nil {
		return nil, fmt.Errorf("reading the agent's certificate: %w", err)
	}
	if !key.PublicKey.Equal(leaf.PublicKey) {
		return nil, errors.New("the agent's certificate is for another key")
	}
	i.certificate = &tls.Certificate{Certificate: credentials.GetCertificateChain(), PrivateKey: key, Leaf: leaf}
	return i, nil
}

// RenewAt is two thirds through the certificate's life.
func (i *Identity) RenewAt() time.Time {
	leaf := i.certificate.Leaf
	return leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) * 2 / 3)
}

// ExpiresAt is when the certificate ends.
func (i *Identity) ExpiresAt() time.Time { return i.certificate.Leaf.NotAfter }

// Open checks a signature and decodes what was signed into message, whose type is part of what was signed.
func (i *Identity) Open(signed *agentv1.Signed, message proto.Message) error {
	name := message.ProtoReflect().Descriptor().FullName()
	key, known := i.signingKeys[signed.GetKeyId()]
	if !known {
		return fmt.Errorf("%s is signed with the key %q, which this agent does not trust", name, signed.GetKeyId())
	}
	if !ed25519.Verify(key, agentv1.SignedBytes(name, signed.GetPayload()), signed.GetSignature()) {
		return fmt.Errorf("the signature of %s is wrong", name)
	}
	if err := proto.Unmarshal(signed.GetPayload(), message); err != nil {
		return fmt.Errorf("decoding %s: %w", name, err)
	}
	return nil
}

// newKey makes a key and a request for a certificate for it (RFC 2986).
func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making the agent's key: %w", err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, nil, fmt.Errorf("making a certificate signing request: %w", err)
	}
	return key, request, nil
}
