package fleet_test

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
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/protobuf/proto"

	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// fakeAgent speaks the agent's side of the protocol, checks what it gets as an agent must, and holds what it got.
type fakeAgent struct {
	t           testing.TB
	id, fleet   string
	certificate tls.Certificate
	authorities *x509.CertPool
	signing     ed25519.PublicKey

	contents map[int64]*revision.Content // by revision
	lane     map[string]*agentv1.LaneEntry
	laneSeen int64
	epoch    int64
	desired  *agentv1.DesiredState
	pending  revision.Delta
	begun    *agentv1.PartialContent // what has come of a transfer
	parts    *agentv1.PartialLane    // what has come of a lane from nothing
	welcome  *agentv1.Welcome
	cut      context.CancelFunc // breaks the stream

	bytes    int // received since connect
	upserts  int // resources received since connect
	messages <-chan received
	stream   grpc.BidiStreamingClient[agentv1.ConnectRequest, agentv1.ConnectResponse]
}

type received struct {
	message *agentv1.ConnectResponse
	err     error
}

// trusting is what an agent trusts before it has enrolled: whoever shows the authority that the join token names.
func trusting(token string) *tls.Config {
	_, pin, _ := strings.Cut(token, ".")
	return &tls.Config{
		MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, ServerName: "127.0.0.1",
		VerifyConnection: func(state tls.ConnectionState) error {
			roots := x509.NewCertPool()
			for _, certificate := range state.PeerCertificates {
				if digest := sha256.Sum256(certificate.Raw); hex.EncodeToString(digest[:]) == pin {
					roots.AddCert(certificate)
				}
			}
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: "127.0.0.1"})
			return err
		},
	}
}

func dial(t testing.TB, address string, config *tls.Config) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(credentials.NewTLS(config)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	return connection
}

func signingRequest(t testing.TB) ([]byte, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return request, key
}

func enrol(t testing.TB, address, token, name string) (*fakeAgent, error) {
	t.Helper()
	request, key := signingRequest(t)
	client := agentv1.NewEnrolmentServiceClient(dial(t, address, trusting(token)))
	response, err := client.Enroll(t.Context(), &agentv1.EnrollRequest{
		JoinToken: token, CertificateSigningRequest: request, Name: name, Labels: map[string]string{"zone": "a"},
	})
	if err != nil {
		return nil, err
	}
	agent := &fakeAgent{
		t: t, id: response.GetAgentId(), fleet: response.GetFleet(),
		certificate: tls.Certificate{Certificate: response.GetCredentials().GetCertificateChain(), PrivateKey: key},
		authorities: x509.NewCertPool(),
		signing:     response.GetCredentials().GetSigningKeys()[0].GetPublicKey(),
		contents:    map[int64]*revision.Content{}, lane: map[string]*agentv1.LaneEntry{},
	}
	for _, authority := range response.GetCredentials().GetAuthorities() {
		parsed, err := x509.ParseCertificate(authority)
		if err != nil {
			t.Fatal(err)
		}
		agent.authorities.AddCert(parsed)
	}
	return agent, nil
}

func (p *plane) enrolled(address, name string) *fakeAgent {
	p.t.Helper()
	agent, err := enrol(p.t, address, p.joinToken(), name)
	if err != nil {
		p.t.Fatal(err)
	}
	return agent
}

func (a *fakeAgent) tls() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: a.authorities, ServerName: "127.0.0.1", Certificates: []tls.Certificate{a.certificate},
	}
}

