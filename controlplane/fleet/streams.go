package fleet

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Why a stream was ended by this side.
var (
	errSuperseded   = errors.New("a newer stream of the same agent took its place")
	errShuttingDown = errors.New("this replica of the control plane is stopping; connect again")
	errTooMany      = errors.New("this replica of the control plane holds as many streams as it may")
	errExpired      = errors.New("the certificate of the agent has expired; renew it and connect again")
)

// streams are the open streams of this replica, so that they can be ended from outside. It is safe for concurrent use.
type streams struct {
	limit int

	mu       sync.Mutex
	closed   bool
	open     map[*openStream]struct{}
	sessions map[string]*openStream // by agent
}

type openStream struct {
	agentID string
	session int64
	cancel  context.CancelCauseFunc
	move    chan struct{} // receives a signal when the agent should go to another replica
	asked   time.Time     // when it was asked that last
}

func newStreams(limit int) *streams {
	return &streams{limit: limit, open: map[*openStream]struct{}{}, sessions: map[string]*openStream{}}
}

// begin admits a stream and returns the context in which it lives.
func (s *streams) begin(ctx context.Context, agentID string) (context.Context, *openStream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, errShuttingDown
	}
	if len(s.open) >= s.limit {
		return nil, nil, errTooMany
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stream := &openStream{agentID: agentID, cancel: cancel, move: make(chan struct{}, 1)}
	s.open[stream] = struct{}{}
	return ctx, stream, nil
}

// adopt makes the stream the agent's session of that number, and ends an older one. The newest wins in whichever order they
// come.
func (s *streams) adopt(stream *openStream, session int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stream.session = session
	if other := s.sessions[stream.agentID]; other != nil {
		if other.session > session {
			stream.cancel(errSuperseded)
			return
		}
		other.cancel(errSuperseded)
	}
	s.sessions[stream.agentID] = stream
}

// end forgets a stream.
func (s *streams) end(stream *openStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stream.cancel(context.Canceled)
	delete(s.open, stream)
	if s.sessions[stream.agentID] == stream {
		delete(s.sessions, stream.agentID)
	}
}

// supersede ends a session that another replica's has taken the place of, or whose agent was deleted.
func (s *streams) supersede(agentID string, session int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stream := s.sessions[agentID]; stream != nil && stream.session == session {
		stream.cancel(errSuperseded)
	}
}

const (
	// moveTime is how long an agent that was asked to go may take; as long it counts as gone.
	moveTime = 30 * time.Second
	// askAgainAfter is when one that stayed, since it knows no other replica, is asked again.
	askAgainAfter = 10 * time.Minute
)

// askToMove sees to it that so many agents, whichever they are, go to another replica, those that were asked a moment ago among them.
// It returns how many were asked now.
func (s *streams) askToMove(count int, now time.Time) (asked int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stream := range s.sessions {
		if now.Sub(stream.asked) < moveTime {
			count--
		}
	}
	for _, stream := range s.sessions { // in an order of chance
		if asked >= count {
			break
		}
		if now.Sub(stream.asked) < askAgainAfter {
			continue
		}
		signal(stream.move)
		stream.asked = now
		asked++
	}
	return asked
}

// agents counts the agents whose session this replica holds.
func (s *streams) agents() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// close ends all streams and admits none any more.
func (s *streams) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for stream := range s.open {
		stream.cancel(errShuttingDown)
	}
}
