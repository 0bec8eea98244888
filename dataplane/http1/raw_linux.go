//go:build linux && (amd64 || arm64)

package http1

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// What this file does, net.Conn does too, with more system calls: it tries to read, fails because nothing has arrived, waits,
// and reads again. Within one call of RawConn.Read the first try can be left out. Its callback is called anew whenever the
// socket became readable after the call began, so once a read has emptied the socket, or before the request is written that
// the response answers, it may ask to wait at once. What is lost is the end of the connection that arrived together with
// data, so no such wait lasts long before somebody looks again; see hot.

// rawReader reads from the socket itself.
type rawReader struct {
	read    func(fd uintptr) bool // one for all calls, since making it costs an allocation
	written bool
	readErr error
}

// hot is how long a wait may take that began without looking.
const hot = 250 * time.Millisecond

// readSocket reads what has arrived into the buffer. It tells whether nothing had.
func (s *stream) readSocket(fd uintptr) (empty bool, err error) {
	for {
		n, err := receive(fd, s.in[s.w:])
		switch {
		case n > 0:
			s.w += n
			s.received += int64(n)
			s.full = s.w == len(s.in)
			s.emptied = !s.full
			return false, nil
		case err == 0:
			return false, errEnd
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return true, nil
		default:
			return false, os.NewSyscallError("recvfrom", err)
		}
	}
}

// canRaw tells whether the socket may be used itself.
func (s *stream) canRaw() bool { return s.raw != nil && !s.tls && !s.portable }

// sendAndFill writes what is pending and waits for the first bytes of the answer, without looking for them before they can be
// there. It tells whether it did anything; if not, or if nothing came in a while, the usual way goes on.
func (c *carrier) sendAndFill(now time.Time) (done bool, err error) {
	if !c.canRaw() || len(c.out) == 0 {
		return false, nil
	}
	if c.rawReader.read == nil {
		c.rawReader.read = c.onReadable
	}
	if c.w == len(c.in) {
		return false, nil
	}
	c.arm(now)
	c.rawReader.written, c.rawReader.readErr = false, nil
	err = c.raw.Read(c.rawReader.read)
	if !c.rawReader.written {
		// The usual way writes the rest, or finds out what is wrong.
		return false, nil
	}
	if err == nil {
		err = c.rawReader.readErr
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.armed = longAgo
		return true, nil
	}
	c.ended = c.ended || err != nil
	return true, err
}

// onReadable is called first when nothing has arrived, to write, and then whenever something has.
func (c *carrier) onReadable(fd uintptr) bool {
	if !c.rawReader.written {
		return !c.writeSocket(fd)
	}
	empty, err := c.readSocket(fd)
	c.rawReader.readErr = err
	return !empty
}

// writeSocket writes what is pending. What the socket does not take at once, the usual way writes.
func (c *carrier) writeSocket(fd uintptr) (all bool) {
	rest := sendAll(fd, c.out)
	c.out = c.out[:copy(c.out, rest)]
	c.rawReader.written = len(rest) == 0
	return c.rawReader.written
}

// writeDirect writes what the socket takes at once, if a callback holds the socket, and returns the rest. It needs no deadline, since
// it never waits.
func (s *stream) writeDirect(p []byte) (rest []byte) {
	if !s.rawHeld || s.severed.Load() != nil {
		return p
	}
	return sendAll(s.rawFD, p)
}

// sendAll writes what the socket takes at once, and returns the rest. Why there is one, the usual way finds out.
func sendAll(fd uintptr, p []byte) (rest []byte) {
	for len(p) > 0 {
		n, err := send(fd, p)
		if err == syscall.EINTR {
			continue
		}
		if err != 0 || n <= 0 {
			break
		}
		p = p[n:]
	}
	return p
}

// serveHot serves requests for as long as each arrives whole, soon, and with nothing behind it that would have to be read
// while it is served. The first read of the call looks; after that a read that did not fill the buffer has emptied the
// socket. Whatever does not fit is left to the usual way: what was read lies in the buffer.
func (c *connection) serveHot() {
	if !c.canRaw() || c.x == nil || c.requests == 0 || c.r < c.w {
		return
	}
	if c.rawReader.read == nil {
		c.rawReader.read = c.onRequest
	}
	c.r, c.w, c.floor = 0, 0, 0
	c.waitHot(instant())
	c.rawReader.readErr = nil
	if err := c.raw.Read(c.rawReader.read); err != nil {
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			c.ended = true
		}
		c.armed = longAgo
	}
	if c.rawReader.readErr != nil {
		c.ended = true
	}
	c.idle.Store(false)
}

// waitHot gives the next request its time to arrive.
func (c *connection) waitHot(now time.Time) {
	c.idle.Store(true)
	c.expect(now.Add(hot), errIdle, nil)
	if left := c.armed.Sub(now); left < hot/2 || left > hot {
		c.arm(now)
	}
}

// onRequest is called whenever something may have arrived. It returns true when the usual way is to go on.
func (c *connection) onRequest(fd uintptr) bool {
	empty, err := c.readSocket(fd)
	if err != nil {
		c.rawReader.readErr = err
		return true
	}
	if empty {
		return c.server.draining.Load()
	}
	c.idle.Store(false)
	emptied := c.emptied
	c.rawFD, c.rawHeld = fd, true
	whole := c.serveWhole()
	c.rawHeld = false
	if !whole || !emptied || c.server.draining.Load() {
		return true
	}
	c.r, c.w, c.floor = 0, 0, 0
	// Not a look at the clock: after a long exchange the wait is a shorter one.
	c.waitHot(c.x.exchange.Started)
	return false
}

// serveWhole serves the request in the buffer if all of it is there and nothing is behind it. It tells whether the next may be
// waited for here.
func (c *connection) serveWhole() (next bool) {
	x := &c.x.exchange
	x.reset(c)
	r := &x.Request
	done, refused := r.parse(c.in[:c.w], &c.server.limits)
	if !done || refused != nil || r.wantUpgrade || r.chunked || r.expect || r.IsConnect() || r.line+int(max(r.length, 0)) != c.w {
		return false
	}
	r.Header.head = c.takeHead(r.line)
	x.Started = present()
	c.requests++
	c.openBody(x)
	c.handle(x, nil)
	if x.finished && !x.broken && !x.closes && x.Body.done {
		c.shrink()
		return true
	}
	c.unfinished = true
	return false
}
