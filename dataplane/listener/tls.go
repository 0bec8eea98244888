package listener

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"time"
)

// Identity is what a server name shows, and what it wants to see.
type Identity struct {
	// Certificate may carry an OCSP response, which is stapled (RFC 6066, section 8).
	Certificate *tls.Certificate
	// ClientAuth is nil if the name asks for no client certificates.
	ClientAuth *ClientAuth
}

// ClientAuth is a policy for the certificates of clients. It is not changed after it was made.
type ClientAuth struct {
	// Authorities sign the certificates that are accepted.
	Authorities *x509.CertPool
	// Required refuses clients without a certificate; else they are served without identity. One that is not signed by the
	// authorities is always refused.
	Required bool
	// Fingerprint tells policies apart: equal policies have equal ones.
	Fingerprint [sha256.Size]byte
}

// NewClientAuth makes a policy from authorities in PEM.
func NewClientAuth(authorities []byte, required bool) (*ClientAuth, error) {
	auth := &ClientAuth{Authorities: x509.NewCertPool(), Required: required}
	if !auth.Authorities.AppendCertsFromPEM(authorities) {
		return nil, fmt.Errorf("the authorities of clients hold no certificate in PEM")
	}
	digest := sha256.New()
	// Hashes never fail to write.
	_, _ = fmt.Fprintf(digest, "%t\x00%s", required, authorities)
	digest.Sum(auth.Fingerprint[:0])
	return auth, nil
}

// TLSConfig makes a TLS.
type TLSConfig struct {
	// Identity finds what a server name shows, exact or by a wildcard. It is asked at each handshake, so what it says takes effect
	// at once, and may be called by several goroutines. An empty name: the client sent none.
	Identity func(serverName string) (Identity, bool)
	// HTTP2 offers h2.
	HTTP2 bool
	// Proof finds what an ACME authority is shown that asks whether a server name leads here (TLS-ALPN-01, RFC 8737). Nil: there
	// is never anything to prove.
	Proof func(serverName string) (*tls.Certificate, bool)
}

// protocolACME is what an authority wants to speak that asks for a proof, and nobody else.
const protocolACME = "acme-tls/1"

// TLS is how connections are encrypted.
type TLS struct {
	// Set once.
	settings TLSConfig
	config   *tls.Config
	fallback *tls.Certificate
	tickets  tickets

	// Guarded by mu: configurations by policy, made from config.
	mu    sync.Mutex
	asked map[[sha256.Size]byte]*tls.Config
}

// mostPolicies bounds the configurations that are kept. They are made again at little cost.
const mostPolicies = 1024

// NewTLS makes a TLS. Names without a certificate show one that nobody trusts, so that the port answers and the client says
// what is wrong.
func NewTLS(settings TLSConfig) (*TLS, error) {
	t := &TLS{settings: settings, asked: make(map[[sha256.Size]byte]*tls.Config)}
	var err error
	if t.fallback, err = selfSigned(); err != nil {
		return nil, fmt.Errorf("making a certificate for names without one: %w", err)
	}
	t.config = &tls.Config{
		MinVersion: tls.VersionTLS12,
		// Of TLS 1.2 the suites with forward secrecy and authenticated encryption; those of TLS 1.3 are all of that kind.
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		NextProtos:         []string{"http/1.1"},
		GetCertificate:     t.certificate,
		GetConfigForClient: t.configFor,
	}
	if settings.HTTP2 {
		t.config.NextProtos = []string{"h2", "http/1.1"}
	}
	t.tickets.keeper = &tls.Config{}
	t.bindTickets(t.config, nil)
	return t, nil
}

func (t *TLS) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if identity, ok := t.settings.Identity(nameOf(hello.ServerName)); ok {
		return identity.Certificate, nil
	}
	return t.fallback, nil
}

// configFor finds the configuration for a client: nil is the usual one.
func (t *TLS) configFor(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == protocolACME && t.settings.Proof != nil {
		if proof, ok := t.settings.Proof(nameOf(hello.ServerName)); ok {
			return &tls.Config{
				MinVersion: tls.VersionTLS12, NextProtos: []string{protocolACME}, Certificates: []tls.Certificate{*proof},
				SessionTicketsDisabled: true,
			}, nil
		}
	}
	identity, ok := t.settings.Identity(nameOf(hello.ServerName))
	if !ok || identity.ClientAuth == nil {
		return nil, nil //nolint:nilnil // the way of crypto/tls to say: the usual configuration
	}
	if conn := Of(hello.Conn); conn != nil {
		conn.auth = identity.ClientAuth
	}
	return t.asking(identity.ClientAuth), nil
}

// asking is the configuration that asks for client certificates.
func (t *TLS) asking(auth *ClientAuth) *tls.Config {
	t.mu.Lock()
	defer t.mu.Unlock()
	if config, ok := t.asked[auth.Fingerprint]; ok {
		return config
	}
	config := t.config.Clone()
	config.ClientCAs = auth.Authorities
	config.ClientAuth = tls.VerifyClientCertIfGiven
	if auth.Required {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	t.bindTickets(config, auth)
	if len(t.asked) >= mostPolicies {
		clear(t.asked)
	}
	t.asked[auth.Fingerprint] = config
	return config
}

// nameOf is a server name as certificates are kept under.
func nameOf(serverName string) string { return strings.ToLower(strings.TrimSuffix(serverName, ".")) }

// selfSigned makes a certificate that lasts as long as a process may.
func selfSigned() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "no certificate for this name"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
