package lane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"
	"time"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// challenge is what proves to an ACME authority that a name leads to this agent.
type challenge struct {
	keyAuthorization string
	// expiresAt is in seconds since 1970.
	expiresAt int64
	// serverName is set if it is proved in a TLS handshake for that name, by showing proof.
	serverName string
	proof      *tls.Certificate
}

func (c challenge) expired() bool { return time.Now().Unix() >= c.expiresAt }

// ACMEChallenge finds the key authorization for the token of an HTTP-01 challenge (RFC 8555, section 8.3).
func (t *Table) ACMEChallenge(token string) (keyAuthorization string, ok bool) {
	found, ok := t.content.Load().challenges.get(token)
	if !ok || found.serverName != "" || found.expired() {
		return "", false
	}
	return found.keyAuthorization, true
}

// ACMEProof finds the certificate that answers a TLS-ALPN-01 challenge for a server name (RFC 8737).
func (t *Table) ACMEProof(serverName string) (*tls.Certificate, bool) {
	found, ok := t.content.Load().proofs.get(strings.ToLower(serverName))
	if !ok || found.expired() {
		return nil, false
	}
	return found.proof, true
}

func (c *content) applyChallenge(e *agentv1.LaneEntry) error {
	c.removeChallenge(e.GetName())
	material := e.GetAcmeChallenge()
	if e.GetDeleted() || material == nil {
		return missingMaterial(e)
	}
	next := challenge{
		keyAuthorization: material.GetKeyAuthorization(), expiresAt: material.GetExpiresAt(),
		serverName: strings.ToLower(material.GetServerName()),
	}
	if next.serverName != "" {
		var err error
		if next.proof, err = proofFor(next.serverName, next.keyAuthorization); err != nil {
			return fmt.Errorf("making the proof of an ACME challenge: %w", err)
		}
		c.proofs.set(next.serverName, next)
	}
	c.challenges.set(e.GetName(), next)
	return nil
}

func (c *content) removeChallenge(token string) {
	old, ok := c.challenges.get(token)
	if !ok {
		return
	}
	c.challenges.remove(token)
	// A later challenge may be for the same name.
	if holder, ok := c.proofs.get(old.serverName); ok && holder.proof == old.proof {
		c.proofs.remove(old.serverName)
	}
}

// acmeIdentifier marks the certificate of a proof (RFC 8737, section 3).
var acmeIdentifier = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}

// proofFor makes the certificate that RFC 8737, section 3, asks for. It proves nothing to anybody else.
func proofFor(serverName, keyAuthorization string) (*tls.Certificate, error) {
	digest := sha256.Sum256([]byte(keyAuthorization))
	value, err := asn1.Marshal(digest[:])
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ACME challenge"}, DNSNames: []string{serverName},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: acmeIdentifier, Critical: true, Value: value}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
