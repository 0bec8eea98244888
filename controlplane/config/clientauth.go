package config

import (
	"time"

	"golang.org/x/crypto/ocsp"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// ruleOCSP: what was given is no OCSP response that could be stapled.
const ruleOCSP = "certificate.ocsp"

// checkClientAuth says what is wrong with whom a certificate's names let in.
func checkClientAuth(certificate *configv1.Certificate) []configv1.FieldViolation {
	text := certificate.GetClientAuth().GetCaPem()
	if text == "" {
		return nil // the schema's rule says so if it is wanted
	}
	if _, err := parseChain(text); err != nil {
		return []configv1.FieldViolation{{Field: "client_auth.ca_pem", Rule: rulePEM, Message: err.Error()}}
	}
	return nil
}

// checkStaple says what is wrong with a certificate's OCSP response. It does not verify the signature when the chain lacks the
// issuer: clients do.
func checkStaple(certificate *configv1.Certificate, now time.Time) []configv1.FieldViolation {
	if len(certificate.GetOcspResponse()) == 0 {
		return nil
	}
	refuse := func(message string) []configv1.FieldViolation {
		return []configv1.FieldViolation{{Field: "ocsp_response", Rule: ruleOCSP, Message: message}}
	}
	chain, err := parseChain(certificate.GetCertificatePem())
	if err != nil {
		return refuse("an OCSP response is given with certificate_pem")
	}
	leaf, issuer := chain[0], chain[0]
	if len(chain) > 1 {
		issuer = chain[1]
	}
	response, err := ocsp.ParseResponse(certificate.GetOcspResponse(), nil)
	switch {
	case err != nil:
		return refuse("must be an OCSP response in DER: " + err.Error())
	case len(chain) > 1 && response.CheckSignatureFrom(issuer) != nil && response.Certificate == nil:
		return refuse("the issuer of the certificate did not sign it")
	case response.SerialNumber.Cmp(leaf.SerialNumber) != 0:
		return refuse("it is for another certificate")
	case response.Status != ocsp.Good:
		return refuse("it does not say that the certificate is good")
	case !response.NextUpdate.IsZero() && now.After(response.NextUpdate):
		return refuse("it expired on " + response.NextUpdate.UTC().Format(time.RFC3339))
	}
	return nil
}
