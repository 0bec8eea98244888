package config_test

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"tidegate.dev/controlplane/config"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// staple signs an OCSP response for a certificate that signed itself.
func staple(t *testing.T, certificatePEM, keyPEM string, template ocsp.Response) []byte {
	t.Helper()
	key, err := tls.X509KeyPair([]byte(certificatePEM), []byte(keyPEM))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(certificatePEM))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if template.SerialNumber == nil {
		template.SerialNumber = leaf.SerialNumber
	}
	template.ThisUpdate = time.Now().Add(-time.Hour)
	response, err := ocsp.CreateResponse(leaf, leaf, template, key.PrivateKey.(crypto.Signer))
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func TestWhomACertificateLetsInAndWhatItStaples(t *testing.T) {
	t.Parallel()
	cert, key := pair(t, "a.example", time.Now().Add(24*time.Hour))
	authority, _ := pair(t, "clients", time.Now().Add(24*time.Hour))
	later := time.Now().Add(time.Hour)
	good := staple(t, cert, key, ocsp.Response{Status: ocsp.Good, NextUpdate: later})
	b := newBench(t)
	for _, c := range []struct {
		name   string
		auth   *configv1.ClientAuth
		staple []byte
		want   string
	}{
		{"require", &configv1.ClientAuth{CaPem: authority}, nil, ""},
		{"request, with a staple", &configv1.ClientAuth{CaPem: authority, Mode: "request"}, good, ""},
		{"no authorities", &configv1.ClientAuth{}, nil, "certificates/shop spec.client_auth.ca_pem required"},
		{"authorities that are none", &configv1.ClientAuth{CaPem: "hello"}, nil, "certificates/shop spec.client_auth.ca_pem pem"},
		{"an unknown mode", &configv1.ClientAuth{CaPem: authority, Mode: "maybe"}, nil, "certificates/shop spec.client_auth.mode string.in"},
		{"no response", nil, []byte("hello"), "certificates/shop spec.ocsp_response certificate.ocsp"},
		{"of another certificate", nil, staple(t, cert, key, ocsp.Response{Status: ocsp.Good, NextUpdate: later, SerialNumber: big.NewInt(4711)}), "certificates/shop spec.ocsp_response certificate.ocsp"},
		{"a revocation", nil, staple(t, cert, key, ocsp.Response{Status: ocsp.Revoked, NextUpdate: later, RevokedAt: time.Now()}), "certificates/shop spec.ocsp_response certificate.ocsp"},
		{"expired", nil, staple(t, cert, key, ocsp.Response{Status: ocsp.Good, NextUpdate: time.Now().Add(-time.Minute)}), "certificates/shop spec.ocsp_response certificate.ocsp"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			shop := certificate(cert, key)
			shop.Spec.(*configv1.Certificate).ClientAuth, shop.Spec.(*configv1.Certificate).OcspResponse = c.auth, c.staple
			_, err := b.Upsert(t.Context(), actor, fleet, shop, config.WriteOptions{})
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if got := rules(t, err); got != c.want {
				t.Errorf("violations %q, want %q", got, c.want)
			}
		})
	}
}
