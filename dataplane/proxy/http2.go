package proxy

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"tidegate.dev/dataplane/listener"
)

// http2Server serves connections that are known to speak HTTP/2, by the server of golang.org/x/net/http2.
type http2Server struct {
	// Set once.
	proxy    *Proxy
	library  *http2.Server
	base     *http.Server // lends the library its settings, and tells it to shut down
	lifetime context.Context

	// Atomic.
	draining atomic.Bool

	// Guarded by mu: the connections that are served, without their guards, which would wait for what is to be sent.
	mu   sync.Mutex
	open map[net.Conn]struct{}
}

func (p *Proxy) newHTTP2(lifetime context.Context) (*http2Server, error) {
	enableExtendedConnect()
	s := &http2Server{proxy: p, lifetime: lifetime, open: make(map[net.Conn]struct{})}
	s.base = &http.Server{
		Handler:           p,
		ReadHeaderTimeout: p.limits.HeaderTimeout,
		IdleTimeout:       p.limits.IdleTimeout,
		// What is a little too large gets a proper answer, what is far too large the library's.
		MaxHeaderBytes: 2 * p.limits.HeaderBytes,
		ErrorLog:       slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	s.library = &http2.Server{
		MaxConcurrentStreams:         uint32(p.limits.Streams),
		MaxReadFrameSize:             16 << 10, // the least that the RFC allows, and enough
		MaxUploadBufferPerConnection: 1 << 20,
		MaxUploadBufferPerStream:     64 << 10,
		IdleTimeout:                  p.limits.IdleTimeout,
		ReadIdleTimeout:              30 * time.Second,
		PingTimeout:                  15 * time.Second,
	}
	if err := http2.ConfigureServer(s.base, s.library); err != nil {
		return nil, fmt.Errorf("setting up HTTP/2: %w", err)
	}
	return s, nil
}

// serve serves a connection to its end. What the client sends first is the preface of HTTP/2.
func (s *http2Server) serve(conn net.Conn) {
	ctx := s.proxy.connectionContext(s.lifetime, conn)
	guarded := s.proxy.gate.GuardHTTP2(conn, listener.HTTP2Limits{HeaderBytes: 2 * s.proxy.limits.HeaderBytes, Silence: 30 * time.Second})
	s.mu.Lock()
	s.open[conn] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.open, conn)
		s.mu.Unlock()
		_ = guarded.Close()
	}()
	s.library.ServeConn(guarded, &http2.ServeConnOpts{Context: ctx, BaseConfig: s.base})
}

// drain has every connection told that it ends (RFC 9113, section 6.8): those that are open now, and others with their first
// answer.
func (s *http2Server) drain(ctx context.Context) {
	s.draining.Store(true)
	_ = s.base.Shutdown(ctx) // it has no connections of its own to wait for
}

// sever ends all connections.
func (s *http2Server) sever() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.open {
		_ = conn.Close()
	}
}
