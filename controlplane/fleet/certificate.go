package fleet

import (
	"context"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// addCertificate adds what agents get of a certificate: what was given with it, or what was obtained for it. A certificate that
// is obtained is two resources of the lane, its settings and its material; when either changes, agents get both together, and
// before there are both they get nothing and keep what they have.
func (l *lanes) addCertificate(ctx context.Context, tx *store.Tx, entry *agentv1.LaneEntry, fleetID int64, change store.LaneChange) error {
	own := new(configv1.Certificate)
	if err := l.unseal(fleetID, change, own); err != nil {
		return err
	}
	if change.Kind == configv1.Kind_KIND_ISSUED_CERTIFICATE {
		settings, err := l.certificatePart(ctx, tx, fleetID, configv1.Kind_KIND_CERTIFICATE, change.Name)
		if err != nil || settings.GetAcme() == nil {
			return err // deleted or given meanwhile: its own entry says so
		}
		entry.Material = obtainedMaterial(settings, own)
		return nil
	}
	if own.GetAcme() == nil {
		entry.Material = certificateMaterial(own, own, own.GetServerNames())
		return nil
	}
	obtained, err := l.certificatePart(ctx, tx, fleetID, configv1.Kind_KIND_ISSUED_CERTIFICATE, change.Name)
	if err != nil || obtained == nil {
		return err
	}
	entry.Material = obtainedMaterial(own, obtained)
	return nil
}

// obtainedMaterial: while another is being obtained for other names, this one is shown for its own.
func obtainedMaterial(settings, obtained *configv1.Certificate) *agentv1.LaneEntry_Certificate {
	return certificateMaterial(settings, obtained, nil)
}

// certificateMaterial puts together what agents get: how a certificate is used, and what it is.
func certificateMaterial(settings, material *configv1.Certificate, names []string) *agentv1.LaneEntry_Certificate {
	clients := settings.GetClientAuth()
	return &agentv1.LaneEntry_Certificate{Certificate: &agentv1.CertificateMaterial{
		ServerNames: names, CertificatePem: material.GetCertificatePem(), PrivateKeyPem: material.GetPrivateKeyPem(),
		OcspResponse: material.GetOcspResponse(),
		ClientCaPem:  clients.GetCaPem(), ClientCertificateRequired: clients != nil && clients.GetMode() != "request",
	}}
}

// certificatePart is one of the two parts of a certificate; nil if the lane does not hold it.
func (l *lanes) certificatePart(ctx context.Context, tx *store.Tx, fleetID int64, kind configv1.Kind, name string) (*configv1.Certificate, error) {
	key := revision.Key{Kind: kind, Name: name}
	found, err := tx.Lane(ctx, fleetID, []revision.Key{key})
	if err != nil {
		return nil, err
	}
	version, ok := found[key]
	if !ok || version.Deleted {
		return nil, nil //nolint:nilnil // there is none
	}
	part := new(configv1.Certificate)
	return part, l.unseal(fleetID, store.LaneChange{Kind: kind, Name: name, Body: version.Body}, part)
}
