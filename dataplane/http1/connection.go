package http1

import (
	"crypto/tls"
	"errors"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"
)

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
	// parked says that the connection is to be waited for by another goroutine.
	parked    bool
	rawReader rawReader
	first     [1]byte
	idle      atomic.Bool
	serial    atomic.Uint32 // counts the exchanges, and their ends
	requests  int
}

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
	x.Started = present()
	c.requests++
	if refused != nil {
		if refused == errVersion && c.requests == 1 && c.startsHTTP2() {
			return false, c.handOver()
		}
		c.refuse(x, refused)
		return false, false
	}
	c.openBody(x)
	c.handle(x, nil)
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
	now := instant()
	idle := limits.KeepAlive
	if c.requests == 0 {
		idle = limits.Head
	} else {
		c.idle.Store(true)
		defer c.idle.Store(false)
		if c.server.draining.Load() {
			if idle = min(idle, c.server.lastChance(now)); idle <= 0 {
				return false
			}
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
		if c.parked = idle > parkAfter; c.parked {
			// Setting a deadline would make the small stack grow.
			c.expect(end, errIdle, nil)
			c.arm(instant())
			return false
		}
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
			c.expect(instant().Add(limits.Head), errHeadTimeout, nil)
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

// handle has the request answered, or refused if there is something wrong with it. A panic of the handler is contained.
func (c *connection) handle(x *Exchange, wrong *Error) {
	returned := false
	defer func() {
		c.serial.Add(1)
		// Asking whether there is a panic costs more than knowing that there is none.
		if !returned {
			c.survive(x, recover())
		}
	}()
	if wrong != nil {
		c.server.config.Handler.Refuse(x, wrong)
	} else {
		c.server.config.Handler.Serve(x)
	}
	returned = true
}

// survive notes a panic of the handler.
func (c *connection) survive(x *Exchange, cause any) {
	if cause == nil {
		return
	}
	x.broken = true
	if told := c.server.config.Panicked; told != nil {
		told(cause, debug.Stack())
	}
}

func (c *connection) refuse(x *Exchange, err *Error) {
	// What follows the head is not a body that anybody could read.
	x.Body.reset(&c.stream, &c.server.limits, noBody, 0)
	x.closes = true
	c.handle(x, err)
	if x.finished && !x.broken {
		c.linger()
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

// mostLingered bounds what a client may still send when it has been answered. Time bounds it too, and nothing of it is kept.
const mostLingered = 64 << 20

// linger ends the connection such that the client can read the answer: closing while bytes arrive would reset it, and a reset
// overtakes the answer (RFC 9112, section 9.6).
func (c *connection) linger() {
	half, ok := c.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	c.expect(instant().Add(c.server.limits.Linger), errIdle, nil)
	c.r, c.w, c.floor = 0, 0, 0
	for lingered := 0; lingered < mostLingered; {
		n, err := c.read(c.in)
		if err != nil {
			return
		}
		lingered += n
	}
}
