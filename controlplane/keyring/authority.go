package keyring

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"
)

const (
	// authorityLifetime is how long the authority's certificate is valid. It is replaced by rotation, never by expiry.
	authorityLifetime = 10 * 365 * 24 * time.Hour
	// backdating makes certificates valid a little before now, for machines whose clocks are behind.
	backdating = time.Hour
)

// Authority is the certificate authority of this control plane (RFC 5280): ECDSA P-256, it certifies agents and the control
// plane itself and no other authority. It is safe for concurrent use.
type Authority struct {
	certificate *x509.Certificate
	private     *ecdsa.PrivateKey
}

func newAuthorityMaterial() (public, private []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	serial, err := newSerial()
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Tidegate authority"},
		NotBefore:             now.Add(-backdating),
		NotAfter:              now.Add(authorityLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	private, err = x509.MarshalPKCS8PrivateKey(key)
	return certificate, private, err
}

func openAuthority(public, private []byte) (*Authority, error) {
	certificate, err := x509.ParseCertificate(public)
	if err != nil {
		return nil, fmt.Errorf("parsing its certificate: %w", err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(private)
	if err != nil {
		return nil, errors.New("its private key is not PKCS #8")
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(certificate.PublicKey) {
		return nil, errors.New("its halves do not belong together")
	}
	return &Authority{certificate: certificate, private: key}, nil
}

// Certificates returns the certificates of the authorities to trust, DER.
func (a *Authority) Certificates() [][]byte { return [][]byte{a.certificate.Raw} }

// Pool returns the authorities to trust, for crypto/tls.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// Pin returns the SHA-256 of the authority's certificate in lower-case hexadecimal. Join tokens carry it, so that an agent
// that trusts nothing yet knows whom it talks to.
func (a *Authority) Pin() string {
	digest := sha256.Sum256(a.certificate.Raw)
	return hex.EncodeToString(digest[:])
}

// newSerial returns a random positive serial number of 127 bits (RFC 5280, section 4.1.2.2, allows 20 octets).
func newSerial() (*big.Int, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("choosing a serial number: %w", err)
	}
	return serial.Add(serial, big.NewInt(1)), nil
}
