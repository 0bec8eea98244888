package proxy

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"strings"

	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/proto/pattern"
)

// clientCertificateField tells the upstream who the client proved to be. Only the gateway writes it, whatever proxies it trusts.
const (
	clientCertificateField  = "X-Forwarded-Client-Cert"
	clientCertificatePrefix = "x-forwarded-client-cert"
)

// proof is what a client proved in the handshake.
type proof struct {
	certificate plugin.ClientCertificate
	// field is the value of X-Forwarded-Client-Cert.
	field string
}

func newProof(leaf *x509.Certificate) *proof {
	digest := sha256.Sum256(leaf.Raw)
	c := plugin.ClientCertificate{
		Subject: leaf.Subject.String(), DNSNames: leaf.DNSNames, EmailAddresses: leaf.EmailAddresses, Fingerprint: hex.EncodeToString(digest[:]),
	}
	for _, uri := range leaf.URIs {
		c.URIs = append(c.URIs, uri.String())
	}
	return &proof{c, clientCertificateValue(&c)}
}

// clientCertificateValue writes a certificate as Envoy does: Hash=…;Subject="…";URI=…;DNS=….
func clientCertificateValue(c *plugin.ClientCertificate) string {
	var text strings.Builder
	text.WriteString("Hash=" + c.Fingerprint)
	text.WriteString(`;Subject=` + quoted(c.Subject))
	for _, uri := range c.URIs {
		text.WriteString(";URI=" + quotedIfNeeded(uri))
	}
	for _, name := range c.DNSNames {
		text.WriteString(";DNS=" + quotedIfNeeded(name))
	}
	return text.String()
}

func quotedIfNeeded(text string) string {
	if strings.ContainsAny(text, `",;= \`) {
		return quoted(text)
	}
	return printable(text)
}

// quoted is a quoted string (RFC 9110, section 5.6.4).
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(printable(text)) + `"`
}

// printable keeps what may stand in a field.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
}

// prove shows who the client proved to be, if it did so to the host that it asks.
func (x *exchange) prove() {
	proved := x.connection.proof
	if proved == nil {
		return
	}
	auth := x.proxy.lane.ClientAuth(pattern.NormalizeHost(x.host))
	if auth == nil || !x.connection.provedTo(auth.Fingerprint) {
		return
	}
	x.Certificate = &proved.certificate
	x.header.Set(clientCertificateField, proved.field)
}
