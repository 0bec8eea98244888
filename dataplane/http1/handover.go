package http1

import (
	"errors"
	"net"
	"time"
)

// handed is a connection that somebody else took over. What had been read already is read first.
type handed struct {
	net.Conn
	unread []byte
}

// Read implements net.Conn.
func (h *handed) Read(p []byte) (int, error) {
	if len(h.unread) == 0 {
		return h.Conn.Read(p)
	}
	n := copy(p, h.unread)
	if h.unread = h.unread[n:]; len(h.unread) == 0 {
		h.unread = nil
	}
	return n, nil
}

// CloseWrite says that no more will be written.
func (h *handed) CloseWrite() error {
	if half, ok := h.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return h.Conn.Close()
}

// NetConn is the connection below.
func (h *handed) NetConn() net.Conn { return h.Conn }

// hijack gives the connection away, with what is unread and without deadlines.
func (s *stream) hijack() net.Conn {
	_ = s.conn.SetDeadline(time.Time{})
	if s.r == s.w {
		return s.conn
	}
	return &handed{Conn: s.conn, unread: append([]byte(nil), s.unread()...)}
}

// startsHTTP2 tells whether the connection began with the preface of HTTP/2, of which the first line has been read.
func (c *connection) startsHTTP2() bool {
	if c.server.config.HTTP2 == nil {
		return false
	}
	c.expect(time.Now().Add(c.server.limits.Head), errIdle, nil)
	for {
		arrived := string(c.in[:c.w])
		n := min(len(arrived), len(preface))
		if arrived[:n] != preface[:n] {
			return false
		}
		if n == len(preface) {
			return true
		}
		if c.fill() != nil {
			return false
		}
	}
}

// handOver gives the connection to whoever speaks HTTP/2.
func (c *connection) handOver() bool {
	conn := c.hijack()
	// From here on the connection is not drained with the others.
	c.server.remove(c)
	c.server.config.HTTP2(conn)
	return true
}

// peekEncrypted looks for the end of a TLS connection, which is a record like others. Whatever else arrives is kept.
func (s *stream) peekEncrypted() peeked {
	if s.ended {
		return finished
	}
	s.moved++
	if s.r == s.w {
		s.r, s.w = s.floor, s.floor
	}
	if s.w == len(s.in) {
		return nothing
	}
	s.armed = longAgo
	_ = s.conn.SetReadDeadline(time.Now().Add(peekTime))
	n, err := s.conn.Read(s.in[s.w:])
	s.w += n
	var timeout net.Error
	switch {
	case err == nil || errors.As(err, &timeout) && timeout.Timeout():
		return nothing
	case s.cause() != nil:
		return gone
	}
	s.ended = true
	return finished
}

// peekTime is how long a look into a TLS connection may take: what it looks for has arrived already.
const peekTime = 5 * time.Millisecond
