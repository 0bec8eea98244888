package http1

import (
	"crypto/tls"
	"errors"
	"net"
	"time"
)

// Exchange is a request of a client and the response to it. It belongs to the goroutine that serves it, and is used again
// for the connection's next request, so nobody keeps it. Its body may be read by another goroutine meanwhile.
type Exchange struct {
	Request Request
	Body    Body
	// Started is when the head of the request had arrived.
	Started time.Time

	connection *connection
	progress
}

// progress is how far a response has come.
type progress struct {
	status   int
	begun    bool // the head of the final response was written
	finished bool
	broken   bool
	closes   bool // the connection ends with the exchange
	taken    bool // the connection is somebody else's now
	probed   bool // the client was asked for a sign of life
	digit    bool // a part of the next chunk's size was sent for that
	kind     bodyKind
	left     int64 // of what Content-Length announced
	written  int64
}

func (x *Exchange) reset(c *connection) {
	x.Request.reset()
	x.Body.stream, x.Body.before, x.Body.kept = nil, nil, nil
	x.connection, x.progress = c, progress{}
	if c != nil {
		c.serial.Add(1)
		c.patience = c.server.limits.Silence
	}
}

// RemoteAddr is the address of the peer.
func (x *Exchange) RemoteAddr() net.Addr { return x.connection.conn.RemoteAddr() }

// Connection is the connection that the exchange came on. It is for looking at, not for reading or writing.
func (x *Exchange) Connection() net.Conn { return x.connection.conn }

// TLS is the state of a connection that is encrypted, else nil.
func (x *Exchange) TLS() *tls.ConnectionState { return x.connection.tlsState }

// Value is what Server.Opened returned for the connection.
func (x *Exchange) Value() any { return x.connection.value }

// Status is the status of the response, 0 as long as there is none.
func (x *Exchange) Status() int { return x.status }

// Written is how much content of the response was written.
func (x *Exchange) Written() int64 { return x.written }

// CloseAfter makes the response the last of its connection.
func (x *Exchange) CloseAfter() { x.closes = true }

// Sever ends the exchange: whoever waits for the client, or for an upstream on the client's behalf, is woken with cause,
// within a Tick at most. There is a moment to answer, if nothing was answered yet. Any goroutine may call it while the
// exchange lasts.
func (x *Exchange) Sever(cause error) { x.connection.sever(cause, lastWords) }

// Severer returns what Sever does, for whoever may call it when the exchange is over; then it does nothing.
func (x *Exchange) Severer() func(cause error) {
	c := x.connection
	serial := c.serial.Load()
	return func(cause error) {
		if c.serial.Load() == serial {
			c.sever(cause, lastWords)
		}
	}
}

// Patience sets how long a piece of the response may wait for the client to take it, for this exchange.
func (x *Exchange) Patience(silence time.Duration) { x.connection.patience = silence }

// lastWords is how long writing to a client may take whose exchange was severed.
const lastWords = 250 * time.Millisecond

// Inform sends an informational response (RFC 9110, section 15.2). The client of HTTP/1.0 is spared, and nobody is told to
// continue twice.
func (x *Exchange) Inform(status int, header *Header) error {
	if x.begun || status < 100 || status > 199 || status == 101 {
		return ErrNotAllowed
	}
	if x.Request.minor == 0 {
		return nil
	}
	if status == 100 {
		if !x.Request.expect {
			return nil
		}
		x.Request.expect = false
	}
	s := &x.connection.stream
	out := appendStatusLine(s.out, status)
	var err error
	if out, err = header.appendTo(out, framingNames); err != nil {
		return err
	}
	out = append(out, "\r\n"...)
	s.out = out
	return x.sent(s.flush(nil))
}

// askForBody tells a client to send its body that waits for being told.
func (x *Exchange) askForBody() error {
	if !x.begun && x.Request.expect {
		return x.Inform(100, nil)
	}
	return nil
}

