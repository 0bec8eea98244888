package lane

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/ocsp"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// Presentation is what a server name shows to clients, and what it wants to see of them.
type Presentation struct {
	// Certificate carries the OCSP response that was given with it, as long as that is valid.
	Certificate *tls.Certificate
	// ClientAuth is nil if clients are not asked for certificates.
	ClientAuth *ClientAuth
}

// ClientAuth is a policy for clients' certificates. It is not changed after it was made.
type ClientAuth struct {
	Authorities *x509.CertPool
	// Required refuses clients without a certificate.
	Required bool
	// Fingerprint is equal for equal policies.
	Fingerprint [sha256.Size]byte
}

// Presentation finds what a server name shows at a time, by the same rules as [Table.Certificate].
func (t *Table) Presentation(serverName string, now time.Time) (Presentation, bool) {
	found, ok := t.find(serverName)
	if !ok {
		return Presentation{}, false
	}
	shown := found.presents
	if found.bare != nil && !now.Before(found.staleAt) {
		shown.Certificate = found.bare
	}
	return shown, true
}

// ClientAuth finds the policy for clients' certificates of a server name; nil if there is none. It does not allocate if the name
// is in lower case.
func (t *Table) ClientAuth(serverName string) *ClientAuth {
	found, ok := t.find(serverName)
	if !ok {
		return nil
	}
	return found.presents.ClientAuth
}

// AsksClients tells whether any server name asks clients for certificates.
func (t *Table) AsksClients() bool { return t.content.Load().asking.Load() > 0 }

// present works out what is shown with a certificate. Authorities that cannot be read are an error: a name that should ask for
// certificates must not be shown without.
func (c *certificate) present(material *agentv1.CertificateMaterial) error {
	c.presents.Certificate = c.tls
	if text := material.GetClientCaPem(); text != "" {
		auth := &ClientAuth{Authorities: x509.NewCertPool(), Required: material.GetClientCertificateRequired()}
		if !auth.Authorities.AppendCertsFromPEM([]byte(text)) {
			return errors.New("reading the authorities of clients' certificates: no certificate in PEM")
		}
		auth.Fingerprint = sha256.Sum256(fmt.Appendf(nil, "%t\x00%s", auth.Required, text))
		c.presents.ClientAuth = auth
	}
	if staple := material.GetOcspResponse(); len(staple) > 0 {
		c.staple(staple)
	}
	return nil
}

// staple adds an OCSP response. One that cannot be read, or is for another certificate, is left out: the certificate is good
// without.
func (c *certificate) staple(response []byte) {
	parsed, err := ocsp.ParseResponse(response, nil)
	if err != nil || parsed.SerialNumber.Cmp(c.tls.Leaf.SerialNumber) != 0 {
		return
	}
	stapled := *c.tls
	stapled.OCSPStaple = response
	if !parsed.NextUpdate.IsZero() {
		c.bare, c.staleAt = c.tls, parsed.NextUpdate
	}
	c.presents.Certificate = &stapled
}
