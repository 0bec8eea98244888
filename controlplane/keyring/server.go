package keyring

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// serverLifetime is how long the control plane's own certificate is valid. A new one is made after two thirds.
const serverLifetime = 30 * 24 * time.Hour

// ServerCertificate is the certificate that the control plane shows to agents. It renews itself and is safe for concurrent
// use.
type ServerCertificate struct {
	authority *Authority
	hosts     []string

	mu      sync.Mutex
	current *tls.Certificate
	renewAt time.Time
}

// ServerCertificate returns a certificate for the names and addresses by which agents reach this control plane. The chain
// carries the authority too, so that an agent can find the pin of its join token in it.
func (a *Authority) ServerCertificate(hosts []string) (*ServerCertificate, error) {
	if len(hosts) == 0 {
		return nil, errors.New("a server certificate needs at least one host")
	}
	s := &ServerCertificate{authority: a, hosts: hosts}
	_, err := s.Get(nil)
	return s, err
}

// Get returns the certificate to show now; it fits tls.Config.GetCertificate.
func (s *ServerCertificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.current != nil && now.Before(s.renewAt) {
		return s.current, nil
	}
	certificate, err := s.authority.issueServer(s.hosts, now)
	if err != nil {
		return nil, err
	}
	s.current, s.renewAt = certificate, now.Add(serverLifetime*2/3)
	return certificate, nil
}

func (a *Authority) issueServer(hosts []string, now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key of the server certificate: %w", err)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Tidegate control plane"},
		NotBefore:             now.Add(-backdating),
		NotAfter:              now.Add(serverLifetime),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if address := net.ParseIP(host); address != nil {
			template.IPAddresses = append(template.IPAddresses, address)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	leaf, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.private)
	if err != nil {
		return nil, fmt.Errorf("certifying the control plane: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{leaf, a.certificate.Raw}, PrivateKey: key}, nil
}
