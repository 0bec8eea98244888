package proxy

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// http2Server serves connections that are known to speak HTTP/2, by net/http's server.
type http2Server struct {
	// Set once.
	server      *http.Server
	connections chan net.Conn
	closed      chan struct{}

	// Guarded by mu: the connections that are served, each with what is closed at its end.
	mu   sync.Mutex
	open map[net.Conn]chan struct{}
}

func (p *Proxy) newHTTP2(lifetime context.Context) *http2Server {
	s := &http2Server{connections: make(chan net.Conn), closed: make(chan struct{}), open: make(map[net.Conn]chan struct{})}
	spoken := new(http.Protocols)
	spoken.SetHTTP2(true)
	spoken.SetUnencryptedHTTP2(true)
	s.server = &http.Server{
		Handler:           p,
		Protocols:         spoken,
		ReadHeaderTimeout: p.limits.HeaderTimeout,
		IdleTimeout:       p.limits.IdleTimeout,
		// What is a little too large gets a proper answer, what is far too large the library's.
		MaxHeaderBytes: 2 * p.limits.HeaderBytes,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          p.limits.Streams,
			MaxReceiveBufferPerConnection: 1 << 20,
			MaxReceiveBufferPerStream:     64 << 10,
			SendPingTimeout:               30 * time.Second,
			PingTimeout:                   15 * time.Second,
			WriteByteTimeout:              30 * time.Second,
		},
		BaseContext: func(net.Listener) context.Context { return lifetime },
		ConnContext: p.connectionContext,
		ConnState:   s.note,
		ErrorLog:    slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	return s
}

// note learns that a connection has ended.
func (s *http2Server) note(conn net.Conn, state http.ConnState) {
	if state != http.StateClosed && state != http.StateHijacked {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if ended, ok := s.open[conn]; ok {
		close(ended)
		delete(s.open, conn)
	}
}

// serve serves a connection to its end. What the client sends first is the preface of HTTP/2.
func (s *http2Server) serve(conn net.Conn) {
	ended := make(chan struct{})
	s.mu.Lock()
	s.open[conn] = ended
	s.mu.Unlock()
	select {
	case s.connections <- conn:
		<-ended
	case <-s.closed:
		_ = conn.Close()
		s.note(conn, http.StateClosed)
	}
}

// sever ends all connections.
func (s *http2Server) sever() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		_ = conn.Close()
	}
}

// source is where the server gets its connections. It is a net.Listener.
type source struct {
	server  *http2Server
	closing sync.Once
}

// Accept implements net.Listener.
func (l *source) Accept() (net.Conn, error) {
	select {
	case conn := <-l.server.connections:
		return conn, nil
	case <-l.server.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *source) Close() error {
	l.closing.Do(func() { close(l.server.closed) })
	return nil
}

// Addr implements net.Listener. Connections come from several listeners.
func (l *source) Addr() net.Addr { return &net.TCPAddr{} }
