package listener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Config makes a listener.
type Config struct {
	// Name is that of its metrics, and of its descriptor when it is passed on: "http", "https".
	Name string
	// Socket is the open port. The listener closes it.
	Socket *net.TCPListener
	// Gate admits connections; listeners share it.
	Gate *Gate
	// TLS makes the connections encrypted; nil for clear text.
	TLS *TLS
	// ProxyProtocol says whether connections begin with a header of the PROXY protocol, and TrustedProxies who may send one.
	ProxyProtocol  ProxyProtocol
	TrustedProxies Prefixes

	// HTTP1 serves a connection, on a goroutine of its own, and sees to its end: a *[Conn], or a *tls.Conn over one whose
	// handshake is done. In clear text it may begin with the preface of HTTP/2 (RFC 9113, section 3.4), which whoever reads the
	// first request sees at no cost: looking for it here would cost every connection a read.
	HTTP1 func(net.Conn)
	// HTTP2 serves a connection on which h2 was agreed on by ALPN (RFC 7301). nil: h2 is not offered.
	HTTP2 func(net.Conn)
}

// Listener accepts connections at one port.
type Listener struct {
	// Set once.
	config Config
	spare  spare

	// Atomic or safe by themselves.
	closed  chan struct{}
	closing sync.Once
	serving sync.WaitGroup
}

// New makes a listener. It accepts when [Listener.Run] runs.
func New(config Config) *Listener {
	return &Listener{config: config, closed: make(chan struct{})}
}

// Addr is where it listens.
func (l *Listener) Addr() net.Addr { return l.config.Socket.Addr() }

// Pauses after an error of accepting: they double from the first to the longest.
const (
	firstPause   = 5 * time.Millisecond
	longestPause = time.Second
)

// Run accepts until [Listener.Close] is called or ctx ends. Connections that were handed out live on.
func (l *Listener) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, l.Close)()
	defer l.Close()
	l.spare.open()
	defer l.spare.close()
	pause := firstPause
	for {
		conn, err := l.config.Socket.AcceptTCP()
		if err == nil {
			pause = firstPause
			l.take(ctx, conn)
			continue
		}
		if l.isClosed() {
			return nil
		}
		if !temporary(err) {
			return fmt.Errorf("accepting at %s: %w", l.Addr(), err)
		}
		l.config.Gate.acceptErrors.Add(1)
		if exhausted(err) && l.spare.refuse(l.config.Socket) {
			l.config.Gate.refused[RefusedDescriptors].Add(1)
		}
		if !l.wait(pause) {
			return nil
		}
		pause = min(2*pause, longestPause)
	}
}

// wait pauses; it tells whether the listener is still open then.
func (l *Listener) wait(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-l.closed:
		return false
	case <-timer.C:
		return true
	}
}

// Close stops accepting. Whoever holds another descriptor of the port goes on, and what waits in the kernel is theirs.
func (l *Listener) Close() {
	l.closing.Do(func() {
		close(l.closed)
		_ = l.config.Socket.Close()
	})
}

func (l *Listener) isClosed() bool {
	select {
	case <-l.closed:
		return true
	default:
		return false
	}
}

// Wait returns when HTTP1 and HTTP2 have returned for every connection that was accepted, those in their handshakes included, or ctx
// ends. It is called after Run has returned.
func (l *Listener) Wait(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.serving.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// take admits a connection and gives it a goroutine.
func (l *Listener) take(ctx context.Context, socket *net.TCPConn) {
	conn, cause := l.config.Gate.admit(socket, l.config.Name, l.exempt(socket))
	if cause != admitted {
		l.config.Gate.refused[cause].Add(1)
		refuse(socket)
		return
	}
	_ = socket.SetKeepAliveConfig(keepAlive) // without it the connection still serves
	if l.config.TLS == nil && l.config.ProxyProtocol == ProxyProtocolOff {
		l.serving.Go(func() { l.config.HTTP1(conn) })
		return
	}
	l.serving.Go(func() { l.prepare(ctx, conn) })
}

// exempt tells whether a peer is not one client but passes on many.
func (l *Listener) exempt(socket *net.TCPConn) bool {
	return len(l.config.TrustedProxies) > 0 && l.config.TrustedProxies.Has(addressOf(socket.RemoteAddr()).Addr())
}

// keepAlive finds peers that are gone (RFC 9293, section 3.8.4) within two minutes.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4}

// prepare does what comes before the first request. Serving gets a goroutine of its own with a small stack: handshakes grow
// theirs, and thousands of connections are idle for long.
func (l *Listener) prepare(ctx context.Context, conn *Conn) {
	if err := l.readProxyHeader(conn); err != nil {
		cause := RefusedProxyProtocol
		if errors.Is(err, errClientFull) {
			cause = RefusedClient
		}
		l.config.Gate.refused[cause].Add(1)
		_ = conn.Close()
		return
	}
	if l.config.TLS == nil {
		l.serving.Go(func() { l.config.HTTP1(conn) })
		return
	}
	secure, err := l.config.Gate.handshake(ctx, conn, l.config.TLS.config)
	if err != nil {
		_ = conn.Close()
		return
	}
	serve := l.config.HTTP1
	if secure.ConnectionState().NegotiatedProtocol == protocolACME {
		_ = secure.Close() // the handshake was all that the authority wanted to see
		return
	}
	if secure.ConnectionState().NegotiatedProtocol == "h2" && l.config.HTTP2 != nil {
		serve = l.config.HTTP2
	}
	l.serving.Go(func() { serve(secure) })
}

func (l *Listener) readProxyHeader(conn *Conn) error {
	switch l.config.ProxyProtocol {
	case ProxyProtocolOff:
		return nil
	case ProxyProtocolTrusted:
		if !l.config.TrustedProxies.Has(conn.source.Addr()) {
			return nil
		}
	case ProxyProtocolRequired:
		if !l.config.TrustedProxies.Has(conn.source.Addr()) {
			return errors.New("the peer is no trusted proxy")
		}
	}
	_ = conn.SetReadDeadline(time.Now().Add(l.config.Gate.limits.ProxyHeader))
	header, err := readProxyHeader(conn.TCPConn)
	if err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Time{})
	if header.source.IsValid() && !conn.gate.rename(conn, header.source) {
		return errClientFull
	}
	return nil
}

var errClientFull = errors.New("the client has as many connections as it may")