// Respond writes the head of the final response; it is sent together with the first piece of the body, or by Flush or Finish.
// The length is that of the body, or of what would be its body if there is none because of the method or the status; -1 if it
// is not known. Fields of the header that frame the message or belong to a connection are left out, and Date is added. After
// ErrInvalidField the exchange may be answered otherwise.
func (x *Exchange) Respond(status int, header *Header, length int64) error {
	if x.begun || status < 200 || status > 999 {
		return ErrNotAllowed
	}
	c := x.connection
	x.begun, x.status = true, status
	x.decideClose()
	out := appendStatusLine(c.out, status)
	without := framingNames
	headless := bodiless(status) || x.Request.Method() == "HEAD"
	switch {
	case headless:
		x.kind = noBody
		if length >= 0 && status >= 200 && status != 204 {
			out = appendLength(out, length)
		}
	case length >= 0:
		x.kind, x.left = lengthBody, length
		out = appendLength(out, length)
	case x.Request.minor > 0:
		x.kind = chunkedBody
		out = append(out, codingLine...)
	default:
		x.kind, x.closes = untilCloseBody, true
	}
	if x.kind != chunkedBody {
		without |= 1 << nameTrailer
	}
	out, err := header.appendTo(out, without)
	if err != nil {
		// Nothing was sent, so another response may be.
		x.progress = progress{closes: x.closes, probed: x.probed}
		return err
	}
	if header == nil || !header.present.has(nameDate) {
		out = append(out, "Date: "...)
		out = append(out, c.server.dates.at(x.Started)...)
		out = append(out, "\r\n"...)
	}
	switch {
	case x.closes:
		out = append(out, "Connection: close\r\n"...)
	case x.Request.minor == 0:
		out = append(out, "Connection: keep-alive\r\n"...)
	}
	out = append(out, "\r\n"...)
	c.out = out
	return nil
}

// mostDiscarded is how much of a body that nobody wants is read so that the connection can go on.
const mostDiscarded = 64 << 10

// decideClose finds out whether the connection can go on after the response.
func (x *Exchange) decideClose() {
	switch {
	case x.connection.server.draining.Load(), !x.Request.persistent(), x.connection.cause() != nil:
		x.closes = true
	case x.connection.lent.Load():
		x.closes = true
	case x.Body.err != nil:
		x.closes = true
	case x.Body.whole():
	case x.Request.expect, x.Body.kind == chunkedBody, x.Body.left > mostDiscarded:
		// The rest of the request may never come, or there is too much of it.
		x.closes = true
	}
}

