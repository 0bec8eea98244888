package fleet

import (
	"context"
	"errors"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/store"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// service is the server as gRPC sees it: it checks requests and turns errors into codes. Nothing else here knows of either.
type service struct {
	agentv1.UnimplementedEnrolmentServiceServer
	agentv1.UnimplementedAgentServiceServer
	server *Server
}

// Enroll implements agentv1.EnrolmentServiceServer.
func (s *service) Enroll(ctx context.Context, request *agentv1.EnrollRequest) (*agentv1.EnrollResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, enrolmentTimeout)
	defer cancel()
	if err := s.check(ctx, request); err != nil {
		return nil, err
	}
	defer s.leave()
	response, err := s.server.enroll(ctx, request)
	return response, s.status(err)
}

// Renew implements agentv1.EnrolmentServiceServer.
func (s *service) Renew(ctx context.Context, request *agentv1.RenewRequest) (*agentv1.RenewResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, enrolmentTimeout)
	defer cancel()
	if err := s.check(ctx, request); err != nil {
		return nil, err
	}
	defer s.leave()
	agent, err := s.server.authenticate(ctx)
	if err != nil {
		return nil, s.status(err)
	}
	response, err := s.server.renew(ctx, agent.AgentIdentity, request)
	return response, s.status(err)
}

// check validates a request and takes one of the places of those under way; leave gives it back.
func (s *service) check(ctx context.Context, request proto.Message) error {
	if err := protovalidate.Validate(request); err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	select {
	case s.server.enrolments <- struct{}{}:
		return nil
	case <-ctx.Done():
		return status.Error(codes.ResourceExhausted, "too many agents enrol at this moment; try again")
	}
}

func (s *service) leave() { <-s.server.enrolments }

// Connect implements agentv1.AgentServiceServer.
func (s *service) Connect(stream agentStream) error {
	return s.status(s.server.connect(stream))
}

// ReportTelemetry implements agentv1.AgentServiceServer.
func (s *service) ReportTelemetry(stream grpc.BidiStreamingServer[agentv1.ReportTelemetryRequest, agentv1.ReportTelemetryResponse]) error {
	return s.status(s.server.reportTelemetry(stream))
}

// reportTelemetry admits a telemetry stream and hands it over.
func (s *Server) reportTelemetry(stream grpc.BidiStreamingServer[agentv1.ReportTelemetryRequest, agentv1.ReportTelemetryResponse]) error {
	agent, err := s.authenticate(stream.Context())
	if err != nil {
		return err
	}
	ctx, open, err := s.streams.begin(stream.Context(), agent.ID)
	if err != nil {
		return err
	}
	defer s.streams.end(open)
	expiry := time.AfterFunc(time.Until(agent.until), func() { open.cancel(errExpired) })
	defer expiry.Stop()
	return s.telemetry.Handle(ctx, agent.FleetID, agent.ID, stream)
}

// busy tells an agent when to come back.
func busy() error {
	refused := status.New(codes.ResourceExhausted, errBusy.Error())
	if detailed, err := refused.WithDetails(&errdetails.RetryInfo{RetryDelay: durationpb.New(retryDelay())}); err == nil {
		refused = detailed
	}
	return refused.Err()
}

// codeOf are the codes that agents see. What is not here is Internal, and its text stays here.
var codeOf = []struct {
	err  error
	code codes.Code
}{
	{ErrUnauthenticated, codes.Unauthenticated},
	{errExpired, codes.Unauthenticated},
	{errJoinToken, codes.PermissionDenied},
	{errNameTaken, codes.AlreadyExists},
	{keyring.ErrBadRequest, codes.InvalidArgument},
	{errProtocol, codes.InvalidArgument},
	{errSuperseded, codes.Aborted},
	{errShuttingDown, codes.Unavailable},
	{errTooMany, codes.ResourceExhausted},
	{errSend, codes.Unavailable},
	{store.ErrBusy, codes.Unavailable},
	{store.ErrUnavailable, codes.Unavailable},
	{context.Canceled, codes.Canceled},
	{context.DeadlineExceeded, codes.DeadlineExceeded},
}

// status turns an error into what the agent sees of it. Texts of the store are not for agents. Whether the handler of
// telemetry blames the agent it says by a method AgentAtFault.
func (s *service) status(err error) error {
	if err == nil {
		return nil
	}
	if _, already := status.FromError(err); already {
		return err
	}
	var fault interface{ AgentAtFault() bool }
	if errors.As(err, &fault) && fault.AgentAtFault() {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	if errors.Is(err, errBusy) {
		s.server.metrics.refused.Inc()
		return busy()
	}
	for _, known := range codeOf {
		if !errors.Is(err, known.err) {
			continue
		}
		if known.code == codes.Unavailable {
			return status.Error(known.code, known.err.Error())
		}
		return status.Error(known.code, err.Error())
	}
	s.server.log.Error("serving an agent failed", "error", err)
	return status.Error(codes.Internal, "internal error")
}
