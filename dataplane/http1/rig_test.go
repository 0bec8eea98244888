package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if engine := os.Getenv(engineVariable); engine != "" {
		runEngine(engine)
		return
	}
	goleak.VerifyTestMain(m)
}

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// forwarder is the least proxy that can be made of this package.
type forwarder struct {
	pool *Pool
	// timeout bounds the wait for the head of a response; 0 for no bound.
	timeout time.Duration

	mu       sync.Mutex
	failures []*Failure
	relayed  []error
}

func (f *forwarder) Serve(x *Exchange) {
	upgrade := x.Request.Upgrade()
	header := &x.Request.Header
	header.RemoveHopByHop()
	call, _ := x.Value().(*Call)
	if call == nil {
		call = new(Call)
	}
	*call = Call{
		Method: x.Request.Method(), Target: x.Request.Path(), Host: x.Request.Host(), Header: header, Upgrade: upgrade,
		ContentLength: x.Request.ContentLength(), Downstream: x, HeaderTimeout: f.timeout,
	}
	if call.ContentLength != 0 {
		call.Body = &x.Body
	}
	response, failure := f.pool.RoundTrip(call)
	if failure != nil && failure.Retry == RetryReused && call.Method != http.MethodPost {
		response, failure = f.pool.RoundTrip(call)
	}
	// What an idle connection keeps must not keep what belongs to its exchanges.
	*call = Call{}
	if failure != nil {
		f.fail(x, failure)
		return
	}
	defer response.Release()
	if response.Status == 101 {
		f.tunnel(x, response)
		return
	}
	length := response.ContentLength()
	response.Header.RemoveHopByHop()
	if err := x.Respond(response.Status, response.Header, length); err != nil {
		f.note(err)
		return
	}
	if err := x.Relay(response); err != nil {
		f.note(err)
	}
}

func (f *forwarder) note(err error) {
	f.mu.Lock()
	f.relayed = append(f.relayed, err)
	f.mu.Unlock()
}

func (f *forwarder) fail(x *Exchange, failure *Failure) {
	f.mu.Lock()
	f.failures = append(f.failures, failure)
	f.mu.Unlock()
	status := 502
	var refused *Error
	switch {
	case failure.Reason == Abandoned:
		return
	case failure.Reason == TimedOut:
		status = 504
	case failure.Source == Client && errors.As(failure.Err, &refused):
		status = refused.Status
	case failure.Source == Client:
		status = 400
	}
	answer(x, status, failure.Reason.String())
}

func (f *forwarder) Refuse(x *Exchange, err *Error) { answer(x, err.Status, err.Reason) }

// answer responds with a text.
func answer(x *Exchange, status int, text string) {
	if x.Respond(status, new(Header), int64(len(text))) == nil {
		_, _ = x.Write([]byte(text))
		_ = x.Finish(nil)
	}
}

func (f *forwarder) tunnel(x *Exchange, response *Response) {
	var header Header
	header.Set("Upgrade", response.Header.Get("Upgrade"))
	far, err := response.Upgraded()
	if err != nil {
		f.note(err)
		return
	}
	defer func() { _ = far.Close() }()
	near, err := x.Upgrade(&header)
	if err != nil {
		f.note(err)
		return
	}
	defer func() { _ = near.Close() }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(far, near)
		_ = far.(interface{ CloseWrite() error }).CloseWrite()
	}()
	_, _ = io.Copy(near, far)
	_ = near.(interface{ CloseWrite() error }).CloseWrite()
	<-done
}

// serveOn serves a listener with a server until the test ends.
func serveOn(tb testing.TB, listener net.Listener, server *Server) {
	tb.Helper()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { server.Serve(conn) })
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close()
		server.Sever(errors.New("the test is over"))
		serving.Wait()
	})
}

func listen(tb testing.TB) net.Listener {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = listener.Close() })
	return listener
}

// poolTo makes a pool to an address.
func poolTo(tb testing.TB, address string, change ...func(*PoolConfig)) *Pool {
	tb.Helper()
	config := PoolConfig{Dial: dialer(address)}
	for _, c := range change {
		c(&config)
	}
	pool := NewPool(config)
	tb.Cleanup(pool.Close)
	return pool
}

func dialer(address string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
}