// Write writes a piece of the response's body. Small pieces may wait for Flush.
func (x *Exchange) Write(p []byte) (int, error) {
	if !x.begun || x.finished || x.taken {
		return 0, ErrNotAllowed
	}
	if x.broken {
		return 0, ErrClientGone
	}
	s := &x.connection.stream
	switch x.kind {
	case noBody:
		return len(p), nil
	case chunkedBody:
		s.out = x.appendContent(s.out, p)
	case lengthBody:
		if int64(len(p)) > x.left {
			x.broken = true
			return 0, ErrBodyLength
		}
		x.left -= int64(len(p))
		fallthrough
	default:
		if len(s.out)+len(p) > smallBody {
			if err := x.sent(s.flush(p)); err != nil {
				return 0, err
			}
			x.written += int64(len(p))
			return len(p), nil
		}
		s.out = append(s.out, p...)
	}
	x.written += int64(len(p))
	if len(s.out) > smallBody {
		if err := x.sent(s.flush(nil)); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// appendContent writes a chunk. If its first digit has gone ahead (Alive), that was a zero and does no harm.
func (x *Exchange) appendContent(out, p []byte) []byte {
	if len(p) > 0 {
		x.digit = false
	}
	return appendChunk(out, p)
}

// Flush sends what was written.
func (x *Exchange) Flush() error {
	if x.broken {
		return ErrClientGone
	}
	return x.sent(x.connection.flush(nil))
}

// Finish ends the response, with a trailer section if the body is chunked; trailer may be nil. Without it the response is
// broken off when the exchange ends, so that it cannot be taken for a whole one.
func (x *Exchange) Finish(trailer *Header) error {
	if !x.begun || x.finished || x.taken {
		return ErrNotAllowed
	}
	if x.broken {
		return ErrClientGone
	}
	if x.kind == lengthBody && x.left > 0 {
		x.broken = true
		return ErrBodyLength
	}
	s := &x.connection.stream
	if x.kind == chunkedBody {
		out, err := appendLastChunk(s.out, trailer)
		if err != nil {
			x.broken = true
			return err
		}
		s.out = out
	}
	x.finished = true
	return x.sent(s.flush(nil))
}

// sent notes that the client is gone.
func (x *Exchange) sent(err error) error {
	if err == nil {
		return nil
	}
	x.broken = true
	if cause := x.connection.cause(); cause != nil {
		return cause
	}
	return errors.Join(ErrClientGone, err)
}

// Alive implements Waiter: it tells whether the client still waits for the response. A client that only ended its side of the
// connection may read on, so one that says it has ended is asked for a sign of life, with bytes that change nothing: 102
// (Processing) before the response, and within a chunked body a leading zero of the next chunk's size (RFC 9112, section
// 7.1). Whoever is gone answers with a reset. Only a client whose response has another framing, or that speaks HTTP/1.0, is
// found out by the next write alone.
func (x *Exchange) Alive() error {
	c := x.connection
	if cause := c.cause(); cause != nil {
		return cause
	}
	if x.broken {
		return ErrClientGone
	}
	if c.lent.Load() {
		// Somebody reads the body and will notice.
		return nil
	}
	found := c.peek()
	if found == sent && c.tls && x.Body.done {
		found = c.peekEncrypted()
	}
	if found == gone {
		x.broken = true
		return ErrClientGone
	}
	if found == finished && !x.probed {
		x.probed = true
		return x.probe()
	}
	return nil
}

func (x *Exchange) probe() error {
	s := &x.connection.stream
	switch {
	case !x.begun && x.Request.minor > 0:
		s.out = append(s.out, "HTTP/1.1 102 Processing\r\n\r\n"...)
	case x.begun && !x.finished && x.kind == chunkedBody && !x.digit:
		x.digit = true
		s.out = append(s.out, '0')
	default:
		return nil
	}
	return x.sent(s.flush(nil))
}

// Upgrade answers 101 (Switching Protocols) and hands the connection over; for CONNECT it answers 200. The header names the
// protocol in Upgrade. What the client sent already is read from the connection first. The caller closes it.
func (x *Exchange) Upgrade(header *Header) (net.Conn, error) {
	protocol := header.Get("Upgrade")
	connect := x.Request.IsConnect()
	if x.begun || !x.Body.done || !connect && (protocol == "" || !x.Request.wantUpgrade || x.Request.minor == 0) {
		return nil, ErrNotAllowed
	}
	c := x.connection
	x.begun, x.status = true, 101
	if connect {
		x.status = 200
	}
	out, err := header.appendTo(appendStatusLine(c.out, x.status), framingNames)
	if err == nil && !connect {
		out, err = appendField(append(out, "Connection: Upgrade\r\n"...), "Upgrade", protocol)
	}
	if err != nil {
		x.broken = true
		return nil, err
	}
	out = append(out, "\r\n"...)
	c.out = out
	if err := x.sent(c.flush(nil)); err != nil {
		return nil, err
	}
	x.finished, x.taken = true, true
	c.server.remove(c)
	return c.hijack(), nil
}

// Relay passes a response's body on: whatever arrives is sent before anything is waited for, and the trailer section with it.
// The head was written with Respond. Errors of the client are told by ErrClientGone.
func (x *Exchange) Relay(response *Response) error {
	body := &response.Body
	for {
		piece, err := body.next(false)
		if err != nil && !isEnd(err) && errors.Is(err, errNotBuffered) {
			if err := x.Flush(); err != nil {
				return err
			}
			piece, err = body.next(true)
		}
		if len(piece) > 0 {
			if _, err := x.Write(piece); err != nil {
				return err
			}
		}
		switch {
		case isEnd(err):
			return x.Finish(&body.Trailer)
		case err != nil:
			return err
		}
	}
}
