package http1

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// direct makes a call without a client.
func direct() *Call {
	return &Call{Method: "GET", Target: "/x", Host: "a.example", Header: new(Header), HeaderTimeout: patience}
}

// answers accepts one connection and answers on it, as often as there are answers; then it closes.
func answers(t *testing.T, listener net.Listener, responses ...string) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		p := newPeer(t, conn)
		for _, response := range responses {
			p.head()
			p.send(response)
		}
		_ = conn.Close()
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
}

const empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

func TestRetry(t *testing.T) {
	t.Parallel()
	t.Run("nothing was sent", func(t *testing.T) {
		t.Parallel()
		listener := listen(t)
		_ = listener.Close()
		_, failure := poolTo(t, listener.Addr().String()).RoundTrip(direct())
		if failure == nil || failure.Reason != Unreachable || failure.Retry != RetrySafe || failure.Source != Upstream {
			t.Errorf("got %+v", failure)
		}
	})
	t.Run("RFC 9112 9.3.1 the connection had been used", func(t *testing.T) {
		t.Parallel()
		listener := listen(t)
		pool := poolTo(t, listener.Addr().String())
		answers(t, listener, empty, "")
		response, failure := pool.RoundTrip(direct())
		if failure != nil {
			t.Fatal(failure)
		}
		if response.Reused() {
			t.Error("the first exchange cannot be on a used connection")
		}
		response.Release()
		_, failure = pool.RoundTrip(direct())
		if failure == nil || failure.Reason != Broken || failure.Retry != RetryReused {
			t.Errorf("got %+v", failure)
		}
	})
	t.Run("RFC 9112 9.3.1 the connection is new", func(t *testing.T) {
		t.Parallel()
		listener := listen(t)
		answers(t, listener)
		_, failure := poolTo(t, listener.Addr().String()).RoundTrip(direct())
		if failure == nil || failure.Reason != Broken || failure.Retry != RetryNever {
			t.Errorf("got %+v", failure)
		}
	})
	t.Run("RFC 9112 9.3.1 something of a response came", func(t *testing.T) {
		t.Parallel()
		listener := listen(t)
		pool := poolTo(t, listener.Addr().String())
		answers(t, listener, empty, "HTTP/1.1 2")
		response, failure := pool.RoundTrip(direct())
		if failure != nil {
			t.Fatal(failure)
		}
		response.Release()
		_, failure = pool.RoundTrip(direct())
		if failure == nil || failure.Reason != Broken || failure.Retry != RetryNever {
			t.Errorf("got %+v", failure)
		}
	})
	t.Run("RFC 9112 9.3.1 nothing is sent where the upstream has gone", func(t *testing.T) {
		t.Parallel()
		listener := listen(t)
		pool := poolTo(t, listener.Addr().String())
		answers(t, listener, empty)
		response, failure := pool.RoundTrip(direct())
		if failure != nil {
			t.Fatal(failure)
		}
		response.Release()
		eventually(t, "the end has arrived", func() bool {
			pool.mu.Lock()
			defer pool.mu.Unlock()
			return len(pool.idle) == 1 && pool.idle[0].peek() != nothing
		})
		answers(t, listener, empty)
		call := direct()
		call.Method = "POST"
		response, failure = pool.RoundTrip(call)
		if failure != nil {
			t.Fatal(failure)
		}
		if response.Reused() {
			t.Error("sent on the connection that had ended")
		}
		response.Release()
	})
}

