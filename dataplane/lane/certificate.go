package lane

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// Certificate finds the certificate for a server name: the exact name, else the wildcard of its parent (RFC 6125, section
// 6.4.3). It does not allocate if the name is in lower case.
func (t *Table) Certificate(serverName string) (*tls.Certificate, bool) {
	found, ok := t.find(serverName)
	if !ok {
		return nil, false
	}
	return found.tls, true
}

func (t *Table) find(serverName string) (*certificate, bool) {
	names := t.content.Load().names
	serverName = strings.ToLower(strings.TrimSuffix(serverName, "."))
	if found, ok := names.get(serverName); ok {
		return found[0], true
	}
	dot := strings.IndexByte(serverName, '.')
	if dot <= 0 {
		return nil, false
	}
	// Wildcards are kept under their suffix with its dot, so that no name needs to be put together here.
	if found, ok := names.get(serverName[dot:]); ok {
		return found[0], true
	}
	return nil, false
}

func (c *content) applyCertificate(e *agentv1.LaneEntry) error {
	if e.GetDeleted() || e.GetCertificate() == nil {
		c.removeCertificate(e.GetName())
		return missingMaterial(e)
	}
	next, err := parseCertificate(e.GetName(), e.GetCertificate())
	if err != nil {
		// What was shown so far is better than nothing.
		return err
	}
	c.removeCertificate(next.name)
	c.certificates.set(next.name, next)
	if next.presents.ClientAuth != nil {
		c.asking.Add(1)
	}
	for _, name := range next.names {
		holders, _ := c.names.get(name)
		holders = append(slices.Clone(holders), next)
		slices.SortFunc(holders, func(a, b *certificate) int { return strings.Compare(a.name, b.name) })
		c.names.set(name, holders)
	}
	return nil
}

func (c *content) removeCertificate(certificateName string) {
	old, ok := c.certificates.get(certificateName)
	if !ok {
		return
	}
	c.certificates.remove(certificateName)
	if old.presents.ClientAuth != nil {
		c.asking.Add(-1)
	}
	for _, name := range old.names {
		holders, _ := c.names.get(name)
		holders = slices.DeleteFunc(slices.Clone(holders), func(held *certificate) bool { return held == old })
		if len(holders) == 0 {
			c.names.remove(name)
		} else {
			c.names.set(name, holders)
		}
	}
}

func parseCertificate(name string, material *agentv1.CertificateMaterial) (*certificate, error) {
	pair, err := tls.X509KeyPair([]byte(material.GetCertificatePem()), []byte(material.GetPrivateKeyPem()))
	if err != nil {
		return nil, fmt.Errorf("reading the certificate and its key: %w", err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return nil, fmt.Errorf("reading the certificate: %w", err)
		}
	}
	names := material.GetServerNames()
	if len(names) == 0 {
		names = pair.Leaf.DNSNames
	}
	c := &certificate{name: name, tls: &pair}
	if err := c.present(material); err != nil {
		return nil, err
	}
	for _, serverName := range names {
		serverName = strings.ToLower(strings.TrimSuffix(serverName, "."))
		serverName = strings.TrimPrefix(serverName, "*")
		if serverName != "" && !slices.Contains(c.names, serverName) {
			c.names = append(c.names, serverName)
		}
	}
	return c, nil
}
