package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"tidegate.dev/controlplane/store"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

const (
	helloTimeout = 10 * time.Second
	// sendTimeout bounds one message to an agent that does not read.
	sendTimeout = 30 * time.Second
	// heartbeatInterval is what agents are asked for; store.LostAfter is three of them.
	heartbeatInterval = store.LostAfter / 3
	// receivedLimit bounds what was received and not yet handled. Beyond it nothing more is read.
	receivedLimit = 16
)

// errProtocol: the agent said something that it may not say at this point.
var errProtocol = errors.New("the stream does not keep to the protocol")

// agentStream is the configuration stream.
type agentStream = grpc.BidiStreamingServer[agentv1.ConnectRequest, agentv1.ConnectResponse]

// session is one agent's configuration stream. Its fields belong to the goroutine of run, but for those said to be atomic.
type session struct {
	// set once
	agent    store.AgentIdentity
	number   int64
	store    *store.Store
	stream   agentStream
	received <-chan *agentv1.ConnectRequest
	feed     *subscription
	move     <-chan struct{} // a signal: the agent should go to another replica
	arrived  func()          // gives back the place of an agent that arrives
	contents *contents
	lanes    *lanes
	board    *board
	signer   signer
	metrics  *metrics
	log      *slog.Logger

	holding  holding
	begun    *begunContent // a transfer that a former stream began; nil: none
	lane     lanePosition
	accepted order        // the last state that the agent says it accepted
	sent     order        // the last state that was sent
	answered order        // the last state that the agent answered
	resent   order        // the last state that was sent again, with whole content
	rollouts sentRollouts // which of those had a candidate
	// refreshed: the feed was asked for another look for an agent that is ahead of it
	refreshed bool
	// laneSent: the position in the lane is no longer only what the agent said
	laneSent bool
	// laneBegun is how far a former stream came with a lane from nothing, and laneIncomplete says that this one is in the middle of it
	laneBegun      lanePosition
	laneIncomplete bool

	// atomic: when the send under way began, in nanoseconds since 1970; 0: none
	sending atomic.Int64
}

// order is where a state stands among those of its fleet.
type order struct{ epoch, generation int64 }

func (o order) before(other order) bool {
	return o.epoch < other.epoch || o.epoch == other.epoch && o.generation < other.generation
}

// lanePosition is how far an agent holds the fast lane. known is false when it must begin from nothing.
type lanePosition struct {
	known    bool
	epoch    int64
	sequence int64
}

// run serves the stream from Welcome on, until it ends. It returns why.
func (s *session) run(ctx context.Context, welcome *agentv1.Welcome) error {
	if err := s.send(&agentv1.ConnectResponse{Message: &agentv1.ConnectResponse_Welcome{Welcome: welcome}}); err != nil {
		return err
	}
	wait := minRetryWait
	var retry <-chan time.Time
	for {
		deliver := false
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case message, open := <-s.received:
			if !open {
				return context.Cause(ctx)
			}
			again, err := s.handle(ctx, message)
			if err != nil {
				return err
			}
			deliver = again
		case <-s.feed.changed:
			deliver = true
		case <-retry:
			deliver = true
		case <-s.move:
			if err := s.askToMove(); err != nil {
				return err
			}
		}
		if !deliver {
			continue
		}
		switch err := s.deliver(ctx); {
		case err == nil:
			if s.sent != (order{}) {
				s.arrived()
			}
			retry, wait = nil, minRetryWait
		case errors.Is(err, errSend) || ctx.Err() != nil:
			return err
		default:
			s.log.Warn("bringing an agent what it should serve failed", "error", err, "retry_in", wait)
			retry = time.After(wait)
			wait = min(2*wait, maxRetryWait)
		}
	}
}

// askToMove asks the agent to go to another replica, unless a rollout looks at it at this moment.
func (s *session) askToMove() error {
	if view := s.feed.view(); view == nil || view.Rollout != nil || s.sent == (order{}) {
		return nil
	}
	return s.send(&agentv1.ConnectResponse{Message: &agentv1.ConnectResponse_Move{Move: &agentv1.Move{}}})
}

// errSend: the stream is broken.
var errSend = errors.New("sending to the agent")

func (s *session) send(message *agentv1.ConnectResponse) error { return s.sendAny(message) }

// sendEncoded sends content or a part of the lane.
func (s *session) sendEncoded(bytes encoded) error {
	s.metrics.contentBytes.Add(float64(len(bytes)))
	return s.sendAny(bytes)
}

// sendAny sends what the codec of the server takes.
func (s *session) sendAny(message any) error {
	s.sending.Store(time.Now().UnixNano())
	defer s.sending.Store(0)
	if err := s.stream.SendMsg(message); err != nil {
		return fmt.Errorf("%w: %w", errSend, err)
	}
	return nil
}

// stuck says whether a send has taken too long. It may be called from any goroutine.
func (s *session) stuck(now time.Time) bool {
	began := s.sending.Load()
	return began != 0 && now.Sub(time.Unix(0, began)) > sendTimeout
}

// handle takes a message of the agent. again asks for another delivery.
func (s *session) handle(ctx context.Context, message *agentv1.ConnectRequest) (again bool, err error) {
	switch kind := message.GetMessage().(type) {
	case *agentv1.ConnectRequest_Acknowledgement:
		return s.acknowledged(kind.Acknowledgement)
	case *agentv1.ConnectRequest_Heartbeat:
		s.heartbeat(kind.Heartbeat)
		return false, nil
	case *agentv1.ConnectRequest_LocalActions:
		return false, s.localActions(ctx, kind.LocalActions.GetActions())
	case *agentv1.ConnectRequest_Hello:
		return false, fmt.Errorf("%w: a second hello", errProtocol)
	default:
		// An agent of a newer release may say what this one does not know.
		return false, nil
	}
}

// heartbeat notes that the agent lives. It may be called from any goroutine, so that an agent does not count as lost while a
// long transfer to it is under way.
func (s *session) heartbeat(heartbeat *agentv1.Heartbeat) {
	s.board.add(store.AgentReport{
		ID: s.agent.ID, Session: s.number, Connected: true, Seen: true, Serving: servingOf(heartbeat.GetServing()),
	})
}

func servingOf(serving *agentv1.Serving) *store.AgentServing {
	if serving == nil {
		return nil
	}
	return &store.AgentServing{
		Stable: serving.GetStableRevision(), Candidate: serving.GetCandidateRevision(),
		SharePPM: int32(min(serving.GetCandidateSharePpm(), 1_000_000)), LaneSequence: serving.GetLaneSequence(),
	}
}
