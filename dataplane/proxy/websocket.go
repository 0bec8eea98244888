package proxy

import (
	"crypto/rand"
	"encoding/base64"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"tidegate.dev/dataplane/http1"
)

// A WebSocket over HTTP/2 (RFC 8441) is a stream that begins with an extended CONNECT. Upstream it is what it always was: a GET that
// switches protocols (RFC 6455). The two differ in their heads alone.

// readExtendedConnect takes what was asked, if it is a WebSocket over HTTP/2.
func (x *exchange) readExtendedConnect(s *stream) bool {
	protocol := s.request.Header[":protocol"] // where the library puts it
	s.header.Del(":protocol")
	if x.method != http.MethodConnect || len(protocol) != 1 || !strings.EqualFold(protocol[0], "websocket") {
		return false
	}
	x.method, x.upgrade = http.MethodGet, "websocket"
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // it never fails
	s.header.Set("Sec-Websocket-Key", base64.StdEncoding.EncodeToString(nonce[:]))
	return true
}

// Upgrade implements client: the stream carries the other protocol from now on. The key of the upstream's handshake is ours to
// know.
func (s *stream) Upgrade(header *http1.Header) (net.Conn, error) {
	if s.request.Method != http.MethodConnect {
		return nil, http1.ErrNotAllowed // HTTP/2 does not switch protocols otherwise (RFC 9113, section 8.6)
	}
	header.Del("Sec-Websocket-Accept")
	if err := s.Respond(http.StatusOK, header, -1); err != nil {
		return nil, err
	}
	if err := s.Flush(); err != nil {
		return nil, err
	}
	return &streamConn{stream: s}, nil
}

// streamConn is a stream as a connection. It ends when the other side of its tunnel does, which has the deadlines: those of a stream
// end it for good.
type streamConn struct {
	*stream
	closed atomic.Bool
}

// Read implements net.Conn.
func (c *streamConn) Read(p []byte) (int, error) { return c.request.Body.Read(p) }

// Write implements net.Conn. What is written goes out at once.
func (c *streamConn) Write(p []byte) (int, error) {
	if c.closed.Load() {
		return 0, net.ErrClosed
	}
	n, err := c.stream.Write(p)
	if err != nil {
		return n, err
	}
	return n, c.Flush()
}

// Close implements net.Conn. The stream itself ends when its exchange does.
func (c *streamConn) Close() error {
	if c.closed.Swap(true) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		_ = c.control().SetWriteDeadline(time.Now().Add(lastWords))
	}
	return c.request.Body.Close()
}

// LocalAddr implements net.Conn.
func (c *streamConn) LocalAddr() net.Addr { return streamAddress{} }

// RemoteAddr implements net.Conn.
func (c *streamConn) RemoteAddr() net.Addr { return streamAddress{} }

// SetDeadline implements net.Conn.
func (c *streamConn) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline implements net.Conn.
func (c *streamConn) SetReadDeadline(time.Time) error { return os.ErrNoDeadline }

// SetWriteDeadline implements net.Conn.
func (c *streamConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

// streamAddress is the address of a stream, which has none.
type streamAddress struct{}

// Network implements net.Addr.
func (streamAddress) Network() string { return "h2" }

// String implements net.Addr.
func (streamAddress) String() string { return "a stream of HTTP/2" }