// open opens the stream without a word.
func (a *fakeAgent) open(address string) {
	a.t.Helper()
	ctx, cancel := context.WithCancel(a.t.Context())
	a.t.Cleanup(cancel)
	messages := make(chan received, 64)
	a.messages, a.bytes, a.upserts, a.cut = messages, 0, 0, cancel
	stream, err := agentv1.NewAgentServiceClient(dial(a.t, address, a.tls())).Connect(ctx)
	if err != nil {
		messages <- received{err: err}
		return
	}
	a.stream = stream
	go func() {
		defer close(messages)
		for {
			message, err := stream.Recv()
			select {
			case messages <- received{message, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
}

// connect opens the stream and says hello with what it holds.
func (a *fakeAgent) connect(address string) {
	a.t.Helper()
	a.open(address)
	hello := &agentv1.Hello{
		BootId: "boot", Version: "test", PluginTypes: []string{"key-auth"}, Listeners: []string{"127.0.0.1:8080"},
		LaneSequence: a.laneSeen, Epoch: a.epoch, Generation: a.desired.GetGeneration(), Labels: map[string]string{"zone": "b"},
		PartialContent: a.begun, PartialLane: a.parts,
	}
	for number, content := range a.contents {
		root := content.Root()
		hello.Holds = append(hello.Holds, &agentv1.RevisionReference{Revision: number, Root: root[:]})
	}
	a.say(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Hello{Hello: hello}})
}

func (a *fakeAgent) say(request *agentv1.ConnectRequest) {
	a.t.Helper()
	if err := a.stream.Send(request); err != nil {
		a.t.Fatal(err)
	}
}

// next takes one message.
func (a *fakeAgent) next() (*agentv1.ConnectResponse, error) {
	a.t.Helper()
	select {
	case got := <-a.messages:
		if got.err != nil {
			return nil, got.err
		}
		a.bytes += proto.Size(got.message)
		a.take(got.message)
		return got.message, nil
	case <-time.After(10 * time.Second):
		a.t.Fatal("the control plane says nothing")
		return nil, nil
	}
}

// nextDesired takes messages up to the next desired state.
func (a *fakeAgent) nextDesired() *agentv1.DesiredState {
	a.t.Helper()
	for {
		message, err := a.next()
		if err != nil {
			a.t.Fatal(err)
		}
		if message.GetDesiredState() != nil {
			return a.desired
		}
	}
}

// untilStable takes messages up to a state with that stable revision.
func (a *fakeAgent) untilStable(number int64) *agentv1.DesiredState {
	a.t.Helper()
	for a.desired.GetStable().GetRevision() != number {
		a.nextDesired()
	}
	return a.desired
}

func (a *fakeAgent) take(message *agentv1.ConnectResponse) {
	a.t.Helper()
	switch kind := message.GetMessage().(type) {
	case *agentv1.ConnectResponse_Welcome:
		a.welcome = kind.Welcome
	case *agentv1.ConnectResponse_LaneBatch:
		a.takeLane(kind.LaneBatch)
	case *agentv1.ConnectResponse_Content:
		a.takeContent(kind.Content)
	case *agentv1.ConnectResponse_DesiredState:
		a.takeDesired(kind.DesiredState)
	}
}

func (a *fakeAgent) verify(signed *agentv1.Signed, into proto.Message) {
	a.t.Helper()
	name := into.ProtoReflect().Descriptor().FullName()
	if !ed25519.Verify(a.signing, agentv1.SignedBytes(name, signed.GetPayload()), signed.GetSignature()) {
		a.t.Fatalf("a %s with a wrong signature", name)
	}
	if err := proto.Unmarshal(signed.GetPayload(), into); err != nil {
		a.t.Fatal(err)
	}
}

func (a *fakeAgent) takeLane(signed *agentv1.Signed) {
	a.t.Helper()
	batch := &agentv1.LaneBatch{}
	a.verify(signed, batch)
	if batch.GetReset_() {
		a.lane, a.laneSeen = map[string]*agentv1.LaneEntry{}, 0
	}
	if a.parts != nil && !batch.GetReset_() {
		a.laneSeen = a.parts.GetThroughSequence()
	}
	if batch.GetAfterSequence() != a.laneSeen || batch.GetFleet() != a.fleet {
		a.t.Fatalf("a part of the lane of %q after %d, but the agent of %q is at %d", batch.GetFleet(), batch.GetAfterSequence(), a.fleet, a.laneSeen)
	}
	last := a.laneSeen
	for _, entry := range batch.GetEntries() {
		if entry.GetSequence() <= last || entry.GetSequence() > batch.GetThroughSequence() {
			a.t.Fatalf("entry %d does not belong after %d, through %d", entry.GetSequence(), last, batch.GetThroughSequence())
		}
		last = entry.GetSequence()
		a.lane[entry.GetName()] = entry
		if entry.GetDeleted() {
			delete(a.lane, entry.GetName())
		}
	}
	a.laneSeen, a.epoch = batch.GetThroughSequence(), batch.GetEpoch()
	if a.parts = nil; batch.GetIncomplete() {
		a.parts = &agentv1.PartialLane{Epoch: batch.GetEpoch(), ThroughSequence: batch.GetThroughSequence()}
		a.laneSeen = 0 // nothing takes effect before all of it
	}
}

func (a *fakeAgent) takeContent(chunk *agentv1.ContentChunk) {
	a.t.Helper()
	if chunk.GetIndex() == 0 {
		a.pending, a.begun = revision.Delta{}, nil
	}
	if chunk.GetIndex() != a.begun.GetChunks() {
		a.t.Fatalf("chunk %d came where %d was due", chunk.GetIndex(), a.begun.GetChunks())
	}
	a.upserts += len(chunk.GetUpserts())
	a.noteChunk(chunk)
	for _, resource := range chunk.GetUpserts() {
		key := revision.Key{Kind: resource.GetKind(), Name: resource.GetName()}
		a.pending.Upserts = append(a.pending.Upserts, revision.Resource{Key: key, Body: resource.GetBody()})
	}
	for _, gone := range chunk.GetDeletes() {
		a.pending.Deletes = append(a.pending.Deletes, revision.Key{Kind: gone.GetKind(), Name: gone.GetName()})
	}
	if !chunk.GetLast() {
		return
	}
	base := revision.NewContent()
	if from := chunk.GetFrom().GetRevision(); from != 0 {
		if base = a.contents[from]; base == nil {
			a.t.Fatalf("a delta from revision %d, which the agent does not hold", from)
		}
	}
	content := base.Apply(a.pending)
	if root := content.Root(); string(root[:]) != string(chunk.GetTo().GetRoot()) {
		a.t.Fatalf("revision %d does not have its root", chunk.GetTo().GetRevision())
	}
	a.contents[chunk.GetTo().GetRevision()], a.pending, a.begun = content, revision.Delta{}, nil
}

// noteChunk notes how far a transfer has come, as a hello tells it.
func (a *fakeAgent) noteChunk(chunk *agentv1.ContentChunk) {
	var delta revision.Delta
	for _, resource := range chunk.GetUpserts() {
		key := revision.Key{Kind: resource.GetKind(), Name: resource.GetName()}
		delta.Upserts = append(delta.Upserts, revision.Resource{Key: key, Body: resource.GetBody()})
	}
	for _, gone := range chunk.GetDeletes() {
		delta.Deletes = append(delta.Deletes, revision.Key{Kind: gone.GetKind(), Name: gone.GetName()})
	}
	var before revision.Digest
	copy(before[:], a.begun.GetDigest())
	after := revision.NextChunk(before, delta)
	a.begun = &agentv1.PartialContent{From: chunk.GetFrom(), To: chunk.GetTo(), Chunks: chunk.GetIndex() + 1, Digest: after[:]}
}

// takeDesired takes a state as an agent must: only with the content and the lane that it needs; it lets go of the rest.
func (a *fakeAgent) takeDesired(signed *agentv1.Signed) {
	a.t.Helper()
	state := &agentv1.DesiredState{}
	a.verify(signed, state)
	if state.GetAgentId() != a.id || state.GetFleet() != a.fleet {
		a.t.Fatalf("a state for agent %s of %s", state.GetAgentId(), state.GetFleet())
	}
	keep := map[int64]bool{}
	for _, wanted := range []*agentv1.RevisionReference{state.GetStable(), state.GetCandidate()} {
		if wanted.GetRevision() == 0 {
			continue
		}
		keep[wanted.GetRevision()] = true
		if a.contents[wanted.GetRevision()] == nil || a.laneSeen < wanted.GetLaneSequence() {
			a.t.Fatalf("revision %d came before what it needs", wanted.GetRevision())
		}
	}
	for number := range a.contents {
		if !keep[number] {
			delete(a.contents, number)
		}
	}
	a.desired = state
}

func (a *fakeAgent) serving() *agentv1.Serving {
	return &agentv1.Serving{
		StableRevision: a.desired.GetStable().GetRevision(), CandidateRevision: a.desired.GetCandidate().GetRevision(),
		CandidateSharePpm: a.desired.GetCandidateSharePpm(), LaneSequence: a.laneSeen,
	}
}

func (a *fakeAgent) acknowledge(status agentv1.Acknowledgement_Status, serving *agentv1.Serving, faults ...*agentv1.ResourceError) {
	a.t.Helper()
	a.say(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Acknowledgement{Acknowledgement: &agentv1.Acknowledgement{
		Epoch: a.desired.GetEpoch(), Generation: a.desired.GetGeneration(), Status: status, Serving: serving, Errors: faults,
	}}})
}

// ended takes messages until the stream ends, and returns why.
func (a *fakeAgent) ended() error {
	a.t.Helper()
	for {
		if _, err := a.next(); err != nil {
			return err
		}
	}
}
