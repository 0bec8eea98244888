package fleet_test

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tidegate.dev/controlplane/fleet"
	"tidegate.dev/controlplane/keyring"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

func TestAJoinTokenWorksOnce(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	token := p.joinToken()
	var joined atomic.Int32
	var group sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		group.Go(func() {
			_, err := enrol(t, address, token, name)
			if err == nil {
				joined.Add(1)
			} else {
				wantCode(t, err, codes.PermissionDenied)
			}
		})
	}
	group.Wait()
	if joined.Load() != 1 {
		t.Errorf("%d agents joined with one token", joined.Load())
	}
	if agents, err := p.directory.Agents(t.Context(), "default", "", 10); err != nil || len(agents) != 1 {
		t.Errorf("%d agents, %v", len(agents), err)
	}
}

func TestATokenThatIsNotGoodLetsNobodyIn(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	expired := p.joinToken()
	connection, err := pgx.Connect(t.Context(), p.databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close(t.Context()) }()
	if _, err := connection.Exec(t.Context(), "UPDATE join_tokens SET expires_at = now() - interval '1 second'"); err != nil {
		t.Fatal(err)
	}
	_, pin, _ := strings.Cut(expired, ".")
	for name, token := range map[string]string{
		"expired": expired,
		"made up": "tgj_" + strings.Repeat("a", 43) + "." + pin,
		"noise":   "noise." + pin,
	} {
		_, err := enrol(t, address, token, "one")
		if wantCode(t, err, codes.PermissionDenied); !strings.Contains(status.Convert(err).Message(), "unknown, was used or has expired") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABadRequestLeavesTheTokenGood(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	token := p.joinToken()
	client := agentv1.NewEnrolmentServiceClient(dial(t, address, trusting(token)))
	_, err := client.Enroll(t.Context(), &agentv1.EnrollRequest{JoinToken: token, CertificateSigningRequest: []byte("x"), Name: "one"})
	wantCode(t, err, codes.InvalidArgument)
	_, err = client.Enroll(t.Context(), &agentv1.EnrollRequest{JoinToken: token, CertificateSigningRequest: []byte("x")})
	wantCode(t, err, codes.InvalidArgument)
	if _, err := enrol(t, address, token, "one"); err != nil {
		t.Error(err)
	}
}

func TestALostAgentsNameCanBeTakenAndAConnectedOnesNot(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	first := p.enrolled(address, "one")
	second := p.enrolled(address, "one")
	first.open(address)
	wantCode(t, first.ended(), codes.Unauthenticated)
	second.connect(address)
	second.nextDesired()
	token := p.joinToken()
	_, err := enrol(t, address, token, "one")
	wantCode(t, err, codes.AlreadyExists)
	if _, err := enrol(t, address, token, "two"); err != nil {
		t.Errorf("the token of the refused enrolment: %v", err)
	}
}

func TestAnAgentThatPinsAnotherAuthorityDoesNotEnrol(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	secret, _, _ := strings.Cut(p.joinToken(), ".")
	_, err := enrol(t, address, secret+"."+strings.Repeat("0", 64), "one")
	wantCode(t, err, codes.Unavailable)
	if agents, err := p.directory.Agents(t.Context(), "default", "", 10); err != nil || len(agents) != 0 {
		t.Errorf("%d agents, %v", len(agents), err)
	}
}

func TestOnlyAnAgentsCertificateOpensAStream(t *testing.T) {
	t.Parallel()
	p, other := newPlane(t), newPlane(t)
	address := p.start("a").address
	agent, stranger := p.enrolled(address, "one"), other.enrolled(other.start("a").address, "one")

	without := *agent
	without.certificate = tls.Certificate{}
	without.open(address)
	wantCode(t, without.ended(), codes.Unauthenticated)

	stranger.authorities = agent.authorities
	stranger.open(address)
	wantCode(t, stranger.ended(), codes.Unavailable) // the handshake fails

	request, key := signingRequest(t)
	chain, _, err := p.keyring.Authority().IssueAgent(request, keyring.Identity{Fleet: "another", AgentID: agent.id}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := *agent
	elsewhere.certificate = tls.Certificate{Certificate: chain, PrivateKey: key}
	elsewhere.open(address)
	wantCode(t, elsewhere.ended(), codes.Unauthenticated)
}

func TestACertificateIsRenewed(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	agent := p.enrolled(address, "one")
	before := p.agent(agent.id).CertificateExpiresAt
	request, key := signingRequest(t)
	response, err := agentv1.NewEnrolmentServiceClient(dial(t, address, agent.tls())).Renew(t.Context(),
		&agentv1.RenewRequest{CertificateSigningRequest: request})
	if err != nil {
		t.Fatal(err)
	}
	chain := response.GetCredentials().GetCertificateChain()
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		t.Fatal(err)
	}
	if identity, err := keyring.ParseIdentity(leaf); err != nil || identity.AgentID != agent.id || identity.Fleet != "default" {
		t.Errorf("%+v, %v", identity, err)
	}
	agent.certificate = tls.Certificate{Certificate: chain, PrivateKey: key}
	agent.connect(address)
	agent.nextDesired()
	if after := p.agent(agent.id).CertificateExpiresAt; after.Before(before) || after.Sub(leaf.NotAfter).Abs() > time.Second {
		t.Errorf("the certificate is said to end at %v, and before that at %v", after, before)
	}

	nobody := agentv1.NewEnrolmentServiceClient(dial(t, address, trusting(p.joinToken())))
	_, err = nobody.Renew(t.Context(), &agentv1.RenewRequest{CertificateSigningRequest: request})
	wantCode(t, err, codes.Unauthenticated)
}

func TestTheDirectoryShowsWhatIs(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	address := p.start("a").address
	p.publish(map[string]string{"a": "http://127.0.0.1:1"})
	agent := p.enrolled(address, "one")
	p.enrolled(address, "two")
	if state := fleet.AgentState(p.agent(agent.id)); state != "disconnected" {
		t.Errorf("state %q", state)
	}
	agent.connect(address)
	agent.untilStable(1)
	shown, err := p.directory.Fleet(t.Context(), "default")
	if err != nil || shown.AgentsTotal != 2 || shown.AgentsConnected != 1 || shown.Head.Stable != 1 || shown.ActiveRollout != 0 {
		t.Errorf("%+v, %v", shown, err)
	}
	if state := fleet.AgentState(p.agent(agent.id)); state != "connected" {
		t.Errorf("state %q", state)
	}
	if _, err := p.directory.Drain(t.Context(), "default", agent.id, true); err != nil {
		t.Fatal(err)
	}
	if state := fleet.AgentState(p.agent(agent.id)); state != "draining" {
		t.Errorf("state %q", state)
	}
	agents, err := p.directory.Agents(t.Context(), "default", "one", 10)
	if err != nil || len(agents) != 1 || agents[0].Name != "two" {
		t.Errorf("%v, %v", agents, err)
	}
	if _, err := p.directory.CreateFleet(t.Context(), "default"); err == nil {
		t.Error("a second fleet of the same name was made")
	}
	for _, lifetime := range []time.Duration{-time.Second, 25 * time.Hour} {
		if _, err := p.directory.CreateJoinToken(t.Context(), "default", "test", lifetime); err == nil {
			t.Errorf("a join token for %v was made", lifetime)
		}
	}
}
