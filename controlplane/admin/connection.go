package admin

import (
	"context"
	"errors"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// connection calls the services in this process: through the interceptors, without a wire between. It is what the gateway
// takes for a connection to a server. The context goes through as it is, so what the HTTP handler knows of the caller arrives.
type connection struct {
	unary   grpc.UnaryServerInterceptor
	stream  grpc.StreamServerInterceptor
	methods map[string]unaryMethod
	streams map[string]streamMethod
}

type unaryMethod struct {
	service any
	handler grpc.MethodHandler
}

type streamMethod struct {
	service any
	handler grpc.StreamHandler
}

// RegisterService adds a service; the generated RegisterXServer functions call it.
func (c *connection) RegisterService(description *grpc.ServiceDesc, service any) {
	for _, m := range description.Methods {
		c.methods["/"+description.ServiceName+"/"+m.MethodName] = unaryMethod{service, m.Handler}
	}
	for _, m := range description.Streams {
		c.streams["/"+description.ServiceName+"/"+m.StreamName] = streamMethod{service, m.Handler}
	}
}

// Invoke carries out a unary call.
func (c *connection) Invoke(ctx context.Context, name string, request, answer any, options ...grpc.CallOption) error {
	m, ok := c.methods[name]
	if !ok {
		return status.Errorf(codes.Unimplemented, "there is no method %s", name)
	}
	transport := &serverTransport{method: name}
	ctx = grpc.NewContextWithServerTransportStream(asIncoming(ctx), transport)
	made, err := m.handler(m.service, ctx, func(into any) error { return copyMessage(into, request) }, c.unary)
	transport.deliver(options)
	if err != nil {
		return err
	}
	return copyMessage(answer, made)
}

// NewStream begins a call that answers with a stream. There is none in this API that takes one.
func (c *connection) NewStream(ctx context.Context, description *grpc.StreamDesc, name string, _ ...grpc.CallOption) (grpc.ClientStream, error) {
	m, ok := c.streams[name]
	if !ok || description.ClientStreams {
		return nil, status.Errorf(codes.Unimplemented, "there is no method %s that answers with a stream", name)
	}
	s := &stream{
		transport: &serverTransport{method: name},
		requests:  make(chan any, 1), answers: make(chan any), begun: make(chan struct{}), done: make(chan struct{}),
	}
	s.ctx, s.cancel = context.WithCancel(grpc.NewContextWithServerTransportStream(asIncoming(ctx), s.transport))
	go func() {
		defer s.cancel()
		s.err = c.stream(m.service, serverSide{s}, &grpc.StreamServerInfo{FullMethod: name, IsServerStream: true}, m.handler)
		close(s.done)
	}()
	return s, nil
}

// asIncoming makes what a client sends what a server receives.
func asIncoming(ctx context.Context) context.Context {
	outgoing, _ := metadata.FromOutgoingContext(ctx)
	return metadata.NewIncomingContext(metadata.NewOutgoingContext(ctx, nil), outgoing)
}

func copyMessage(into, from any) error {
	target, ok := into.(proto.Message)
	source, alsoOK := from.(proto.Message)
	if !ok || !alsoOK {
		return status.Errorf(codes.Internal, "cannot copy a %T into a %T", from, into)
	}
	proto.Merge(target, source)
	return nil
}

// serverTransport collects the headers that a handler sets.
type serverTransport struct {
	method string

	mu              sync.Mutex
	header, trailer metadata.MD
}

// Method implements grpc.ServerTransportStream.
func (t *serverTransport) Method() string { return t.method }

// SetHeader implements grpc.ServerTransportStream.
func (t *serverTransport) SetHeader(md metadata.MD) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.header = metadata.Join(t.header, md)
	return nil
}

// SendHeader implements grpc.ServerTransportStream.
func (t *serverTransport) SendHeader(md metadata.MD) error { return t.SetHeader(md) }

// SetTrailer implements grpc.ServerTransportStream.
func (t *serverTransport) SetTrailer(md metadata.MD) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.trailer = metadata.Join(t.trailer, md)
	return nil
}

// deliver hands the headers to the caller who asked for them.
func (t *serverTransport) deliver(options []grpc.CallOption) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, option := range options {
		switch o := option.(type) {
		case grpc.HeaderCallOption:
			*o.HeaderAddr = t.header
		case grpc.TrailerCallOption:
			*o.TrailerAddr = t.trailer
		}
	}
}

// stream is the client's side of one streaming call; serverSide is the other.
type stream struct {
	ctx       context.Context
	cancel    context.CancelFunc
	transport *serverTransport
	requests  chan any
	answers   chan any

	beginOnce sync.Once
	begun     chan struct{} // closed with the first answer
	done      chan struct{} // closed when the handler has returned
	err       error         // the handler's; read after done
}

// Header waits until the handler has answered something or failed, so that what fails at once is a plain error to the caller
// and not the last line of a stream.
func (s *stream) Header() (metadata.MD, error) {
	select {
	case <-s.begun:
	case <-s.done:
		if s.err != nil {
			return nil, s.err
		}
	}
	s.transport.mu.Lock()
	defer s.transport.mu.Unlock()
	return s.transport.header, nil
}

// Trailer implements grpc.ClientStream.
func (s *stream) Trailer() metadata.MD { return nil }

// Context implements grpc.ClientStream.
func (s *stream) Context() context.Context { return s.ctx }

// CloseSend implements grpc.ClientStream.
func (s *stream) CloseSend() error { return nil }

// SendMsg implements grpc.ClientStream.
func (s *stream) SendMsg(message any) error {
	s.requests <- message // there is room for the only one
	return nil
}

// RecvMsg implements grpc.ClientStream.
func (s *stream) RecvMsg(into any) error {
	select {
	case answer := <-s.answers:
		return copyMessage(into, answer)
	case <-s.done:
		if s.err != nil {
			return s.err
		}
		return io.EOF
	}
}

type serverSide struct{ s *stream }

// Context implements grpc.ServerStream.
func (s serverSide) Context() context.Context { return s.s.ctx }

// SetHeader implements grpc.ServerStream.
func (s serverSide) SetHeader(md metadata.MD) error { return s.s.transport.SetHeader(md) }

// SendHeader implements grpc.ServerStream.
func (s serverSide) SendHeader(md metadata.MD) error { return s.s.transport.SendHeader(md) }

// SetTrailer implements grpc.ServerStream.
func (s serverSide) SetTrailer(md metadata.MD) { _ = s.s.transport.SetTrailer(md) }

// RecvMsg implements grpc.ServerStream.
func (s serverSide) RecvMsg(into any) error {
	select {
	case request := <-s.s.requests:
		return copyMessage(into, request)
	case <-s.s.ctx.Done():
		return context.Cause(s.s.ctx)
	}
}

// SendMsg implements grpc.ServerStream.
func (s serverSide) SendMsg(answer any) error {
	s.s.beginOnce.Do(func() { close(s.s.begun) })
	select {
	case s.s.answers <- answer:
		return nil
	case <-s.s.ctx.Done():
		return errors.Join(errors.New("the client is gone"), context.Cause(s.s.ctx))
	}
}
