package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"tidegate.dev/controlplane/store"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

const (
	// helloListLimit bounds each list of a hello.
	helloListLimit = 256
	// textLimit bounds each text that an agent says about itself, in bytes.
	textLimit = 256
)

// connect serves one configuration stream to its end.
func (s *Server) connect(stream agentStream) error {
	arrived, err := s.arrivals.enter(stream.Context())
	if err != nil {
		return err
	}
	defer arrived()
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

	reading := &reader{received: make(chan *agentv1.ConnectRequest, receivedLimit)}
	s.goroutines.Go(func() { open.cancel(reading.run(ctx, stream)) })
	hello, err := reading.hello(ctx)
	if err != nil {
		return err
	}
	session, err := s.begin(ctx, open, agent, hello)
	if err != nil {
		return err
	}
	defer session.feed.end()
	welcome, err := s.welcome(agent.FleetID)
	if err != nil {
		return err
	}
	session.stream, session.received, session.move, session.arrived = stream, reading.received, open.move, arrived
	late := time.AfterFunc(arrivalTimeout, arrived)
	defer late.Stop()
	reading.session.Store(session)
	session.log.Info("an agent connected", "version", hello.GetVersion(), "lane_sequence", hello.GetLaneSequence())
	err = s.attend(ctx, session, welcome)
	session.log.Info("an agent's stream ended", "reason", err)
	s.board.add(store.AgentReport{ID: agent.ID, Session: session.number})
	return err
}

// attend runs the session in a goroutine of its own, so that an agent that does not read can be left: only when the handler
// returns does a send that is stuck end.
func (s *Server) attend(ctx context.Context, session *session, welcome *agentv1.Welcome) error {
	ended := make(chan error, 1)
	s.goroutines.Go(func() { ended <- session.run(ctx, welcome) })
	watchdog := time.NewTicker(sendTimeout / 10)
	defer watchdog.Stop()
	for {
		select {
		case err := <-ended:
			return err
		case now := <-watchdog.C:
			if session.stuck(now) {
				return fmt.Errorf("%w: it has not read for %v", errSend, sendTimeout)
			}
		}
	}
}

// reader takes what the agent sends.
type reader struct {
	received chan *agentv1.ConnectRequest
	session  atomic.Pointer[session]
}

