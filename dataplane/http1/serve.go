package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"runtime/debug"
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

	// Atomic.
	draining atomic.Bool

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

// workspace is what a connection needs while it is not idle.
type workspace struct {
	exchange Exchange
	in, out  []byte
}

// connection is a client's connection.
type connection struct {
	stream

	server   *Server
	value    any
	tlsState *tls.ConnectionState
	x        *workspace
	// unfinished says that an exchange was served whose end is left to the usual way.
	unfinished bool
	rawReader  rawReader
	first      [1]byte
	idle       atomic.Bool
	requests   int
}

// preface begins a connection of HTTP/2.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Serve serves a connection to its end, with the caller's goroutine. A TLS connection has its handshake behind it.
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
	defer s.remove(c)
	taken := false
	defer func() {
		if !taken {
			_ = conn.Close()
		}
		c.giveBack()
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

// Drain ends the connections as they become idle, new ones after their first exchange, and returns when there are none or the context ends. Connections that were
// handed over are not waited for.
func (s *Server) Drain(ctx context.Context) error {
	s.draining.Store(true)
	s.mu.Lock()
	for c := range s.connections {
		if c.idle.Load() {
			c.sever(errDraining, 0)
		}
	}
	if len(s.connections) == 0 {
		s.mu.Unlock()
		return nil
	}
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	empty := s.empty
	s.mu.Unlock()
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
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

// serveOne serves the next request. It tells whether another may follow, or the connection is somebody else's.
func (c *connection) serveOne() (next, handed bool) {
	c.serveHot()
	if c.unfinished {
		c.unfinished = false
		return c.finish(&c.x.exchange), false
	}
	if c.ended && c.r == c.w || !c.await() {
		return false, false
	}
	x := &c.x.exchange
	x.reset(c)
	refused, err := c.readHead(&x.Request)
	if err != nil {
		return false, false
	}
	x.Started = time.Now()
	c.requests++
	if refused != nil {
		if refused == errVersion && c.requests == 1 && c.startsHTTP2() {
			return false, c.handOver()
		}
		c.refuse(x, refused)
		return false, false
	}
	c.openBody(x)
	c.handle(x)
	if x.taken {
		return false, true
	}
	return c.finish(x), false
}

// parkAfter is how long an idle connection keeps its buffers.
const parkAfter = time.Second

// await waits for the first bytes of a request. What the connection needs only while it serves is given back meanwhile.
func (c *connection) await() bool {
	if c.r < c.w {
		c.begin()
		return true
	}
	c.r, c.w, c.floor = 0, 0, 0
	limits := &c.server.limits
	now := time.Now()
	idle := limits.KeepAlive
	if c.requests == 0 {
		idle = limits.Head
	} else {
		c.idle.Store(true)
		defer c.idle.Store(false)
		if c.server.draining.Load() {
			return false
		}
	}
	end := now.Add(idle)
	if c.x != nil {
		c.expect(now.Add(min(parkAfter, idle)), errIdle, nil)
		err := c.fill()
		if err == nil {
			return true
		}
		if !errors.Is(err, errIdle) {
			return false
		}
		c.giveBack()
	}
	c.expect(end, errIdle, nil)
	if n, err := c.read(c.first[:]); n == 0 || err != nil {
		return false
	}
	c.takeSpace()
	c.in[0], c.w = c.first[0], 1
	return true
}

var errIdle = errors.New("the connection was idle for too long")

func (c *connection) takeSpace() {
	c.x, _ = c.server.spare.Get().(*workspace)
	c.in, c.out = c.x.in, c.x.out
	if c.in == nil {
		c.in = make([]byte, headRoom)
	}
}

func (c *connection) giveBack() {
	if c.x == nil {
		return
	}
	c.shrink()
	c.x.in, c.x.out = c.in, c.out[:0]
	c.x.exchange.reset(nil)
	c.server.spare.Put(c.x)
	c.x, c.in, c.out, c.r, c.w, c.floor = nil, nil, nil, 0, 0, 0
}

// readHead reads the head of a request. An error means that nobody is there to be answered.
func (c *connection) readHead(r *Request) (*Error, error) {
	limits := &c.server.limits
	bounded := false
	for {
		done, refused := r.parse(c.in[:c.w], limits)
		switch {
		case refused != nil:
			return refused, nil
		case done:
			r.Header.head = c.takeHead(r.line)
			return nil, nil
		}
		if !bounded {
			bounded = true
			c.expect(time.Now().Add(limits.Head), errHeadTimeout, nil)
		}
		if err := c.fill(); err != nil {
			if errors.Is(err, errHeadTimeout) {
				return errHeadTimeout, nil
			}
			return nil, err
		}
	}
}

func (c *connection) openBody(x *Exchange) {
	kind := noBody
	switch {
	case x.Request.chunked:
		kind = chunkedBody
	case x.Request.length > 0:
		kind = lengthBody
	}
	x.Body.reset(&c.stream, &c.server.limits, kind, max(x.Request.length, 0))
	x.Body.paced = true
	// A client that has begun to send is not told to (RFC 9110, section 10.1.1).
	if x.Request.expect = x.Request.expect && c.r == c.w; x.Request.expect {
		x.Body.before = x.askForBody
	}
}

func (c *connection) handle(x *Exchange) {
	defer c.survive(x)
	c.server.config.Handler.Serve(x)
}

func (c *connection) refuse(x *Exchange, err *Error) {
	// What follows the head is not a body that anybody could read.
	x.Body.reset(&c.stream, &c.server.limits, noBody, 0)
	x.closes = true
	c.refusal(x, err)
	if x.finished && !x.broken {
		c.linger()
	}
}

func (c *connection) refusal(x *Exchange, err *Error) {
	defer c.survive(x)
	c.server.config.Handler.Refuse(x, err)
}

// survive contains a panic of the handler.
func (c *connection) survive(x *Exchange) {
	cause := recover()
	if cause == nil {
		return
	}
	x.broken = true
	if told := c.server.config.Panicked; told != nil {
		told(cause, debug.Stack())
	}
}

// finish ends an exchange, and tells whether the connection goes on.
func (c *connection) finish(x *Exchange) bool {
	if x.broken || !x.finished {
		c.abort(x)
		return false
	}
	if x.closes {
		if !x.Body.done || c.r < c.w {
			c.linger()
		}
		return false
	}
	if !x.Body.done && !x.Body.discard(mostDiscarded) {
		return false
	}
	c.shrink()
	return true
}

// abort ends a response that is not whole so that it cannot be taken for whole: where only the end of the connection ends
// the response, by a reset.
func (c *connection) abort(x *Exchange) {
	if !x.begun {
		return
	}
	if !x.broken {
		_ = c.flush(nil)
	}
	if x.kind != untilCloseBody {
		return
	}
	conn := c.conn
	if secure, ok := conn.(interface{ NetConn() net.Conn }); ok {
		// TLS would say goodbye (RFC 8446, section 6.1), which is what makes it look whole.
		conn = secure.NetConn()
		defer func() { _ = conn.Close() }()
	}
	if socket, ok := conn.(interface{ SetLinger(seconds int) error }); ok {
		_ = socket.SetLinger(0)
	}
}

// mostLingered bounds what a client may still send when it has been answered.
const mostLingered = 1 << 20

// linger ends the connection such that the client can read the answer: closing while bytes arrive would reset it, and a reset
// overtakes the answer (RFC 9112, section 9.6).
func (c *connection) linger() {
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.expect(time.Now().Add(c.server.limits.Linger), errIdle, nil)
	c.r, c.w, c.floor = 0, 0, 0
	for lingered := 0; lingered < mostLingered; {
		n, err := c.read(c.in)
		if err != nil {
			return
		}
		lingered += n
	}
}
