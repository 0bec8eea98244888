package controlplanetest

import (
	"errors"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// Session is one configuration stream, after its Hello.
type Session struct {
	Hello *agentv1.Hello

	cp       *ControlPlane
	send     chan *agentv1.ConnectResponse
	received chan *agentv1.ConnectRequest
	end      chan struct{}
}

// Connect implements the protocol: it hands the stream to the test.
func (cp *ControlPlane) Connect(stream agentv1.AgentService_ConnectServer) error {
	if err := authenticated(stream.Context()); err != nil {
		return err
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.GetHello() == nil {
		return status.Error(codes.InvalidArgument, "hello must come first")
	}
	s := &Session{
		Hello: first.GetHello(), cp: cp, send: make(chan *agentv1.ConnectResponse),
		received: make(chan *agentv1.ConnectRequest, 1024), end: make(chan struct{}),
	}
	cp.sessions <- s
	go func() {
		defer close(s.received)
		for {
			request, err := stream.Recv()
			if err != nil {
				return
			}
			s.received <- request
		}
	}()
	for {
		select {
		case response := <-s.send:
			if err := stream.Send(response); err != nil {
				return err
			}
		case <-s.end:
			return nil
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
}

// Accept waits for the next stream.
func (cp *ControlPlane) Accept(t testing.TB) *Session {
	t.Helper()
	select {
	case s := <-cp.sessions:
		return s
	case <-time.After(patience):
		t.Fatal("no agent connected")
		return nil
	}
}

// Send sends a message as it is.
func (s *Session) Send(t testing.TB, response *agentv1.ConnectResponse) {
	t.Helper()
	select {
	case s.send <- response:
	case <-time.After(patience):
		t.Fatal("the stream takes no message")
	}
}

// Close ends the stream from the server's side.
func (s *Session) Close() { close(s.end) }

// Welcome welcomes the agent.
func (s *Session) Welcome(t testing.TB) {
	t.Helper()
	s.Send(t, &agentv1.ConnectResponse{Message: &agentv1.ConnectResponse_Welcome{
		Welcome: &agentv1.Welcome{HeartbeatIntervalMs: 50, KeyHashKey: []byte("0123456789abcdef0123456789abcdef")},
	}})
}

// Lane sends a part of the fast lane, signed.
func (s *Session) Lane(t testing.TB, batch *agentv1.LaneBatch) {
	t.Helper()
	s.Send(t, &agentv1.ConnectResponse{Message: &agentv1.ConnectResponse_LaneBatch{LaneBatch: s.cp.Sign(batch)}})
}

// Desire sends a desired state, signed.
func (s *Session) Desire(t testing.TB, desired *agentv1.DesiredState) {
	t.Helper()
	s.Send(t, &agentv1.ConnectResponse{Message: &agentv1.ConnectResponse_DesiredState{DesiredState: s.cp.Sign(desired)}})
}

// Revision is a content with its number.
type Revision struct {
	Number  int64
	Content *revision.Content
}

// Reference names the revision.
func (r Revision) Reference() *agentv1.RevisionReference {
	root := r.Content.Root()
	return &agentv1.RevisionReference{Revision: r.Number, Root: root[:]}
}

// Content sends the way from one revision to another, one resource a chunk.
func (s *Session) Content(t testing.TB, from, to Revision) {
	t.Helper()
	for _, chunk := range Chunks(from, to) {
		s.Send(t, &agentv1.ConnectResponse{Message: &agentv1.ConnectResponse_Content{Content: chunk}})
	}
}

// Chunks cuts the way from one revision to another into one resource a chunk.
func Chunks(from, to Revision) []*agentv1.ContentChunk {
	var chunks []*agentv1.ContentChunk
	add := func(c *agentv1.ContentChunk) {
		c.From, c.To, c.Index = from.Reference(), to.Reference(), uint32(len(chunks))
		chunks = append(chunks, c)
	}
	delta := revision.Diff(from.Content, to.Content)
	for _, r := range delta.Upserts {
		add(&agentv1.ContentChunk{Upserts: []*agentv1.EncodedResource{{Kind: r.Kind, Name: r.Name, Body: r.Body}}})
	}
	for _, k := range delta.Deletes {
		add(&agentv1.ContentChunk{Deletes: []*agentv1.ResourceName{{Kind: k.Kind, Name: k.Name}}})
	}
	if len(chunks) == 0 {
		add(&agentv1.ContentChunk{})
	}
	chunks[len(chunks)-1].Last = true
	return chunks
}

// Acknowledgement waits for the next one.
func (s *Session) Acknowledgement(t testing.TB) *agentv1.Acknowledgement {
	t.Helper()
	return s.await(t, "an acknowledgement", func(r *agentv1.ConnectRequest) bool { return r.GetAcknowledgement() != nil }).GetAcknowledgement()
}

// Heartbeat waits for one that fits.
func (s *Session) Heartbeat(t testing.TB, fits func(*agentv1.Serving) bool) *agentv1.Heartbeat {
	t.Helper()
	return s.await(t, "a heartbeat", func(r *agentv1.ConnectRequest) bool {
		return r.GetHeartbeat() != nil && fits(r.GetHeartbeat().GetServing())
	}).GetHeartbeat()
}

// LocalActions waits for the next list of what operators did.
func (s *Session) LocalActions(t testing.TB) []*agentv1.LocalAction {
	t.Helper()
	return s.await(t, "local actions", func(r *agentv1.ConnectRequest) bool { return r.GetLocalActions() != nil }).GetLocalActions().GetActions()
}

// StoreLocalActions says that these stand in the audit.
func (s *Session) StoreLocalActions(t testing.TB, actions ...*agentv1.LocalAction) {
	t.Helper()
	stored := &agentv1.LocalActionsStored{}
	for _, a := range actions {
		stored.Actions = append(stored.Actions, &agentv1.LocalActionReference{BootId: a.GetBootId(), Sequence: a.GetSequence()})
	}
	s.Send(t, &agentv1.ConnectResponse{Message: &agentv1.ConnectResponse_LocalActionsStored{LocalActionsStored: stored}})
}

func (s *Session) await(t testing.TB, what string, fits func(*agentv1.ConnectRequest) bool) *agentv1.ConnectRequest {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case r, open := <-s.received:
			if !open {
				t.Fatalf("the stream ended before %s", what)
			}
			if fits(r) {
				return r
			}
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// Ended waits until the agent has ended the stream.
func (s *Session) Ended(t testing.TB) {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case _, open := <-s.received:
			if !open {
				return
			}
		case <-deadline:
			t.Fatal("the stream did not end")
		}
	}
}

// ReportTelemetry implements the protocol: it counts each report once.
func (cp *ControlPlane) ReportTelemetry(stream agentv1.AgentService_ReportTelemetryServer) error {
	if err := authenticated(stream.Context()); err != nil {
		return err
	}
	for {
		report, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if mute := cp.take(report); mute {
			continue
		}
		answer := &agentv1.ReportTelemetryResponse{BootId: report.GetBootId(), AcknowledgedSequence: report.GetSequence()}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

func (cp *ControlPlane) take(report *agentv1.ReportTelemetryRequest) (mute bool) {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	for _, have := range cp.reports {
		if have.GetBootId() == report.GetBootId() && have.GetSequence() == report.GetSequence() {
			return cp.mute
		}
	}
	cp.reports = append(cp.reports, report)
	cp.notify()
	return cp.mute
}

// Mute keeps telemetry from being acknowledged, though it is taken.
func (cp *ControlPlane) Mute(mute bool) {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	cp.mute = mute
}

// Reports are the telemetry reports, each once.
func (cp *ControlPlane) Reports() []*agentv1.ReportTelemetryRequest {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	return append([]*agentv1.ReportTelemetryRequest(nil), cp.reports...)
}
