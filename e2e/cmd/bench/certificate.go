package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificate is what all subjects show: ECDSA P-256, self-signed, for localhost.
type certificate struct {
	file, keyFile, bundle string // in PEM; bundle is both
	pem, keyPEM           []byte
}

const certificateLife = 24 * time.Hour

func writeCertificate(dir string) (certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return certificate{}, fmt.Errorf("making a key: %w", err)
	}
	now := time.Now()
	shape := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "localhost"},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, shape, shape, key.Public(), key)
	if err != nil {
		return certificate{}, fmt.Errorf("making a certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return certificate{}, fmt.Errorf("encoding the key: %w", err)
	}
	c := certificate{
		file: filepath.Join(dir, "certificate.pem"), keyFile: filepath.Join(dir, "key.pem"), bundle: filepath.Join(dir, "bundle.pem"),
		pem:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		keyPEM: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
	for path, text := range map[string]string{
		c.file: string(c.pem), c.keyFile: string(c.keyPEM), c.bundle: string(c.pem) + string(c.keyPEM),
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return certificate{}, fmt.Errorf("writing the certificate: %w", err)
		}
	}
	return c, nil
}
