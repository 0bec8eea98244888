package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Handler answers requests.
type Handler interface {
	// Serve answers a request by Respond, Write and Finish, or by Upgrade. The request and its strings are as the client
	// sent them. A response that is not finished when Serve returns is broken off.
	Serve(x *Exchange)
	// Refuse answers what is not a request that can be served. Of the request only what was read before err is known. The
	// connection ends afterwards.
	Refuse(x *Exchange, err *Error)
}

// Config makes a server.
type Config struct {
	Handler Handler
	Limits  Limits
	// HTTP2 takes connections over that begin with the preface of HTTP/2 (RFC 9113, section 3.4), which is still to be read
	// from them. nil refuses them.
	HTTP2 func(net.Conn)
	// Opened, if not nil, makes what Exchange.Value returns for the connection's exchanges.
	Opened func(net.Conn) any
	// Panicked, if not nil, is told of a panic in the handler, which costs that connection only.
	Panicked func(cause any, stack []byte)
}

// Server serves the connections of clients.
type Server struct {
	// Set once.
	config Config
	limits Limits
	dates  dateClock
	spare  sync.Pool // of *workspace

	serving sync.WaitGroup

	// Atomic. patientUntil is what elapsed says.
	draining     atomic.Bool
	patientUntil atomic.Int64

	// Guarded by mu.
	mu          sync.Mutex
	connections map[*connection]struct{}
	empty       chan struct{} // closed when the last one ends, if somebody waits
}

// NewServer makes a server, which does nothing until Serve is called.
func NewServer(config Config) *Server {
	s := &Server{config: config, limits: config.Limits.withDefaults(), connections: map[*connection]struct{}{}}
	s.spare.New = func() any { return new(workspace) }
	return s
}

// preface begins a connection of HTTP/2.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Serve serves a connection, with the caller's goroutine. It returns when the connection has ended, or has been idle for a while:
// then a goroutine with a small stack waits for the next request, since serving makes stacks grow, and thousands of connections may
// be idle for long. See [Server.Wait]. A TLS connection has its handshake behind it.
func (s *Server) Serve(conn net.Conn) {
	c := &connection{server: s}
	c.open(conn, &s.limits)
	if secure, ok := conn.(*tls.Conn); ok {
		state := secure.ConnectionState()
		c.tlsState = &state
	}
	if s.config.Opened != nil {
		c.value = s.config.Opened(conn)
	}
	s.add(c)
	s.serving.Add(1)
	s.serve(c)
}

// serve serves a connection until it ends, is somebody else's, or is parked.
func (s *Server) serve(c *connection) {
	taken := false
	defer func() {
		if c.parked {
			c.parked = false
			go s.serve(c)
			return
		}
		if !taken {
			_ = c.conn.Close()
		}
		c.giveBack()
		s.remove(c)
		s.serving.Done()
	}()
	for {
		next, handed := c.serveOne()
		if handed {
			taken = true
			return
		}
		if !next {
			return
		}
	}
}

// Wait returns when every connection that Serve was given has ended, those included that were handed over or switched protocols. No
// more may be given meanwhile.
func (s *Server) Wait() { s.serving.Wait() }

func (s *Server) add(c *connection) {
	s.mu.Lock()
	s.connections[c] = struct{}{}
	s.mu.Unlock()
}

func (s *Server) remove(c *connection) {
	s.mu.Lock()
	delete(s.connections, c)
	if len(s.connections) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
	s.mu.Unlock()
}

// Drain ends the connections as they become idle, new ones after their first exchange, and returns when there are none or the
// context ends. Connections that were handed over are not waited for.
//
// With patience, connections that are idle may send one more request, whose answer says that it is the last: a client that sends
// while its connection is closed cannot know what became of the request.
func (s *Server) Drain(ctx context.Context, patience time.Duration) error {
	s.patientUntil.Store(elapsed(instant().Add(patience)))
	s.draining.Store(true)
	if patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		select {
		case <-s.emptied():
			return nil
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	s.severIdle()
	select {
	case <-s.emptied():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *Server) severIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.connections {
		if c.idle.Load() {
			c.sever(errDraining, 0)
		}
	}
}

// emptied is closed when there are no connections.
func (s *Server) emptied() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.connections) == 0 {
		none := make(chan struct{})
		close(none)
		return none
	}
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	return s.empty
}

// lastChance is how long an idle connection may still send a request while the server drains.
func (s *Server) lastChance(now time.Time) time.Duration {
	return after(s.patientUntil.Load()).Sub(now)
}

// Sever ends all connections now.
func (s *Server) Sever(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.connections {
		c.sever(cause, lastWords)
	}
}

// Connections is how many connections are open, without those that were handed over.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.connections)
}

var errDraining = errors.New("the server is shutting down")
