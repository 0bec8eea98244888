package http1

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// handlerFunc is a handler that refuses in the usual way.
type handlerFunc func(x *Exchange)

func (f handlerFunc) Serve(x *Exchange) { f(x) }

func (handlerFunc) Refuse(x *Exchange, err *Error) { answer(x, err.Status, err.Reason) }

// serving starts a server with a handler, and connects to it.
func serving(t *testing.T, config Config, serve func(x *Exchange)) *peer {
	t.Helper()
	if config.Handler = handlerFunc(serve); config.Panicked == nil {
		config.Panicked = func(cause any, stack []byte) { t.Errorf("panic: %v\n%s", cause, stack) }
	}
	listener := listen(t)
	serveOn(t, listener, NewServer(config))
	return (&rig{tb: t, proxy: listener}).client()
}

// TestAnotherAnswer shows that a response that cannot be sent leaves room for one that can.
func TestAnotherAnswer(t *testing.T) {
	t.Parallel()
	c := serving(t, Config{}, func(x *Exchange) {
		var header Header
		header.Set("X-A", "b\r\nX-Injected: yes")
		if err := x.Respond(200, &header, 3); !errors.Is(err, ErrInvalidField) {
			t.Errorf("got %v", err)
		}
		answer(x, 500, "broken")
	})
	c.send(get)
	head := c.head()
	contains(t, head, "HTTP/1.1 500 ")
	lacks(t, head, "Injected")
	c.expect("broken")
}

func TestWrongLengths(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(x *Exchange) error{
		"more":    func(x *Exchange) error { _, err := x.Write([]byte("abcd")); return err },
		"less":    func(x *Exchange) error { _, _ = x.Write([]byte("ab")); return x.Finish(nil) },
		"nothing": func(x *Exchange) error { return x.Finish(nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := serving(t, Config{}, func(x *Exchange) {
				if err := x.Respond(200, nil, 3); err != nil {
					t.Error(err)
				}
				if err := write(x); !errors.Is(err, ErrBodyLength) {
					t.Errorf("got %v", err)
				}
			})
			c.send(get)
			rest, _ := io.ReadAll(c.in)
			if body, found := strings.CutPrefix(string(rest), "\r\n\r\n"); found && len(body) >= 3 {
				t.Errorf("it looks whole: %q", rest)
			}
		})
	}
}

// TestPanic shows that a panic costs the connection it is on, and nothing else.
func TestPanic(t *testing.T) {
	t.Parallel()
	told := make(chan any, 1)
	c := serving(t, Config{Panicked: func(cause any, _ []byte) { told <- cause }}, func(x *Exchange) {
		if x.Request.Path() == "/x" {
			panic("for the test")
		}
		answer(x, 200, "ok")
	})
	c.send(get)
	if cause := <-told; cause != "for the test" {
		t.Error(cause)
	}
	c.end()
}

// TestSeveredHasLastWords shows that an exchange whose waiting was cut short can still be answered.
func TestSeveredHasLastWords(t *testing.T) {
	t.Parallel()
	cause := errors.New("the key was revoked")
	c := serving(t, Config{}, func(x *Exchange) {
		x.Sever(cause)
		if err := x.Alive(); !errors.Is(err, cause) {
			t.Errorf("got %v", err)
		}
		if _, err := x.Body.Read(make([]byte, 10)); !errors.Is(err, cause) {
			t.Errorf("got %v", err)
		}
		answer(x, 401, "revoked")
	})
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
	head := c.head()
	contains(t, head, "HTTP/1.1 401 ")
	contains(t, head, "Connection: close\r\n")
	c.expect("revoked")
	c.end()
}

// TestReadingAsksForTheBody shows that a client that waits to be told is told by the first read (RFC 9110, section 10.1.1).
func TestReadingAsksForTheBody(t *testing.T) {
	t.Parallel()
	c := serving(t, Config{}, func(x *Exchange) {
		body, err := io.ReadAll(&x.Body)
		if err != nil {
			t.Error(err)
		}
		answer(x, 200, string(body))
	})
	const head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
	c.send(head)
	if s := c.status(); s != "HTTP/1.1 100 Continue" {
		t.Error(s)
	}
	c.send("abc")
	c.status()
	c.expect("abc")
	// Whoever does not wait is not told.
	c.send(head + "def")
	if s := c.status(); s != "HTTP/1.1 200 OK" {
		t.Error(s)
	}
	c.expect("def")
}

