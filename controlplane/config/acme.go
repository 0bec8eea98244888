package config

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/pattern"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// maxACMENames is how many names one certificate may have: the bound of Let's Encrypt.
const maxACMENames = 100

// checkACME says what is wrong with a certificate that is to be obtained.
func checkACME(certificate *configv1.Certificate) []configv1.FieldViolation {
	var violations []configv1.FieldViolation
	refuse := func(field, rule, message string) {
		violations = append(violations, configv1.FieldViolation{Field: field, Rule: rule, Message: message})
	}
	if certificate.GetPrivateKeyPem() != "" {
		refuse("private_key_pem", ruleACME, "must be empty with acme: the control plane makes the key")
	}
	switch n := len(certificate.GetServerNames()); {
	case n == 0:
		refuse("server_names", ruleRequired, "at least one name is required with acme: the names to obtain the certificate for")
	case n > maxACMENames:
		refuse("server_names", ruleACME, fmt.Sprintf("at most %d names with acme", maxACMENames))
	}
	seen := map[string]bool{}
	for i, name := range certificate.GetServerNames() {
		field := fmt.Sprintf("server_names[%d]", i)
		if problem := problemOfACMEName(name); problem != "" {
			refuse(field, ruleACME, problem)
		} else if seen[strings.ToLower(name)] {
			refuse(field, ruleDuplicate, "is given more than once")
		}
		seen[strings.ToLower(name)] = true
	}
	if ca := certificate.GetAcme().GetCaPem(); ca != "" {
		if _, err := parseChain(ca); err != nil {
			refuse("acme.ca_pem", rulePEM, err.Error())
		}
	}
	return violations
}

// nameSource says of the schema's rule that a certificate is either given or obtained which field is at fault.
func nameSource(certificate *configv1.Certificate, fields []configv1.FieldViolation) []configv1.FieldViolation {
	for i, field := range fields {
		switch {
		case field.Rule != ruleOneOf:
		case certificate.GetAcme() == nil:
			fields[i] = configv1.FieldViolation{
				Field: "certificate_pem", Rule: ruleRequired, Message: "a certificate is required, or acme to obtain one",
			}
		default:
			fields[i] = configv1.FieldViolation{
				Field: "acme", Rule: ruleACME, Message: "cannot stand beside certificate_pem: a certificate is either given or obtained",
			}
		}
	}
	return fields
}

func problemOfACMEName(name string) string {
	switch {
	case strings.Contains(name, "*"):
		return "a wildcard can be proved by DNS only, which is not supported; list the names, or give the certificate as certificate_pem"
	case !strings.Contains(name, "."), strings.HasSuffix(name, "."):
		return "must be a full domain name such as shop.example.com"
	}
	if parsed, err := pattern.ParseHost(strings.ToLower(name)); err != nil {
		return "must be a domain name in ASCII (xn--… for others): " + err.Error()
	} else if last := name[strings.LastIndexByte(name, '.')+1:]; parsed.String() == "" || strings.Trim(last, "0123456789") == "" {
		return "must be a domain name, not an address"
	}
	return ""
}

// appendIssuance notes what becomes of a certificate's issuance with an edit, and returns what else the fast lane gets.
func (d *draft) appendIssuance(ctx context.Context, e *edit) ([]store.LaneWrite, error) {
	former, _ := d.former[e.Key].(*configv1.Certificate)
	spec, _ := e.spec.(*configv1.Certificate)
	if former.GetAcme() == nil && spec.GetAcme() == nil {
		return nil, nil
	}
	// The lane comes before the issuance, as with those who obtain certificates; and nobody adds a challenge meanwhile.
	if _, err := d.tx.LockLane(ctx, d.fleet.ID); err != nil {
		return nil, err
	}
	if e.delete || spec.GetAcme() == nil {
		if err := d.tx.DropACME(ctx, d.fleet.ID, e.Name); err != nil {
			return nil, err
		}
		return d.tx.ACMERemains(ctx, d.fleet.ID, e.Name)
	}
	if former.GetCertificatePem() == "" {
		return nil, d.tx.WantACME(ctx, d.fleet.ID, e.Name, spec, nil)
	}
	// What was given stays until the first is obtained.
	leaf, err := leafOf(former)
	if err != nil {
		return nil, err
	}
	write, err := d.issuedWrite(e.Name, former)
	if err != nil {
		return nil, err
	}
	return []store.LaneWrite{write}, d.tx.WantACME(ctx, d.fleet.ID, e.Name, spec, &leaf.NotAfter)
}

// issuedWrite puts a certificate that was given in the place of one that was obtained.
func (d *draft) issuedWrite(name string, given *configv1.Certificate) (store.LaneWrite, error) {
	key := revision.Key{Kind: configv1.Kind_KIND_ISSUED_CERTIFICATE, Name: name}
	body, err := proto.Marshal(&configv1.Certificate{CertificatePem: given.GetCertificatePem(), PrivateKeyPem: given.GetPrivateKeyPem()})
	if err != nil {
		return store.LaneWrite{}, fmt.Errorf("encoding %s: %w", key, err)
	}
	sealed, err := d.service.seal(d.fleet.ID, key, body)
	return store.LaneWrite{Key: key, Body: sealed}, err
}

// RenewCertificate has a certificate obtained anew at once, and returns it as it is until then. store.ErrNotFound: there is none.
func (s *Service) RenewCertificate(ctx context.Context, fleet, name string) (Resource, error) {
	key := revision.Key{Kind: configv1.Kind_KIND_CERTIFICATE, Name: name}
	var found Resource
	err := s.changeFleet(ctx, fleet, func(tx *store.Tx, fleet store.Fleet, head store.Head) error {
		var err error
		if found, err = s.getFast(ctx, tx, fleet, head, key); err != nil {
			return err
		}
		if found.Issuance == nil {
			return refused([]Violation{{
				Resource: key.String(), Field: "spec.acme", Rule: ruleACME, Message: "the certificate was given, so it cannot be obtained anew: give another",
			}})
		}
		if err := tx.RenewACME(ctx, fleet.ID, name); err != nil {
			return err
		}
		found, err = s.getFast(ctx, tx, fleet, head, key)
		return err
	})
	return found, err
}

// addIssuances says of certificates that are obtained how that stands.
func (s *Service) addIssuances(ctx context.Context, tx *store.Tx, fleetID int64, resources []Resource) error {
	var names []string
	for _, resource := range resources {
		if certificate, ok := resource.Spec.(*configv1.Certificate); ok && certificate.GetAcme() != nil {
			names = append(names, resource.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	issuances, err := tx.ACMECertificates(ctx, fleetID, names)
	if err != nil {
		return err
	}
	for i := range resources {
		issuance, ok := issuances[resources[i].Name]
		if !ok || resources[i].Kind != configv1.Kind_KIND_CERTIFICATE {
			continue
		}
		resources[i].Issuance = &issuance
		if issuance.NotAfter == nil {
			resources[i].State = StatePending
		} else {
			resources[i].NotAfter = *issuance.NotAfter
		}
	}
	return nil
}
