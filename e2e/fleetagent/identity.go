package fleetagent

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// Dialer makes the connections of an agent. A test puts its own between an agent and the control plane to part them.
type Dialer func(ctx context.Context, address string) (net.Conn, error)

// Identity is who an agent is, and whom it believes. It is immutable.
type Identity struct {
	AgentID, Fleet string

	certificate *tls.Certificate
	authorities *x509.CertPool
	signingKeys map[string]ed25519.PublicKey
}

// Enrolment is how an agent asks to join a fleet.
type Enrolment struct {
	// Address is the control plane's for agents, host:port.
	Address string
	// JoinToken works once.
	JoinToken string
	// Name is unique in the fleet.
	Name   string
	Labels map[string]string
	// Dial may be nil.
	Dial Dialer
}

// Enroll trades the join token for an identity, with a key that is made for it.
func Enroll(ctx context.Context, e Enrolment) (*Identity, error) {
	_, pin, _ := strings.Cut(e.JoinToken, ".")
	host, _, err := net.SplitHostPort(e.Address)
	if err != nil {
		return nil, fmt.Errorf("enrolling %s: %w", e.Name, err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key of %s: %w", e.Name, err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("making the certificate signing request of %s: %w", e.Name, err)
	}
	connection, err := dial(e.Address, pinned(host, pin), e.Dial)
	if err != nil {
		return nil, err
	}
	defer func() { _ = connection.Close() }()
	answer, err := agentv1.NewEnrolmentServiceClient(connection).Enroll(ctx, &agentv1.EnrollRequest{
		JoinToken: e.JoinToken, CertificateSigningRequest: request, Name: e.Name, Labels: e.Labels,
	}, grpc.WaitForReady(true))
	if err != nil {
		return nil, fmt.Errorf("enrolling %s: %w", e.Name, err)
	}
	return newIdentity(answer, key)
}

func newIdentity(answer *agentv1.EnrollResponse, key *ecdsa.PrivateKey) (*Identity, error) {
	identity := &Identity{
		AgentID: answer.GetAgentId(), Fleet: answer.GetFleet(),
		certificate: &tls.Certificate{Certificate: answer.GetCredentials().GetCertificateChain(), PrivateKey: key},
		authorities: x509.NewCertPool(), signingKeys: map[string]ed25519.PublicKey{},
	}
	for _, der := range answer.GetCredentials().GetAuthorities() {
		authority, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, fmt.Errorf("reading an authority: %w", err)
		}
		identity.authorities.AddCert(authority)
	}
	for _, signing := range answer.GetCredentials().GetSigningKeys() {
		identity.signingKeys[signing.GetId()] = signing.GetPublicKey()
	}
	return identity, nil
}

// pinned trusts the authority that the join token names, which the server shows with its chain.
func pinned(host, pin string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: host,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection checks against the pin
		VerifyConnection: func(state tls.ConnectionState) error {
			for _, certificate := range state.PeerCertificates {
				if digest := sha256.Sum256(certificate.Raw); hex.EncodeToString(digest[:]) == pin {
					authorities := x509.NewCertPool()
					authorities.AddCert(certificate)
					_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: authorities, DNSName: host})
					return err
				}
			}
			return errors.New("the server does not show the authority that the join token names")
		},
	}
}

// connect makes a connection that proves the identity.
func (i *Identity) connect(address string, dialer Dialer) (*grpc.ClientConn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("the control plane's address: %w", err)
	}
	return dial(address, &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: host, RootCAs: i.authorities, Certificates: []tls.Certificate{*i.certificate},
	}, dialer)
}

// largestMessage is what an agent takes, in bytes.
const largestMessage = 16 << 20

func dial(address string, config *tls.Config, dialer Dialer) (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(credentials.NewTLS(config)),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestMessage)),
		// Thousands of agents are in one process: small buffers, and no probing of each connection.
		grpc.WithReadBufferSize(8 << 10), grpc.WithWriteBufferSize(4 << 10),
		grpc.WithDisableServiceConfig(),
	}
	if dialer != nil {
		options = append(options, grpc.WithContextDialer(dialer))
	}
	connection, err := grpc.NewClient("passthrough:///"+address, options...)
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", address, err)
	}
	return connection, nil
}

// open checks a signature and decodes what was signed.
func (i *Identity) open(signed *agentv1.Signed, message proto.Message) error {
	name := message.ProtoReflect().Descriptor().FullName()
	key, known := i.signingKeys[signed.GetKeyId()]
	if !known || !ed25519.Verify(key, agentv1.SignedBytes(name, signed.GetPayload()), signed.GetSignature()) {
		return fmt.Errorf("the signature of %s is wrong", name)
	}
	if err := proto.Unmarshal(signed.GetPayload(), message); err != nil {
		return fmt.Errorf("decoding %s: %w", name, err)
	}
	return nil
}