// TestUnwantedBody shows what becomes of a body that nobody reads.
func TestUnwantedBody(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, fields, body string
		kept               bool
	}{
		{"small", "Content-Length: 3\r\n", "abc", true},
		{"large", "Content-Length: 100000\r\n", strings.Repeat("x", 100000), false},
		{"chunked", "Transfer-Encoding: chunked\r\n", chunks("abc"), false},
		{"awaited", "Content-Length: 3\r\nExpect: 100-continue\r\n", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			client := serving(t, Config{}, func(x *Exchange) { answer(x, 403, "no") })
			for range 2 {
				client.send("POST / HTTP/1.1\r\nHost: a\r\n" + c.fields + "\r\n")
				client.send(c.body)
				head := client.head()
				contains(t, head, "HTTP/1.1 403 ")
				client.expect("no")
				if strings.Contains(head, "Connection: close") == c.kept {
					t.Fatalf("%q", head)
				}
				if !c.kept {
					client.end()
					return
				}
			}
		})
	}
}

func TestInterimOnce(t *testing.T) {
	t.Parallel()
	c := serving(t, Config{}, func(x *Exchange) {
		if err := x.Inform(101, nil); !errors.Is(err, ErrNotAllowed) {
			t.Errorf("101: %v", err)
		}
		if err := x.Inform(100, nil); err != nil {
			t.Errorf("100 that nobody waits for: %v", err)
		}
		answer(x, 200, "ok")
		if err := x.Inform(103, nil); !errors.Is(err, ErrNotAllowed) {
			t.Errorf("too late: %v", err)
		}
		if err := x.Respond(200, nil, 0); !errors.Is(err, ErrNotAllowed) {
			t.Errorf("twice: %v", err)
		}
		if _, err := x.Write(nil); !errors.Is(err, ErrNotAllowed) {
			t.Errorf("behind the end: %v", err)
		}
	})
	c.send(get)
	if s := c.status(); s != "HTTP/1.1 200 OK" {
		t.Error(s)
	}
}

// TestBrokenOverTLSForOldClient shows that TLS does not say goodbye where that would make half a response look whole.
func TestBrokenOverTLSForOldClient(t *testing.T) {
	t.Parallel()
	certificate := httptest.NewUnstartedServer(http.NotFoundHandler())
	certificate.StartTLS()
	t.Cleanup(certificate.Close)
	listener := tls.NewListener(listen(t), &tls.Config{Certificates: certificate.TLS.Certificates})
	serveOn(t, listener, NewServer(Config{Handler: handlerFunc(func(x *Exchange) {
		_ = x.Respond(200, nil, -1)
		_, _ = x.Write([]byte("half"))
		_ = x.Flush()
	})}))
	conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a test of ends
	if err != nil {
		t.Fatal(err)
	}
	c := newPeer(t, conn)
	c.send("GET / HTTP/1.0\r\n\r\n")
	c.status()
	if body, err := io.ReadAll(c.in); err == nil {
		t.Errorf("%q looks whole", body)
	}
}

func TestOtherForms(t *testing.T) {
	t.Parallel()
	c := serving(t, Config{Limits: Limits{Connect: true}}, func(x *Exchange) {
		if !x.Request.IsConnect() {
			answer(x, 200, x.Request.Target()+" "+x.Request.Host())
			return
		}
		conn, err := x.Upgrade(new(Header))
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.Copy(conn, conn)
	})
	c.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
	c.status()
	c.expect("* a")
	c.send("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\nearly")
	head := c.head()
	if head != "HTTP/1.1 200 OK\r\n" {
		t.Errorf("%q", head)
	}
	c.expect("early")
	c.send("late")
	c.expect("late")
	c.closeWrite()
	c.end()
}
