package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"tidegate.dev/dataplane/http1"
)

// transport is what speaks to one target: a pool of connections of HTTP/1.1, connections of HTTP/2, or both until it is known
// what the target prefers.
type transport struct {
	// Set once. pool is nil if HTTP/2 alone is spoken, and newHTTP2 if HTTP/1.1 alone is.
	address  string
	dialer   *dialer
	tls      *tls.Config // nil in clear text
	pool     *http1.Pool
	newHTTP2 func() *http.Transport
	// upgrades speaks HTTP/1.1 whatever the target prefers, for requests that want to switch protocols; nil if it cannot.
	upgrades *http1.Pool

	// Connections that turned out to speak the other protocol than the one they were opened for.
	spareHTTP1, spareHTTP2 chan net.Conn

	// Atomic: whether the target was last seen to prefer HTTP/1.1, and what speaks HTTP/2.
	prefersHTTP1 atomic.Bool
	http2        atomic.Pointer[http.Transport]

	// Guarded by mu: what spoke HTTP/2 before, and may still have connections with exchanges.
	mu     sync.Mutex
	former []*http.Transport
}

// errOtherProtocol says that the handshake agreed on the other protocol.
var errOtherProtocol = errors.New("the target speaks another protocol now")

// newTargetTransport makes a target's transport. It opens no connection.
func newTargetTransport(key targetKey, d *dialer, tlsConfig *tls.Config) *transport {
	t := &transport{address: addressOf(key.scheme, key.host), dialer: d}
	if key.scheme == "https" {
		t.tls = tlsConfig.Clone()
	}
	switch {
	case key.protocol == HTTP2, key.protocol == HTTP2Cleartext:
		t.newHTTP2 = func() *http.Transport { return newTransport(key, d, tlsConfig.Clone()) }
	case key.protocol == HTTP1, key.scheme == "http":
		t.pool = newPool(key, t.dialHTTP1)
		t.upgrades = t.pool
	default:
		t.spareHTTP1, t.spareHTTP2 = make(chan net.Conn, 1), make(chan net.Conn, 1)
		t.pool = newPool(key, t.dialPreferringHTTP1)
		t.upgrades = newPool(key, t.dialHTTP1)
		key.protocol = HTTP2
		t.newHTTP2 = func() *http.Transport {
			http2 := newTransport(key, d, tlsConfig.Clone())
			http2.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
				ctx, cancel := connectContext(ctx, defaultConnectTimeout)
				defer cancel()
				return t.dialPreferringHTTP2(ctx)
			}
			return http2
		}
	}
	if t.newHTTP2 != nil {
		t.http2.Store(t.newHTTP2())
	}
	return t
}

// addressOf is the address to dial.
func addressOf(scheme, host string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	port := map[string]string{"http": "80", "https": "443"}[scheme]
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}

const (
	longestResponseHeader = 256 << 10
	mostResponseFields    = 1000
)

func newPool(key targetKey, dial func(context.Context) (net.Conn, error)) *http1.Pool {
	return http1.NewPool(http1.PoolConfig{
		Dial: dial, MaxIdle: key.maxIdle, IdleTimeout: key.idleTimeout, DialTimeout: defaultConnectTimeout,
		Limits: http1.Limits{HeaderBytes: longestResponseHeader, HeaderCount: mostResponseFields},
	})
}

func (t *transport) dialHTTP1(ctx context.Context) (net.Conn, error) {
	if t.tls == nil {
		return t.dialer.dial(ctx, "tcp", t.address)
	}
	return t.dialAgreeing(ctx, "http/1.1")
}

func (t *transport) dialAgreeing(ctx context.Context, protocols ...string) (net.Conn, error) {
	config := t.tls.Clone()
	config.NextProtos = protocols
	return t.dialer.dialTLS(ctx, "tcp", t.address, config)
}

// dialPreferringHTTP1 opens a connection for the pool; if the target agrees on HTTP/2 now, it is kept for that.
func (t *transport) dialPreferringHTTP1(ctx context.Context) (net.Conn, error) {
	return t.dialEither(ctx, t.spareHTTP1, t.spareHTTP2, false)
}

func (t *transport) dialPreferringHTTP2(ctx context.Context) (net.Conn, error) {
	return t.dialEither(ctx, t.spareHTTP2, t.spareHTTP1, true)
}

func (t *transport) dialEither(ctx context.Context, mine, others chan net.Conn, wantHTTP2 bool) (net.Conn, error) {
	select {
	case conn := <-mine:
		return conn, nil
	default:
	}
	conn, err := t.dialAgreeing(ctx, "h2", "http/1.1")
	if err != nil {
		return nil, err
	}
	secure, ok := conn.(*tls.Conn)
	gotHTTP2 := ok && secure.ConnectionState().NegotiatedProtocol == "h2"
	t.prefersHTTP1.Store(!gotHTTP2)
	if gotHTTP2 == wantHTTP2 {
		return conn, nil
	}
	select {
	case others <- conn:
	default:
		_ = conn.Close()
	}
	return nil, errOtherProtocol
}

// mostSwitches bounds how often one request goes from one protocol to the other.
const mostSwitches = 3

func (t *transport) roundTrip(target *Target, call *http1.Call, response *Response) *http1.Failure {
	switch {
	case call.Upgrade != "" && t.upgrades != nil:
		return throughPool(t.upgrades, call, response)
	case t.newHTTP2 == nil:
		return throughPool(t.pool, call, response)
	}
	for switches := 0; ; switches++ {
		var failure *http1.Failure
		if t.pool != nil && t.prefersHTTP1.Load() {
			failure = throughPool(t.pool, call, response)
		} else {
			failure = t.throughHTTP2(target, call, response)
		}
		if failure == nil || switches == mostSwitches || !errors.Is(failure.Err, errOtherProtocol) {
			return failure
		}
	}
}

func throughPool(pool *http1.Pool, call *http1.Call, response *Response) *http1.Failure {
	got, failure := pool.RoundTrip(call)
	if failure != nil {
		return failure
	}
	response.Status, response.Header, response.ContentLength, response.http1, response.http2 = got.Status, got.Header, got.ContentLength(), got, nil
	return nil
}

// forget closes the connections that are idle, and those of HTTP/2 get no more requests: they end with the ones that they have.
func (t *transport) forget() {
	for _, pool := range []*http1.Pool{t.pool, t.upgrades} {
		if pool != nil {
			pool.Forget()
		}
	}
	if t.newHTTP2 == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.former = append(t.former, t.http2.Swap(t.newHTTP2()))
	for _, http2 := range t.former {
		http2.CloseIdleConnections()
	}
	// What is older has closed its connections by now, or does when they have been idle for long.
	t.former = slices.Clone(t.former[max(0, len(t.former)-mostFormer):])
}

// mostFormer is how many former transports of HTTP/2 are remembered.
const mostFormer = 4

// close closes what is idle. What is in use closes when it is done with.
func (t *transport) close() {
	for _, pool := range []*http1.Pool{t.pool, t.upgrades} {
		if pool != nil {
			pool.Close()
		}
	}
	if http2 := t.http2.Load(); http2 != nil {
		http2.CloseIdleConnections()
	}
	t.mu.Lock()
	for _, http2 := range t.former {
		http2.CloseIdleConnections()
	}
	t.mu.Unlock()
	for _, spares := range []chan net.Conn{t.spareHTTP1, t.spareHTTP2} {
		select {
		case conn := <-spares:
			_ = conn.Close()
		default:
		}
	}
}
