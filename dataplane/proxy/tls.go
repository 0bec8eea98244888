package proxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"

	"tidegate.dev/proto/pattern"
)

// tlsConfig shows the certificate of the lane that fits the server name, and where there is none one that nobody trusts, so
// that the port answers and the client says what is wrong.
func (p *Proxy) tlsConfig() (*tls.Config, error) {
	fallback, err := selfSigned()
	if err != nil {
		return nil, fmt.Errorf("making a certificate for names without one: %w", err)
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// Of TLS 1.2 the suites with forward secrecy and authenticated encryption; those of TLS 1.3 are all of that kind.
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
		NextProtos: []string{"h2", "http/1.1"},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if certificate, ok := p.lane.Certificate(hello.ServerName); ok {
				return certificate, nil
			}
			return fallback, nil
		},
	}, nil
}

// misdirected tells whether the request is for a host that the connection was not opened for (RFC 9110, section 15.5.20): the
// client asked for another name, and the certificate that it was shown is not that host's too.
func (p *Proxy) misdirected(authority string, connection *tls.ConnectionState) bool {
	if connection == nil || connection.ServerName == "" {
		return false
	}
	host, shown := pattern.NormalizeHost(authority), pattern.NormalizeHost(connection.ServerName)
	if host == shown {
		return false
	}
	ofHost, hostKnown := p.lane.Certificate(host)
	ofShown, shownKnown := p.lane.Certificate(shown)
	return !hostKnown || !shownKnown || ofHost != ofShown
}

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
