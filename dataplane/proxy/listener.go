package proxy

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// front takes connections, finds out what is spoken on each, and hands it to whoever serves that, to its end.
type front struct {
	// Set once.
	listener net.Listener
	// tls is nil for clear text.
	tls *tls.Config
	// slots bounds the connections: one is taken for each, and when there is none nothing more is accepted.
	slots   chan struct{}
	timeout time.Duration
	// http1 and http2 serve a connection and return when it has ended.
	http1, http2 func(net.Conn)
	closed       chan struct{}
	closing      sync.Once
}

// run accepts until the listener is closed, and returns when all connections have ended.
func (f *front) run(ctx context.Context) error {
	var serving sync.WaitGroup
	defer serving.Wait()
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
		serving.Go(func() {
			defer func() { <-f.slots }()
			f.serve(ctx, conn)
		})
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

// serve finds out by ALPN (RFC 7301) what the client speaks. In clear text the first bytes tell.
func (f *front) serve(ctx context.Context, plain net.Conn) {
	if f.tls == nil {
		f.http1(plain)
		return
	}
	conn := tls.Server(plain, f.tls)
	if err := f.handshake(ctx, conn); err != nil {
		_ = plain.Close()
		return
	}
	if conn.ConnectionState().NegotiatedProtocol == "h2" {
		f.http2(conn)
		return
	}
	f.http1(conn)
}

func (f *front) handshake(ctx context.Context, conn *tls.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	return conn.HandshakeContext(ctx)
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
