// Package controlplanetest is a control plane for tests: it speaks the agents' protocol over real TLS sockets, with an
// authority and a signing key of its own, and does exactly what a test tells it.
package controlplanetest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// Fleet and AgentID are who every agent becomes.
const (
	Fleet   = "default"
	AgentID = "agent-1"
)

// patience is how long a test waits for anything.
const patience = 20 * time.Second

// ControlPlane is the server.
type ControlPlane struct {
	agentv1.UnimplementedEnrolmentServiceServer
	agentv1.UnimplementedAgentServiceServer

	// Address is where agents connect.
	Address string

	authority *authority
	signing   ed25519.PrivateKey
	server    *grpc.Server
	sessions  chan *Session

	mu       sync.Mutex
	tokens   map[string]bool // true: used
	lifetime time.Duration
	renewals int
	reports  []*agentv1.ReportTelemetryRequest
	mute     bool
	changed  chan struct{}
}

// Start starts a control plane that ends with the test.
func Start(t testing.TB) *ControlPlane {
	t.Helper()
	_, signing, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cp := &ControlPlane{
		authority: newAuthority(t), signing: signing, sessions: make(chan *Session, 16),
		tokens: make(map[string]bool), lifetime: time.Hour, changed: make(chan struct{}),
	}
	cp.listen(t, "127.0.0.1:0")
	t.Cleanup(func() { cp.server.Stop() })
	return cp
}

func (cp *ControlPlane) listen(t testing.TB, address string) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(context.WithoutCancel(t.Context()), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	cp.Address = listener.Addr().String()
	cp.server = grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cp.authority.server(t)},
		ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: cp.authority.pool(),
	})))
	agentv1.RegisterEnrolmentServiceServer(cp.server, cp)
	agentv1.RegisterAgentServiceServer(cp.server, cp)
	go func() { _ = cp.server.Serve(listener) }() // ends with Stop
}

// Stop takes the control plane away; Restart brings it back at the same address.
func (cp *ControlPlane) Stop() { cp.server.Stop() }

// Restart listens again after Stop.
func (cp *ControlPlane) Restart(t testing.TB) { cp.listen(t, cp.Address) }

// JoinToken makes a token that works once.
func (cp *ControlPlane) JoinToken() string {
	secret := make([]byte, 16)
	rand.Read(secret)
	pin := cp.authority.pin()
	token := "tgj_" + hex.EncodeToString(secret) + "." + hex.EncodeToString(pin[:])
	cp.mu.Lock()
	defer cp.mu.Unlock()
	cp.tokens[token] = false
	return token
}

// SetLifetime is how long the certificates given from now on last.
func (cp *ControlPlane) SetLifetime(d time.Duration) {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	cp.lifetime = d
}

// Renewals is how many certificates were renewed.
func (cp *ControlPlane) Renewals() int {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	return cp.renewals
}

// Sign signs a message as the control plane does.
func (cp *ControlPlane) Sign(message proto.Message) *agentv1.Signed {
	payload, err := proto.Marshal(message)
	if err != nil {
		panic(err) // a message made by a test
	}
	return &agentv1.Signed{
		Payload: payload, KeyId: "k1",
		Signature: ed25519.Sign(cp.signing, agentv1.SignedBytes(message.ProtoReflect().Descriptor().FullName(), payload)),
	}
}

// Enroll implements the protocol.
func (cp *ControlPlane) Enroll(_ context.Context, r *agentv1.EnrollRequest) (*agentv1.EnrollResponse, error) {
	cp.mu.Lock()
	used, known := cp.tokens[r.GetJoinToken()]
	cp.tokens[r.GetJoinToken()] = true
	cp.mu.Unlock()
	if !known || used {
		return nil, status.Error(codes.PermissionDenied, "the join token is unknown or was used")
	}
	issued, err := cp.issue(r.GetCertificateSigningRequest())
	if err != nil {
		return nil, err
	}
	return &agentv1.EnrollResponse{AgentId: AgentID, Fleet: Fleet, Credentials: issued}, nil
}

// Renew implements the protocol.
func (cp *ControlPlane) Renew(ctx context.Context, r *agentv1.RenewRequest) (*agentv1.RenewResponse, error) {
	if err := authenticated(ctx); err != nil {
		return nil, err
	}
	issued, err := cp.issue(r.GetCertificateSigningRequest())
	if err != nil {
		return nil, err
	}
	cp.mu.Lock()
	defer cp.mu.Unlock()
	cp.renewals++
	cp.notify()
	return &agentv1.RenewResponse{Credentials: issued}, nil
}

func (cp *ControlPlane) issue(request []byte) (*agentv1.Credentials, error) {
	cp.mu.Lock()
	lifetime := cp.lifetime
	cp.mu.Unlock()
	chain, err := cp.authority.agent(request, lifetime)
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	public, ok := cp.signing.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("not an Ed25519 key")
	}
	return &agentv1.Credentials{
		CertificateChain: chain, Authorities: [][]byte{cp.authority.certificate.Raw},
		SigningKeys: []*agentv1.SigningKey{{Id: "k1", PublicKey: public}},
	}, nil
}

// notify wakes those who wait for something to change. The caller holds mu.
func (cp *ControlPlane) notify() {
	close(cp.changed)
	cp.changed = make(chan struct{})
}

// Wait waits until the condition holds; it is looked at whenever something changes.
func (cp *ControlPlane) Wait(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		cp.mu.Lock()
		changed := cp.changed
		cp.mu.Unlock()
		if condition() {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func authenticated(ctx context.Context) error {
	certificate, err := peerCertificate(ctx)
	if err != nil {
		return err
	}
	if len(certificate.URIs) != 1 || certificate.URIs[0].String() != agentURI().String() {
		return status.Error(codes.Unauthenticated, "the certificate is not an agent's")
	}
	return nil
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}
