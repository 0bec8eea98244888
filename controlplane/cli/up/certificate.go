package up

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"time"

	"tidegate.dev/controlplane/cli/client"
	"tidegate.dev/controlplane/cli/login"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

const (
	certificateName = "localhost"
	certificateLife = 365 * 24 * time.Hour
	// renewBefore is how long before its end a certificate is replaced.
	renewBefore = 30 * 24 * time.Hour
)

// ensureCertificate makes a certificate for localhost and gives it to the TLS listeners as a resource, unless the fleet has
// one that lasts. It returns the file with the certificate; the private key is not kept.
func (s *stack) ensureCertificate(ctx context.Context) (string, error) {
	file := s.config.file("localhost.pem")
	path := client.Path("fleets", fleet, "certificates", certificateName)
	var present adminv1.Certificate
	err := s.client.Get(ctx, path, nil, &present)
	if err != nil && !client.IsNotFound(err) {
		return "", err
	}
	if err == nil && time.Until(present.GetNotAfter().AsTime()) > renewBefore && sameFile(file, present.GetSpec().GetCertificatePem()) {
		return file, nil
	}
	certificate, key, err := newCertificate()
	if err != nil {
		return "", err
	}
	call := client.Call{Method: http.MethodPut, Path: path, Body: &adminv1.Certificate{
		Name: certificateName,
		Spec: &configv1.Certificate{
			ServerNames: []string{"localhost"}, CertificatePem: string(certificate), PrivateKeyPem: string(key),
		},
	}}
	if _, err := s.client.Do(ctx, call, nil); err != nil {
		return "", fmt.Errorf("giving the certificate for localhost to the fleet: %w", err)
	}
	return file, login.WritePrivate(file, certificate)
}

func sameFile(file, content string) bool {
	present, err := os.ReadFile(file)
	return err == nil && bytes.Equal(bytes.TrimSpace(present), bytes.TrimSpace([]byte(content)))
}

// newCertificate signs a certificate for this machine by itself.
func newCertificate() (certificate, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key for localhost: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, fmt.Errorf("making a serial number: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "localhost (tidegate up)"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(certificateLife),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, fmt.Errorf("making a certificate for localhost: %w", err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the key for localhost: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signed}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: encoded}), nil
}
