package fleet_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// sealedWrite writes a sealed resource of the lane; nil deletes it.
func (p *plane) sealedWrite(kind configv1.Kind, name string, spec proto.Message) store.LaneWrite {
	p.t.Helper()
	write := store.LaneWrite{Key: revision.Key{Kind: kind, Name: name}, Delete: spec == nil}
	if spec == nil {
		return write
	}
	var err error
	if write.Body, err = p.keyring.Seal(p.encode(spec), keyring.ResourceContext(p.fleet.ID, kind, name)); err != nil {
		p.t.Fatal(err)
	}
	return write
}

func TestACertificateThatIsObtainedReachesAgentsAsOne(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	const settings, material = configv1.Kind_KIND_CERTIFICATE, configv1.Kind_KIND_ISSUED_CERTIFICATE
	obtain := &configv1.Certificate{ServerNames: []string{"shop.example"}, Acme: &configv1.Acme{}}
	agent := p.enrolled(address, "one")
	agent.connect(address)
	agent.nextDesired()
	shown := func(write store.LaneWrite) *agentv1.LaneEntry {
		t.Helper()
		sequence := p.lane(write)
		for agent.laneSeen < sequence {
			if _, err := agent.next(); err != nil {
				t.Fatal(err)
			}
		}
		return agent.lane["shop"]
	}
	if entry := shown(p.sealedWrite(settings, "shop", obtain)); entry != nil {
		t.Errorf("before it is obtained: %v", entry)
	}
	entry := shown(p.sealedWrite(material, "shop", &configv1.Certificate{CertificatePem: "C1", PrivateKeyPem: "K1"}))
	if entry.GetKind() != settings || entry.GetCertificate().GetCertificatePem() != "C1" || entry.GetCertificate().GetPrivateKeyPem() != "K1" {
		t.Errorf("obtained: %v", entry)
	}
	mutual := proto.CloneOf(obtain)
	mutual.ClientAuth = &configv1.ClientAuth{CaPem: "CA"}
	entry = shown(p.sealedWrite(settings, "shop", mutual))
	if entry.GetCertificate().GetCertificatePem() != "C1" || entry.GetCertificate().GetClientCaPem() != "CA" {
		t.Errorf("with other settings: %v", entry)
	}
	entry = shown(p.sealedWrite(material, "shop", &configv1.Certificate{CertificatePem: "C2", PrivateKeyPem: "K2"}))
	if entry.GetCertificate().GetCertificatePem() != "C2" || !entry.GetCertificate().GetClientCertificateRequired() {
		t.Errorf("renewed: %v", entry)
	}

	// One that comes later gets it once, whole.
	late := p.enrolled(address, "two")
	late.connect(address)
	late.nextDesired()
	if got := late.lane["shop"].GetCertificate(); got.GetCertificatePem() != "C2" || got.GetClientCaPem() != "CA" {
		t.Errorf("to a late agent: %v", got)
	}

	// Given again: what was obtained, and its end, change nothing.
	shown(p.sealedWrite(settings, "shop", &configv1.Certificate{CertificatePem: "G", PrivateKeyPem: "K"}))
	entry = shown(p.sealedWrite(material, "shop", nil))
	if entry.GetCertificate().GetCertificatePem() != "G" {
		t.Errorf("given: %v", entry)
	}
	if entry := shown(p.sealedWrite(settings, "shop", nil)); entry != nil {
		t.Errorf("deleted: %v", entry)
	}
}

func TestChallengesReachAgents(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	expires := time.Now().Add(time.Hour).Unix()
	p.lane(p.sealedWrite(configv1.Kind_KIND_ACME_CHALLENGE, "token", &agentv1.AcmeChallengeMaterial{KeyAuthorization: "token.print", ExpiresAt: expires}))
	agent := p.enrolled(address, "one")
	agent.connect(address)
	agent.nextDesired()
	got := agent.lane["token"].GetAcmeChallenge()
	if got.GetKeyAuthorization() != "token.print" || got.GetExpiresAt() != expires {
		t.Errorf("%v", agent.lane["token"])
	}
}
