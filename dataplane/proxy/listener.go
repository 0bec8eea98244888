package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// front takes connections, finds out what is spoken on each, and hands it to the server for that. Here a connection of
// HTTP/1.1 can be given to another engine than net/http's.
type front struct {
	// Set once.
	listener net.Listener
	// tls is nil for clear text.
	tls *tls.Config
	// slots bounds the connections: one is taken for each, and when there is none nothing more is accepted.
	slots   chan struct{}
	timeout time.Duration
	http1   chan net.Conn
	http2   chan net.Conn
	closed  chan struct{}
	closing sync.Once
}

func newFront(listener net.Listener, config *tls.Config, slots chan struct{}, timeout time.Duration) *front {
	return &front{
		listener: listener, tls: config, slots: slots, timeout: timeout,
		http1: make(chan net.Conn), http2: make(chan net.Conn), closed: make(chan struct{}),
	}
}

// run accepts until the listener is closed.
func (f *front) run(ctx context.Context) error {
	var handshakes sync.WaitGroup
	defer handshakes.Wait()
	defer f.close()
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			if f.isClosed() {
				return nil
			}
			if retry(ctx, err) {
				continue
			}
			return err
		}
		select {
		case f.slots <- struct{}{}:
		case <-f.closed:
			return conn.Close()
		}
		conn = &countedConn{Conn: conn, slots: f.slots}
		if f.tls == nil {
			f.hand(&watchedConn{Conn: conn}, f.http1)
			continue
		}
		handshakes.Go(func() { f.handshake(ctx, conn) })
	}
}

// retry tells whether accepting may go on after an error, and waits a moment for descriptors to become free.
func retry(ctx context.Context, err error) bool {
	temporary, ok := err.(interface{ Temporary() bool })
	if !ok || !temporary.Temporary() {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(10 * time.Millisecond):
		return true
	}
}

// handshake finds out by ALPN (RFC 7301) what the client speaks.
func (f *front) handshake(ctx context.Context, plain net.Conn) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	conn := tls.Server(plain, f.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = plain.Close()
		return
	}
	if conn.ConnectionState().NegotiatedProtocol == "h2" {
		f.hand(conn, f.http2)
		return
	}
	f.hand(&watchedConn{Conn: conn}, f.http1)
}

func (f *front) hand(conn net.Conn, to chan net.Conn) {
	select {
	case to <- conn:
	case <-f.closed:
		_ = conn.Close()
	}
}

func (f *front) close() {
	f.closing.Do(func() {
		close(f.closed)
		_ = f.listener.Close()
	})
}

func (f *front) isClosed() bool {
	select {
	case <-f.closed:
		return true
	default:
		return false
	}
}

// branch is the part of a front's connections that one server gets. It is a net.Listener.
type branch struct {
	front       *front
	connections chan net.Conn
}

// Accept implements net.Listener.
func (b *branch) Accept() (net.Conn, error) {
	select {
	case conn := <-b.connections:
		return conn, nil
	case <-b.front.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. It closes the whole front.
func (b *branch) Close() error {
	b.front.close()
	return nil
}

// Addr implements net.Listener.
func (b *branch) Addr() net.Addr { return b.front.listener.Addr() }

// countedConn gives its slot back when it is closed.
type countedConn struct {
	net.Conn
	slots  chan struct{}
	closed sync.Once
}

// Close implements net.Conn.
func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.closed.Do(func() { <-c.slots })
	return err
}

// CloseWrite says that no more will be written.
func (c *countedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}