// run hands over what it reads, until the stream ends; it returns why. Heartbeats go past the queue, so that they count while
// the session is busy.
func (r *reader) run(ctx context.Context, stream agentStream) error {
	defer close(r.received)
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return errors.New("the agent ended the stream")
		}
		if err != nil {
			return fmt.Errorf("receiving from the agent: %w", err)
		}
		if session := r.session.Load(); session != nil && message.GetHeartbeat() != nil {
			session.heartbeat(message.GetHeartbeat())
			continue
		}
		select {
		case r.received <- message:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// hello waits for the first message.
func (r *reader) hello(ctx context.Context) (*agentv1.Hello, error) {
	timer := time.NewTimer(helloTimeout)
	defer timer.Stop()
	select {
	case message, open := <-r.received:
		if !open {
			return nil, context.Cause(ctx)
		}
		if message.GetHello() == nil {
			return nil, fmt.Errorf("%w: the first message is not a hello", errProtocol)
		}
		return message.GetHello(), checkHello(message.GetHello())
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-timer.C:
		return nil, fmt.Errorf("%w: no hello within %v", errProtocol, helloTimeout)
	}
}

func checkHello(hello *agentv1.Hello) error {
	lists := max(len(hello.GetHolds()), len(hello.GetListeners()), len(hello.GetPluginTypes()), len(hello.GetDropped()), len(hello.GetLabels()))
	if lists > helloListLimit {
		return fmt.Errorf("%w: a list of the hello has more than %d entries", errProtocol, helloListLimit)
	}
	texts := slices.Concat([]string{hello.GetBootId(), hello.GetVersion()}, hello.GetListeners(), hello.GetPluginTypes())
	if err := checkTexts(texts, hello.GetLabels()); err != nil {
		return fmt.Errorf("%w: the hello: %w", errProtocol, err)
	}
	return nil
}

// checkTexts refuses what is too long, or what Postgres does not take. Protobuf has checked that it is UTF-8.
func checkTexts(texts []string, labels map[string]string) error {
	for key, value := range labels {
		texts = append(texts, key, value)
	}
	for _, text := range texts {
		if len(text) > textLimit || strings.ContainsRune(text, 0) {
			return fmt.Errorf("a text is longer than %d bytes or has a zero byte", textLimit)
		}
	}
	return nil
}

// begin makes the stream the agent's session, in the store and on this replica.
func (s *Server) begin(ctx context.Context, open *openStream, agent caller, hello *agentv1.Hello) (*session, error) {
	made := &session{
		agent: agent.AgentIdentity, store: s.store, contents: s.contents, lanes: s.lanes, board: s.board, signer: s.keyring, metrics: s.metrics,
		lane:     lanePosition{known: hello.GetLaneSequence() > 0, epoch: hello.GetEpoch(), sequence: hello.GetLaneSequence()},
		accepted: order{hello.GetEpoch(), hello.GetGeneration()},
	}
	if begun := hello.GetPartialLane(); begun.GetThroughSequence() > 0 {
		made.laneBegun = lanePosition{known: true, epoch: begun.GetEpoch(), sequence: begun.GetThroughSequence()}
	}
	err := s.store.InTx(ctx, func(tx *store.Tx) (err error) {
		if made.number, err = tx.BeginAgentSession(ctx, s.helloOf(agent, hello)); err != nil {
			return err
		}
		var roots map[int64][]byte
		numbers := append(numbersOf(hello.GetHolds()), hello.GetPartialContent().GetTo().GetRevision())
		if roots, err = tx.RevisionRoots(ctx, agent.FleetID, numbers); err != nil {
			return err
		}
		made.holding = newHolding(hello.GetHolds(), roots)
		made.begun = newBegun(hello.GetPartialContent(), made.holding, roots)
		return nil
	})
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("%w: it was deleted meanwhile", ErrUnauthenticated)
	}
	if err != nil {
		return nil, err
	}
	made.log = s.log.With("fleet", agent.Fleet, "agent", agent.Name, "agent_id", agent.ID, "session", made.number)
	s.metrics.sessions.Inc()
	s.streams.adopt(open, made.number)
	made.feed = s.feeds.subscribe(agent.FleetID)
	s.noteDropped(made, hello.GetDropped())
	return made, nil
}

func (s *Server) helloOf(agent caller, hello *agentv1.Hello) store.AgentHello {
	return store.AgentHello{
		ID: agent.ID, Replica: s.replica, BootID: hello.GetBootId(), Version: hello.GetVersion(),
		Listeners: hello.GetListeners(), PluginTypes: hello.GetPluginTypes(), Labels: hello.GetLabels(),
		Epoch: hello.GetEpoch(), Generation: hello.GetGeneration(), LaneHoldsSequence: hello.GetLaneSequence(),
	}
}

// noteDropped tells of the newest candidate that the agent dropped while it had no stream.
func (s *Server) noteDropped(session *session, dropped []*agentv1.DroppedRevision) {
	var newest int64
	for _, candidate := range dropped {
		newest = max(newest, rolloutNumber(candidate.GetRolloutId()))
	}
	if newest != 0 {
		s.board.add(store.AgentReport{ID: session.agent.ID, Session: session.number, Connected: true, Seen: true, FailedRollout: newest})
	}
}

func numbersOf(revisions []*agentv1.RevisionReference) []int64 {
	numbers := make([]int64, len(revisions))
	for i, revision := range revisions {
		numbers[i] = revision.GetRevision()
	}
	return numbers
}

func (s *Server) welcome(fleetID int64) (*agentv1.Welcome, error) {
	tickets, err := s.keyring.SessionTicketSecret(fleetID)
	if err != nil {
		return nil, err
	}
	return &agentv1.Welcome{
		HeartbeatIntervalMs: uint32(heartbeatInterval.Milliseconds()),
		KeyHashKey:          s.keyring.KeyHashKey(),
		Authorities:         s.keyring.Authority().Certificates(),
		SessionTicketSecret: tickets,
	}, nil
}
