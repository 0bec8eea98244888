package admin

import (
	"context"
	"fmt"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"tidegate.dev/controlplane/identity"
)

// How long a call may take, unless its client says less. Streams have no bound: they end with their client or with us.
const (
	readTimeout  = 10 * time.Second
	writeTimeout = 30 * time.Second
	// largeTimeout is for calls that carry or publish many resources.
	largeTimeout = 2 * time.Minute
	// identifyTimeout is how long it may take to find out who asks.
	identifyTimeout = 5 * time.Second
)

// unary runs a call through the interceptors. It is the order of the package comment, in code.
func (s *Server) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (answer any, err error) {
	began := time.Now()
	ctx, c := beginCall(ctx)
	m, known := s.methods[info.FullMethod]
	ctx, cancel := context.WithTimeout(ctx, m.timeout())
	defer cancel()
	defer func() {
		defer func() { s.metrics.measured(info.FullMethod, began, err) }()
		if cause := recover(); cause != nil {
			answer, err = nil, s.panicked(ctx, info.FullMethod, cause)
		}
		if err != nil {
			answer, err = nil, s.failure(ctx, info.FullMethod, err)
		}
		err = finishHeaders(ctx, c, err)
	}()
	if err := s.admit(ctx, m, known); err != nil {
		return nil, err
	}
	if err := s.check(ctx, info.FullMethod, request); err != nil {
		return nil, err
	}
	if m.action == "" {
		return handler(ctx, request)
	}
	return s.transact(ctx, m, info.FullMethod, request, handler)
}

// stream runs a streaming call through the interceptors. All streams of this API are reads.
func (s *Server) stream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	ctx, c := beginCall(stream.Context())
	defer func() {
		if cause := recover(); cause != nil {
			err = s.panicked(ctx, info.FullMethod, cause)
		}
		if err != nil {
			err = s.failure(ctx, info.FullMethod, err)
		}
	}()
	m, known := s.methods[info.FullMethod]
	if err := s.admit(ctx, m, known); err != nil {
		return err
	}
	if err := stream.SetHeader(map[string][]string{headerRequestID: {c.requestID}}); err != nil {
		return fmt.Errorf("setting the headers of the stream: %w", err)
	}
	return handler(service, &checkedStream{ServerStream: stream, ctx: ctx, check: func(request any) error {
		return s.check(ctx, info.FullMethod, request)
	}})
}

// checkedStream checks each request that is received.
type checkedStream struct {
	grpc.ServerStream
	ctx   context.Context
	check func(request any) error
}

// Context implements grpc.ServerStream.
func (s *checkedStream) Context() context.Context { return s.ctx }

// RecvMsg implements grpc.ServerStream.
func (s *checkedStream) RecvMsg(message any) error {
	if err := s.ServerStream.RecvMsg(message); err != nil {
		return err
	}
	return s.check(message)
}

// beginCall finds the call that the HTTP handler began, or begins one for gRPC.
func beginCall(ctx context.Context) (context.Context, *call) {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return ctx, c
	}
	c := &call{requestID: requestID(incoming(ctx, headerRequestID))}
	if p, ok := peer.FromContext(ctx); ok {
		if address, err := netip.ParseAddrPort(p.Addr.String()); err == nil {
			c.source = address.Addr()
		}
	}
	return withCall(ctx, c), c
}

// admit finds out who asks and whether they may. What is not in the table of methods nobody may.
func (s *Server) admit(ctx context.Context, m method, known bool) error {
	c := callOf(ctx)
	if !known {
		return newProblem(problemForbidden, "this method is open to nobody")
	}
	if m.role == identity.Nobody {
		return nil
	}
	if !c.identified {
		if err := s.identify(ctx, c, incoming(ctx, headerAuthorization)); err != nil {
			return err
		}
	}
	if c.who.Role < m.role {
		return newProblem(problemForbidden, fmt.Sprintf("this takes the role %s; %s has the role %s", m.role, c.who.Name, c.who.Role))
	}
	return nil
}

// identify says who asks, by the bearer token or else the session cookie.
func (s *Server) identify(ctx context.Context, c *call, authorization string) (err error) {
	ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
	defer cancel()
	switch {
	case authorization != "":
		scheme, token, _ := strings.Cut(authorization, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return newProblem(problemUnauthorized, "send Authorization: Bearer with an admin token")
		}
		c.who, err = s.identity.Authenticate(ctx, strings.TrimSpace(token), c.source)
	case c.session != "":
		c.who, err = s.identity.ResumeSession(ctx, c.session, c.source)
	default:
		return newProblem(problemUnauthorized, "send Authorization: Bearer with an admin token, or sign in")
	}
	c.identified = err == nil
	return err
}

// panicked turns a panic into an error, and keeps what the reader of the log needs.
func (s *Server) panicked(ctx context.Context, fullMethod string, cause any) error {
	s.log.ErrorContext(ctx, "a call panicked", "method", fullMethod, "request_id", callOf(ctx).requestID,
		"panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
	return newProblem(problemInternal, "the call ended unexpectedly; the log has more under the request id")
}

// finishHeaders sends the headers that handlers have set; over gRPC they are metadata.
func finishHeaders(ctx context.Context, c *call, err error) error {
	header := map[string][]string{headerRequestID: {c.requestID}}
	if err == nil {
		for name, value := range c.headers() {
			header[name] = []string{value}
		}
	}
	if headerErr := grpc.SetHeader(ctx, header); headerErr != nil && err == nil {
		return fmt.Errorf("setting the headers of the answer: %w", headerErr)
	}
	return err
}
