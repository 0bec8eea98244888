package fleetagent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// errMove: the control plane asked the agent to go to another replica.
var errMove = errors.New("asked to move to another replica")

// session is one life of the configuration stream.
type session struct {
	agent    *Agent
	address  string
	welcomed chan struct{}

	sending sync.Mutex // guards Send of stream
	stream  agentv1.AgentService_ConnectClient
	answers sync.WaitGroup
}

func newSession(a *Agent, address string, welcomed chan struct{}) *session {
	return &session{agent: a, address: address, welcomed: welcomed}
}

// run says hello and takes what comes until the stream ends, and returns why it did.
func (s *session) run(ctx context.Context, connection grpc.ClientConnInterface) error {
	ctx, cancel := context.WithCancelCause(ctx)
	s.agent.chunksOfStream = 0
	defer s.answers.Wait()
	defer cancel(errors.New("the stream ended"))
	var err error
	if s.stream, err = connect(ctx, connection); err != nil {
		return fmt.Errorf("opening the stream: %w", err)
	}
	if err := s.send(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Hello{Hello: s.agent.hello()}}); err != nil {
		_, err = s.stream.Recv() // it says why
		return err
	}
	for {
		message, err := s.stream.Recv()
		if err != nil {
			return fmt.Errorf("receiving: %w", err)
		}
		if err := s.take(ctx, message); err != nil {
			return err
		}
	}
}

func (s *session) send(message *agentv1.ConnectRequest) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	return s.stream.Send(message)
}

func (s *session) take(ctx context.Context, message *agentv1.ConnectResponse) error {
	switch m := message.GetMessage().(type) {
	case *agentv1.ConnectResponse_Welcome:
		s.welcome(ctx, m.Welcome)
		return nil
	case *agentv1.ConnectResponse_LaneBatch:
		return s.agent.takeLane(m.LaneBatch)
	case *agentv1.ConnectResponse_Content:
		return s.agent.takeContent(m.Content)
	case *agentv1.ConnectResponse_DesiredState:
		return s.takeState(ctx, m.DesiredState)
	case *agentv1.ConnectResponse_Move:
		if s.agent.update(func(state *State) { state.Moves++ }); len(s.agent.config.Addresses) < 2 {
			return nil
		}
		return errMove
	default:
		return nil // of a newer control plane
	}
}

// welcome begins the heartbeats.
func (s *session) welcome(ctx context.Context, welcome *agentv1.Welcome) {
	s.agent.update(func(state *State) { state.Connected, state.Address, state.Sessions = true, s.address, state.Sessions+1 })
	close(s.welcomed)
	interval := time.Duration(max(welcome.GetHeartbeatIntervalMs(), 50)) * time.Millisecond
	s.answers.Go(func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			beat := &agentv1.Heartbeat{Serving: s.agent.serving()}
			if s.send(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Heartbeat{Heartbeat: beat}}) != nil {
				return // run learns why
			}
		}
	})
}

// takeState serves a state, or says why not, in the way that the agent's owner wants.
func (s *session) takeState(ctx context.Context, signed *agentv1.Signed) error {
	desired := new(agentv1.DesiredState)
	if err := s.agent.config.Identity.open(signed, desired); err != nil {
		return err
	}
	answer := s.agent.serve(desired)
	if s.agent.config.Answer == nil {
		return s.acknowledge(answer, desired)
	}
	s.answers.Go(func() {
		s.agent.config.Answer(ctx, answer, func(answer *agentv1.Acknowledgement) {
			_ = s.acknowledge(answer, desired) // run learns why
		})
	})
	return nil
}

func (s *session) acknowledge(answer *agentv1.Acknowledgement, desired *agentv1.DesiredState) error {
	err := s.send(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Acknowledgement{Acknowledgement: answer}})
	if err == nil && answer.GetStatus() == agentv1.Acknowledgement_STATUS_SERVING && s.agent.config.Served != nil {
		s.agent.config.Served(desired)
	}
	return nil // whoever receives learns why the stream broke
}