// TestUnaskedResponse shows that what an upstream sends on an idle connection is not taken for the answer to the next request.
func TestUnaskedResponse(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	pool := poolTo(t, listener.Addr().String())
	answers(t, listener, empty+"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
	response, failure := pool.RoundTrip(direct())
	if failure != nil {
		t.Fatal(failure)
	}
	response.Release()
	answers(t, listener, empty)
	if response, failure = pool.RoundTrip(direct()); failure != nil {
		t.Fatal(failure)
	}
	if response.ContentLength() != 0 {
		t.Error("the poison was taken")
	}
	response.Release()
}

func TestPoolBounds(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	address := server.Listener.Addr().String()
	pool := poolTo(t, address, func(c *PoolConfig) { c.MaxOpen, c.MaxIdle, c.IdleTimeout = 2, 1, 50*time.Millisecond })
	first, failure := pool.RoundTrip(direct())
	if failure != nil {
		t.Fatal(failure)
	}
	second, failure := pool.RoundTrip(direct())
	if failure != nil {
		t.Fatal(failure)
	}
	if _, failure := pool.RoundTrip(direct()); failure == nil || failure.Reason != Exhausted || failure.Retry != RetrySafe {
		t.Errorf("got %+v", failure)
	}
	first.Release()
	second.Release()
	if idle, open := pool.Size(); idle != 1 || open != 1 {
		t.Errorf("%d idle, %d open", idle, open)
	}
	eventually(t, "what is idle is closed", func() bool { _, open := pool.Size(); return open == 0 })
}

func TestPoolClose(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	pool := poolTo(t, server.Listener.Addr().String())
	response, failure := pool.RoundTrip(direct())
	if failure != nil {
		t.Fatal(failure)
	}
	pool.Close()
	response.Release()
	if idle, open := pool.Size(); idle != 0 || open != 0 {
		t.Errorf("%d idle, %d open", idle, open)
	}
}

// TestOverTLS goes through TLS on both sides.
func TestOverTLS(t *testing.T) {
	t.Parallel()
	upstream := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("X-Length", r.Header.Get("X-Length"))
		_, _ = w.Write(body)
	}))
	t.Cleanup(upstream.Close)
	roots := upstream.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	target := &tls.Config{RootCAs: roots, ServerName: "example.com"}
	pool := poolTo(t, "", func(c *PoolConfig) {
		c.Dial = func(ctx context.Context) (net.Conn, error) {
			return (&tls.Dialer{Config: target}).DialContext(ctx, "tcp", upstream.Listener.Addr().String())
		}
	})
	front := tls.NewListener(listen(t), &tls.Config{Certificates: upstream.TLS.Certificates})
	serveOn(t, front, NewServer(Config{Handler: &forwarder{pool: pool}}))
	transport := &http.Transport{TLSClientConfig: target}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport, Timeout: patience}
	for _, size := range []int{0, 10, 100_000, 3_000_000} {
		text := strings.Repeat("x", size)
		response, err := client.Post("https://"+front.Addr().String()+"/", "text/plain", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if err != nil || string(body) != text {
			t.Errorf("%d bytes of %d, %v", len(body), size, err)
		}
	}
	if _, open := pool.Size(); open != 1 {
		t.Errorf("%d connections were opened", open)
	}
}

// TestAbortOverTLS shows that the end of a TLS connection is noticed while the upstream is silent.
func TestAbortOverTLS(t *testing.T) {
	t.Parallel()
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	t.Cleanup(certificate.Close)
	upstream := listen(t)
	front := tls.NewListener(listen(t), &tls.Config{Certificates: certificate.TLS.Certificates})
	serveOn(t, front, NewServer(Config{Handler: &forwarder{pool: poolTo(t, upstream.Addr().String())}}))
	conn, err := tls.Dial("tcp", front.Addr().String(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test of aborts
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, get); err != nil {
		t.Fatal(err)
	}
	accepted, err := upstream.Accept()
	if err != nil {
		t.Fatal(err)
	}
	u := newPeer(t, accepted)
	u.head()
	_ = conn.Close()
	began := time.Now()
	u.end()
	// A fifth of a second, if the machine has nothing else to do.
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the abort took %v", took)
	}
}

// TestUnsendable shows that no name and no value breaks a message, whoever set it.
func TestUnsendable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, field, value string }{
		{"CR LF in a value", "X-A", "b\r\nX-C: d"},
		{"LF in a value", "X-A", "b\nX-C: d"},
		{"NUL in a value", "X-A", "b\x00"},
		{"a colon in a name", "X-A:", "b"},
		{"a line break in a name", "X-A\r\nX-C", "b"},
		{"no name", "", "b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			listener := listen(t)
			pool := poolTo(t, listener.Addr().String())
			call := direct()
			call.Header.Set(c.field, c.value)
			_, failure := pool.RoundTrip(call)
			if failure == nil || failure.Reason != Unsendable || !errors.Is(failure, ErrInvalidField) {
				t.Errorf("got %v", failure)
			}
		})
	}
	for _, change := range []func(*Call){
		func(c *Call) { c.Method = "GET / HTTP/1.1\r\n" },
		func(c *Call) { c.Target = "/ HTTP/1.1\r\nA: b" },
		func(c *Call) { c.Host = "a\r\nb" },
		func(c *Call) { c.Upgrade = "a\r\nb" },
	} {
		call := direct()
		change(call)
		if _, failure := poolTo(t, "").RoundTrip(call); failure == nil || failure.Reason != Unsendable {
			t.Errorf("%+v was sent", call)
		}
	}
}

// TestFramingIsOurs shows that fields that frame a message are not copied, whoever set them.
func TestFramingIsOurs(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	pool := poolTo(t, listener.Addr().String())
	call := direct()
	for _, name := range []string{"Content-Length", "Transfer-Encoding", "Connection", "Host", "Upgrade", "Trailer"} {
		call.Header.Add(name, "7")
	}
	heads := make(chan string, 1)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		p := newPeer(t, conn)
		heads <- p.head()
		p.send(empty)
	}()
	response, failure := pool.RoundTrip(call)
	if failure != nil {
		t.Fatal(failure)
	}
	response.Release()
	if head := <-heads; head != "GET /x HTTP/1.1\r\nHost: a.example\r\n" {
		t.Errorf("got %q", head)
	}
}
