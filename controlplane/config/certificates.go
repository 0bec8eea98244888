package config

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// checkCertificate says what is wrong with a certificate and its private key.
func checkCertificate(certificate *configv1.Certificate, now time.Time) []configv1.FieldViolation {
	if certificate.GetAcme() != nil {
		return checkACME(certificate)
	}
	if certificate.GetCertificatePem() == "" {
		return nil // the schema's rule says so
	}
	chain, err := parseChain(certificate.GetCertificatePem())
	if err != nil {
		return []configv1.FieldViolation{{Field: "certificate_pem", Rule: rulePEM, Message: err.Error()}}
	}
	var violations []configv1.FieldViolation
	if leaf := chain[0]; now.After(leaf.NotAfter) {
		violations = append(violations, configv1.FieldViolation{
			Field: "certificate_pem", Rule: ruleExpired,
			Message: "the certificate expired on " + leaf.NotAfter.UTC().Format(time.RFC3339),
		})
	}
	if problem := problemOfKey(certificate, chain[0]); problem != "" {
		violations = append(violations, configv1.FieldViolation{Field: "private_key_pem", Rule: ruleKeyPair, Message: problem})
	}
	return violations
}

// problemOfKey never quotes the key.
func problemOfKey(certificate *configv1.Certificate, leaf *x509.Certificate) string {
	if certificate.GetPrivateKeyPem() == "" {
		return "a private key is required"
	}
	if _, err := tls.X509KeyPair([]byte(certificate.GetCertificatePem()), []byte(certificate.GetPrivateKeyPem())); err == nil {
		return ""
	}
	key, err := parsePrivateKey([]byte(certificate.GetPrivateKeyPem()))
	if err != nil {
		return err.Error()
	}
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(leaf.PublicKey) {
		return "the private key does not belong to the certificate"
	}
	return "the private key cannot be used with the certificate"
}

func parsePrivateKey(text []byte) (crypto.Signer, error) {
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		for _, parse := range []func([]byte) (any, error){
			x509.ParsePKCS8PrivateKey,
			func(der []byte) (any, error) { return x509.ParseECPrivateKey(der) },
			func(der []byte) (any, error) { return x509.ParsePKCS1PrivateKey(der) },
		} {
			if key, err := parse(block.Bytes); err == nil {
				if signer, ok := key.(crypto.Signer); ok {
					return signer, nil
				}
			}
		}
	}
	return nil, errors.New("must be a private key in PEM, not encrypted: PKCS #8, PKCS #1 or SEC 1")
}

// parseChain reads one or more certificates in PEM.
func parseChain(text string) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	rest := []byte(text)
	for len(bytes.TrimSpace(rest)) > 0 {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("must be certificates in PEM and nothing else")
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("holds a block %q; only certificates belong here", block.Type)
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d cannot be parsed", len(chain)+1)
		}
		chain = append(chain, certificate)
	}
	if len(chain) == 0 {
		return nil, errors.New("must be certificates in PEM")
	}
	return chain, nil
}

func leafOf(certificate *configv1.Certificate) (*x509.Certificate, error) {
	chain, err := parseChain(certificate.GetCertificatePem())
	if err != nil {
		return nil, err
	}
	return chain[0], nil
}
