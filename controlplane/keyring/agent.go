package keyring

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// MaxAgentLifetime is the longest that an agent's certificate is valid.
const MaxAgentLifetime = 72 * time.Hour

// ErrBadRequest says that a certificate signing request cannot be granted.
var ErrBadRequest = errors.New("certificate signing request refused")

// Identity is who an agent is, as its certificate says.
type Identity struct {
	Fleet   string
	AgentID string
}

// URI returns "tidegate://fleets/{fleet}/agents/{agent id}", the one name in an agent's certificate.
func (i Identity) URI() *url.URL {
	return &url.URL{Scheme: "tidegate", Host: "fleets", Path: "/" + i.Fleet + "/agents/" + i.AgentID}
}

// ParseIdentity reads the identity from a certificate that was already verified. A certificate of another use, or with any
// other name in it, has none.
func ParseIdentity(certificate *x509.Certificate) (Identity, error) {
	if len(certificate.URIs) != 1 || len(certificate.DNSNames)+len(certificate.IPAddresses)+len(certificate.EmailAddresses) != 0 {
		return Identity{}, errors.New("the certificate is not that of an agent")
	}
	uri := certificate.URIs[0]
	parts := strings.Split(strings.TrimPrefix(uri.Path, "/"), "/")
	if len(parts) != 3 || parts[1] != "agents" {
		return Identity{}, errors.New("the certificate is not that of an agent")
	}
	identity := Identity{Fleet: parts[0], AgentID: parts[2]}
	if identity.Fleet == "" || identity.AgentID == "" || uri.String() != identity.URI().String() {
		return Identity{}, errors.New("the certificate is not that of an agent")
	}
	return identity, nil
}

// IssueAgent certifies the public key of a certificate signing request (RFC 2986, DER) as that of the agent, for the
// lifetime, which is cut to MaxAgentLifetime. Nothing else of the request is used. It returns the chain without the
// authority, DER, the leaf first. The error is ErrBadRequest if the request is at fault.
func (a *Authority) IssueAgent(request []byte, identity Identity, lifetime time.Duration) (chain [][]byte, notAfter time.Time, err error) {
	parsed, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("%w: it cannot be parsed", ErrBadRequest)
	}
	if err := parsed.CheckSignature(); err != nil {
		return nil, time.Time{}, fmt.Errorf("%w: it is not signed by its own key", ErrBadRequest)
	}
	if err := checkPublicKey(parsed.PublicKey); err != nil {
		return nil, time.Time{}, fmt.Errorf("%w: %w", ErrBadRequest, err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, time.Time{}, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: identity.AgentID},
		URIs:                  []*url.URL{identity.URI()},
		NotBefore:             now.Add(-backdating),
		NotAfter:              now.Add(min(lifetime, MaxAgentLifetime)),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, a.certificate, parsed.PublicKey, a.private)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("certifying an agent: %w", err)
	}
	return [][]byte{certificate}, template.NotAfter, nil
}

// checkPublicKey refuses keys that are too weak to prove anything.
func checkPublicKey(public any) error {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if key.Curve.Params().BitSize < 256 {
			return errors.New("its elliptic curve has fewer than 256 bits")
		}
	case ed25519.PublicKey:
	case *rsa.PublicKey:
		if key.Size() < 256 {
			return errors.New("its RSA key has fewer than 2048 bits")
		}
	default:
		return errors.New("its key is neither ECDSA, Ed25519 nor RSA")
	}
	return nil
}