// rig is a proxy in front of an upstream that the test plays.
type rig struct {
	tb        testing.TB
	upstream  net.Listener
	proxy     net.Listener
	forwarder *forwarder
	server    *Server
	pool      *Pool
}

func newRig(tb testing.TB, limits Limits, change ...func(*PoolConfig)) *rig {
	tb.Helper()
	r := &rig{tb: tb, upstream: listen(tb), proxy: listen(tb)}
	limits.Portable = os.Getenv(portableVariable) != ""
	change = append([]func(*PoolConfig){func(c *PoolConfig) {
		c.Limits.Tick, c.Limits.Portable = limits.Tick, limits.Portable
	}}, change...)
	r.pool = poolTo(tb, r.upstream.Addr().String(), change...)
	r.forwarder = &forwarder{pool: r.pool}
	r.server = NewServer(Config{Handler: r.forwarder, Limits: limits, Panicked: func(cause any, stack []byte) {
		tb.Errorf("panic: %v\n%s", cause, stack)
	}})
	serveOn(tb, r.proxy, r.server)
	return r
}

// peer is one end of a connection, in the hands of a test.
type peer struct {
	tb testing.TB
	net.Conn
	in *bufio.Reader
}

func newPeer(tb testing.TB, conn net.Conn) *peer {
	tb.Helper()
	tb.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &peer{tb, conn, bufio.NewReader(conn)}
}

func (r *rig) client() *peer {
	r.tb.Helper()
	conn, err := net.Dial("tcp", r.proxy.Addr().String())
	if err != nil {
		r.tb.Fatal(err)
	}
	return newPeer(r.tb, conn)
}

// accept waits for a connection to the upstream.
func (r *rig) accept() *peer {
	r.tb.Helper()
	_ = r.upstream.(*net.TCPListener).SetDeadline(time.Now().Add(patience))
	conn, err := r.upstream.Accept()
	if err != nil {
		r.tb.Fatal(err)
	}
	return newPeer(r.tb, conn)
}

func (p *peer) send(text string) {
	p.tb.Helper()
	if _, err := io.WriteString(p.Conn, text); err != nil {
		p.tb.Fatal(err)
	}
}

// head reads a head, without its end.
func (p *peer) head() string {
	p.tb.Helper()
	var head strings.Builder
	for {
		line, err := p.in.ReadString('\n')
		if err != nil {
			p.tb.Fatalf("after %q: %v", head.String()+line, err)
		}
		if line == "\r\n" {
			return head.String()
		}
		head.WriteString(line)
	}
}

// status reads a head and returns what its first line says.
func (p *peer) status() string {
	p.tb.Helper()
	line, _, _ := strings.Cut(p.head(), "\r\n")
	return line
}

// take reads so many bytes.
func (p *peer) take(n int) string {
	p.tb.Helper()
	bytes := make([]byte, n)
	if _, err := io.ReadFull(p.in, bytes); err != nil {
		p.tb.Fatal(err)
	}
	return string(bytes)
}

// expect reads exactly this.
func (p *peer) expect(text string) {
	p.tb.Helper()
	if got := p.take(len(text)); got != text {
		p.tb.Fatalf("got %q, want %q", got, text)
	}
}

// end waits for the end of the connection.
func (p *peer) end() {
	p.tb.Helper()
	rest, err := io.ReadAll(p.in)
	if err != nil || len(rest) > 0 {
		p.tb.Fatalf("the connection did not just end: %q, %v", rest, err)
	}
}

func (p *peer) closeWrite() {
	p.tb.Helper()
	if err := p.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		p.tb.Fatal(err)
	}
}

// eventually waits for a condition.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for end := time.Now().Add(patience); !holds(); <-ticker.C {
		if time.Now().After(end) {
			tb.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func contains(tb testing.TB, text, part string) {
	tb.Helper()
	if !strings.Contains(text, part) {
		tb.Errorf("%q is not in %q", part, text)
	}
}

func lacks(tb testing.TB, text, part string) {
	tb.Helper()
	if strings.Contains(strings.ToLower(text), strings.ToLower(part)) {
		tb.Errorf("%q is in %q", part, text)
	}
}

func chunks(pieces ...string) string {
	var out []byte
	for _, piece := range pieces {
		out = appendChunk(out, []byte(piece))
	}
	return string(out) + "0\r\n\r\n"
}
