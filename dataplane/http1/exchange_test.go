package http1

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

const get = "GET /x HTTP/1.1\r\nHost: a.example\r\n\r\n"

func TestForwardsRequestAndResponse(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	c := r.client()
	c.send("GET /a%2Fb?c HTTP/1.1\r\nHost: a.example\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nX-End: 2\r\nTE: trailers\r\n\r\n")
	u := r.accept()
	request := u.head()
	if !strings.HasPrefix(request, "GET /a%2Fb?c HTTP/1.1\r\nHost: a.example\r\n") {
		t.Errorf("request line: %q", request)
	}
	contains(t, request, "X-End: 2\r\n")
	for _, hop := range []string{"X-Hop", "Keep-Alive", "Connection", "TE:", "Content-Length"} {
		lacks(t, request, hop)
	}
	u.send("HTTP/1.1 201 Created\r\nContent-Length: 5\r\nX-Answer: 3\r\nKeep-Alive: 9\r\n\r\nhello")
	response := c.head()
	if !strings.HasPrefix(response, "HTTP/1.1 201 Created\r\n") {
		t.Errorf("status line: %q", response)
	}
	contains(t, response, "X-Answer: 3\r\n")
	contains(t, response, "\r\nDate: ")
	lacks(t, response, "Keep-Alive")
	c.expect("hello")
	// Both connections are used again.
	c.send(get)
	u.head()
	u.send("HTTP/1.1 204 No Content\r\n\r\n")
	if s := c.status(); s != "HTTP/1.1 204 No Content" {
		t.Error(s)
	}
}

// TestResponseBodies has each way to frame a response, and what becomes of it.
func TestResponseBodies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, request, response string
		closes                  bool
		has, body               string
		reused                  bool
	}{
		{"RFC 9112 6.2 a length", get, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", false, "Content-Length: 3\r\n", "abc", true},
		{"RFC 9112 7.1 chunked", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks("ab", "c"), false, "Transfer-Encoding: chunked\r\n", chunks("ab", "c"), true},
		{"RFC 9112 7.1.1 extensions", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b;c\r\nab\r\n0;d\r\n\r\n", false, "", chunks("ab"), true},
		{
			"RFC 9112 7.1.2 trailers", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 7\r\n\r\n",
			false, "Trailer: X-Sum\r\n", "2\r\nab\r\n0\r\nX-Sum: 7\r\n\r\n", true,
		},
		{"RFC 9112 6.3 until close", get, "HTTP/1.1 200 OK\r\n\r\nabc", true, "Transfer-Encoding: chunked\r\n", chunks("abc"), false},
		{"RFC 9110 9.3.2 HEAD", strings.Replace(get, "GET", "HEAD", 1), "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", false, "Content-Length: 3\r\n", "", true},
		{"RFC 9110 15.3.5 204", get, "HTTP/1.1 204 No Content\r\n\r\n", false, "HTTP/1.1 204", "", true},
		{"RFC 9110 15.4.5 304", get, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", false, "Content-Length: 9\r\n", "", true},
		{"RFC 9112 9.3 HTTP/1.0", get, "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nabc", false, "HTTP/1.1 200", "abc", false},
		{"RFC 9112 9.6 close", get, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc", false, "HTTP/1.1 200", "abc", false},
		{"RFC 9112 9.2 more than was asked for", get, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\n\r\n", false, "HTTP/1.1 200", "abc", false},
		{"RFC 9110 8.6 204 with a body", get, "HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n", false, "HTTP/1.1 204", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Limits{})
			client := r.client()
			client.send(c.request)
			u := r.accept()
			u.head()
			u.send(c.response)
			if c.closes {
				_ = u.Close()
			}
			head := client.head()
			contains(t, head, c.has)
			if strings.Contains(head, "204") {
				lacks(t, head, "Content-Length")
			}
			client.expect(c.body)
			want := 0
			if c.reused {
				want = 1
			}
			eventually(t, "the pool has its connection", func() bool {
				idle, open := r.pool.Size()
				return idle == want && open == want
			})
			// The client's connection goes on in every case.
			client.send(get)
			if !c.reused {
				u = r.accept()
			}
			u.head()
			u.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			client.status()
			client.expect("ok")
		})
	}
}

func TestRequestBodies(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789abcdef", 1<<14)
	for _, c := range []struct{ name, fields, body, has, arrives string }{
		{"RFC 9112 6.2 a length", "Content-Length: 3\r\n", "abc", "Content-Length: 3\r\n", "abc"},
		{"RFC 9112 6.2 a large length", fmt.Sprintf("Content-Length: %d\r\n", len(large)), large, "Content-Length: 262144\r\n", large},
		{"RFC 9112 6.2 nothing", "Content-Length: 0\r\n", "", "Content-Length: 0\r\n", ""},
		{"RFC 9110 8.6 no length", "", "", "Content-Length: 0\r\n", ""},
		{"RFC 9112 7.1 chunked", "Transfer-Encoding: chunked\r\n", chunks("ab", "c"), "Transfer-Encoding: chunked\r\n", chunks("ab", "c")},
		{
			"RFC 9112 7.1.2 trailers", "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n", "2\r\nab\r\n0\r\nX-Sum: 7\r\n\r\n",
			"Trailer: X-Sum\r\n", "2\r\nab\r\n0\r\nX-Sum: 7\r\n\r\n",
		},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, late %v", c.name, late), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, Limits{})
				client := r.client()
				head := "POST / HTTP/1.1\r\nHost: a.example\r\n" + c.fields + "\r\n"
				var u *peer
				if late {
					client.send(head)
					if c.body != "" {
						u = r.accept()
					}
				} else {
					head += c.body
				}
				sent := make(chan struct{})
				go func() {
					defer close(sent)
					if late {
						head = c.body
					}
					_, _ = io.WriteString(client.Conn, head)
				}()
				if u == nil {
					u = r.accept()
				}
				contains(t, u.head(), c.has)
				arrives := c.arrives
				if late && arrives == chunks("ab", "c") {
					// Where chunks begin and end means nothing (RFC 9112, section 7.1).
					arrives = chunks("abc")
				}
				u.expect(arrives)
				<-sent
				u.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				lacks(t, client.head(), "Connection: close")
				client.expect("ok")
				eventually(t, "the connection is kept", func() bool { idle, _ := r.pool.Size(); return idle == 1 })
			})
		}
	}
}

func TestPipelining(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	c := r.client()
	c.send("POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: a\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n")
	u := r.accept()
	for i := 1; i <= 3; i++ {
		contains(t, u.head(), fmt.Sprintf(" /%d HTTP", i))
		if i == 1 {
			u.expect("abc")
		}
		u.send(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", i))
		c.status()
		c.expect(fmt.Sprint(i))
	}
}

// TestRefusals shows what a client sees of a request that is refused, and that nothing behind it is served.
func TestRefusals(t *testing.T) {
	t.Parallel()
	smuggled := "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, c := range []struct{ name, request, status string }{
		{"RFC 9112 6.3 both framings", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
		{"RFC 9112 6.1 an unknown coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "501"},
		{"RFC 9110 15.6.6 the version", "GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505"},
		{"RFC 9110 15.5.15 the target", "GET /" + strings.Repeat("a", 9000) + " HTTP/1.1\r\nHost: a\r\n\r\n", "414"},
		{"RFC 9110 15.5.15 an endless target", "GET /" + strings.Repeat("a", 20000), "414"},
		{"RFC 6585 5 the header", "GET / HTTP/1.1\r\nHost: a\r\nA: " + strings.Repeat("a", 70000) + "\r\n\r\n", "431"},
		{"RFC 9110 15.5.18 the expectation", "POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 1\r\n\r\n", "417"},
		{"RFC 9112 3.2 no Host", "GET / HTTP/1.1\r\n\r\n", "400"},
		{"RFC 9110 9.3.6 CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", "501"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Limits{})
			client := r.client()
			client.send(c.request + smuggled)
			client.closeWrite()
			head := client.head()
			contains(t, head, "HTTP/1.1 "+c.status+" ")
			contains(t, head, "Connection: close\r\n")
			rest, err := io.ReadAll(client.in)
			if err != nil {
				t.Error(err)
			}
			lacks(t, string(rest), "HTTP/1.1")
			if _, open := r.pool.Size(); open != 0 {
				t.Error("something reached the upstream")
			}
		})
	}
}

// TestBrokenBodies shows that a body that is not well formed never ends well at the upstream.
func TestBrokenBodies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, body string }{
		{"RFC 9112 7.1 no size", "\r\nabc\r\n"},
		{"RFC 9112 7.1 a sign", "+3\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 7.1 a prefix", "0x3\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 7.1 a space before the size", " 3\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 7.1 a space behind the size", "3 \r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 7.1 a size beyond 64 bits", "10000000000000003\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 7.1 many zeros", "0000000000000003\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 7.1 LF behind the size", "3\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 7.1 CR in an extension", "3;a\rb\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 7.1 LF in an extension", "3;a\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 7.1 longer than its size", "3\r\nabcd\r\n0\r\n\r\n"},
		{"RFC 9112 7.1 shorter than its size", "5\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 7.1 LF behind the data", "3\r\nabc\n0\r\n\r\n"},
		{"RFC 9112 7.1 nothing behind the data", "3\r\nabc0\r\n\r\n"},
		{"RFC 9112 7.1 LF at the end", "3\r\nabc\r\n0\r\n\n"},
		{"RFC 9112 7.1.1 an endless extension", "3;" + strings.Repeat("a", 2000) + "\r\nabc\r\n0\r\n\r\n"},
		{"RFC 9112 7.1.1 endless extensions", strings.Repeat("1;"+strings.Repeat("a", 1000)+"\r\nx\r\n", 20) + "0\r\n\r\n"},
		{"RFC 9110 6.5.1 a length in the trailers", "3\r\nabc\r\n0\r\nContent-Length: 3\r\n\r\n"},
		{"RFC 9110 6.5.1 a coding in the trailers", "3\r\nabc\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"},
		{"RFC 9112 5.1 a space in the trailers", "3\r\nabc\r\n0\r\nA : b\r\n\r\n"},
		{"RFC 9112 5.2 folding in the trailers", "3\r\nabc\r\n0\r\nA: b\r\n c\r\n\r\n"},
		{"RFC 6585 5 many trailers", "3\r\nabc\r\n0\r\n" + strings.Repeat("A: b\r\n", 101) + "\r\n"},
		{"RFC 6585 5 large trailers", "3\r\nabc\r\n0\r\nA: " + strings.Repeat("a", 70000) + "\r\n\r\n"},
		{"RFC 9112 8 cut off", "3\r\nab"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Limits{})
			client := r.client()
			client.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
			u := r.accept()
			u.head()
			client.send(c.body)
			if c.name == "RFC 9112 8 cut off" {
				client.closeWrite()
			}
			reached, _ := io.ReadAll(u.in)
			if strings.HasSuffix(string(reached), "0\r\n\r\n") || strings.Contains(string(reached), "0\r\nA") {
				t.Errorf("the body ended well: %q", reached)
			}
			head := client.head()
			contains(t, head, "HTTP/1.1 4")
			contains(t, head, "Connection: close\r\n")
		})
	}
}

func TestContinue(t *testing.T) {
	t.Parallel()
	const post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
	t.Run("RFC 9110 10.1.1 the upstream says it", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Limits{})
		c := r.client()
		c.send(post)
		u := r.accept()
		contains(t, u.head(), "Expect: 100-continue\r\n")
		u.send("HTTP/1.1 100 Continue\r\n\r\n")
		if s := c.status(); s != "HTTP/1.1 100 Continue" {
			t.Error(s)
		}
		c.send("abc")
		u.expect("abc")
		u.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		lacks(t, c.head(), "close")
	})
	t.Run("RFC 9110 10.1.1 the upstream says nothing", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Limits{}, func(c *PoolConfig) { c.ContinueTimeout = 20 * time.Millisecond })
		c := r.client()
		c.send(post)
		u := r.accept()
		u.head()
		if s := c.status(); s != "HTTP/1.1 100 Continue" {
			t.Error(s)
		}
		c.send("abc")
		u.expect("abc")
		u.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		c.status()
	})
	t.Run("RFC 9110 10.1.1 the upstream refuses", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Limits{})
		c := r.client()
		c.send(post)
		u := r.accept()
		u.head()
		u.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
		head := c.head()
		contains(t, head, "HTTP/1.1 413 ")
		contains(t, head, "Connection: close\r\n")
		c.end()
	})
	t.Run("RFC 8297 early hints pass", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Limits{})
		c := r.client()
		c.send(get)
		u := r.accept()
		u.head()
		u.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nKeep-Alive: 1\r\n\r\n")
		hints := c.head()
		contains(t, hints, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n")
		lacks(t, hints, "Keep-Alive")
		u.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		contains(t, c.head(), "HTTP/1.1 200")
	})
	t.Run("RFC 9110 15.2 HTTP/1.0 is spared", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Limits{})
		c := r.client()
		c.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
		u := r.accept()
		u.head()
		u.send("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks("abc"))
		head := c.head()
		contains(t, head, "HTTP/1.1 200")
		lacks(t, head, "Transfer-Encoding")
		c.expect("abc")
		c.end()
	})
	t.Run("RFC 9110 15.2 endless informational responses", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Limits{})
		c := r.client()
		c.send(get)
		u := r.accept()
		u.head()
		u.send(strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", maxInterim+1))
		for range maxInterim {
			c.head()
		}
		contains(t, c.head(), "HTTP/1.1 502 ")
	})
}

// TestEarlyAnswer shows that an answer that comes during an upload arrives (RFC 9112, section 9.5), although the client has
// not stopped sending.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	c := r.client()
	c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
	u := r.accept()
	u.head()
	sending := make(chan struct{})
	go func() {
		defer close(sending)
		piece := make([]byte, 64<<10)
		for {
			if _, err := c.Write(piece); err != nil {
				return
			}
		}
	}()
	u.take(1 << 20)
	u.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
	head := c.head()
	contains(t, head, "HTTP/1.1 413 ")
	contains(t, head, "Connection: close\r\n")
	c.expect("big")
	<-sending
}

func TestUpgrade(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	c := r.client()
	c.send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nearly")
	u := r.accept()
	head := u.head()
	contains(t, head, "Connection: Upgrade\r\nUpgrade: websocket\r\n")
	u.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Not: passed\r\n\r\nhello")
	contains(t, c.head(), "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")
	c.expect("hello")
	u.expect("early")
	c.send("more")
	u.expect("more")
	c.closeWrite()
	u.end()
	u.send("last")
	_ = u.Close()
	c.expect("last")
	c.end()
}

func TestUnaskedSwitch(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	c := r.client()
	c.send(get)
	u := r.accept()
	u.head()
	u.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	contains(t, c.head(), "HTTP/1.1 502 ")
}

// TestAbort shows that a client that goes away is noticed while the upstream is silent, before and within the response.
func TestAbort(t *testing.T) {
	t.Parallel()
	leave := map[string]func(c *peer){
		"close": func(c *peer) { _ = c.Close() },
		"reset": func(c *peer) { _ = c.Conn.(*net.TCPConn).SetLinger(0); _ = c.Close() },
	}
	for name, leave := range leave {
		for _, within := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, within the response %v", name, within), func(t *testing.T) {
				t.Parallel()
				r := newRig(t, Limits{})
				c := r.client()
				c.send(get)
				u := r.accept()
				u.head()
				if within {
					u.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
					c.status()
					c.expect("3\r\nabc\r\n")
				}
				leave(c)
				began := time.Now()
				u.end()
				if took := time.Since(began); took > time.Second {
					t.Errorf("the abort took %v", took)
				}
			})
		}
	}
}

// TestHalfClosed shows that a client is served that has sent all it wants to send and said so.
func TestHalfClosed(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{Tick: 10 * time.Millisecond})
	c := r.client()
	c.send(get)
	c.closeWrite()
	u := r.accept()
	u.head()
	// The client is asked for a sign of life, once.
	if s := c.status(); s != "HTTP/1.1 102 Processing" {
		t.Error(s)
	}
	u.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
	if s := c.status(); s != "HTTP/1.1 200 OK" {
		t.Error(s)
	}
	c.expect("3\r\nabc\r\n")
	u.send("0\r\n\r\n")
	c.expect("0\r\n\r\n")
	c.end()
}

// TestHalfClosedWithinResponse shows that the zero that asks for a sign of life does no harm.
func TestHalfClosedWithinResponse(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{Tick: 10 * time.Millisecond})
	c := r.client()
	c.send(get)
	u := r.accept()
	u.head()
	u.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
	c.status()
	c.expect("3\r\nabc\r\n")
	c.closeWrite()
	c.expect("0")
	u.send("4\r\ndefg\r\n0\r\n\r\n")
	c.expect("4\r\ndefg\r\n0\r\n\r\n")
	c.end()
}

func TestBrokenResponses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, response, want string }{
		{"RFC 9112 8 nothing", "", "HTTP/1.1 502 "},
		{"RFC 9112 8 half a head", "HTTP/1.1 200 OK\r\nConte", "HTTP/1.1 502 "},
		{"RFC 9112 6.3 both framings", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 502 "},
		{"RFC 9112 4 no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 502 "},
		{"RFC 9112 8 half a body", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "HTTP/1.1 200 "},
		{"RFC 9112 8 half a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", "HTTP/1.1 200 "},
		{"RFC 9112 7.1 a bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\nab", "HTTP/1.1 200 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, Limits{})
			client := r.client()
			client.send(get)
			u := r.accept()
			u.head()
			u.send(c.response)
			_ = u.Close()
			contains(t, client.head(), c.want)
			if strings.Contains(c.want, "200") {
				// What is not whole must not look whole.
				rest, _ := io.ReadAll(client.in)
				if strings.HasSuffix(string(rest), "0\r\n\r\n") || len(rest) == 3 {
					t.Errorf("got %q", rest)
				}
			}
		})
	}
}

// TestBrokenForOldClient shows that a client of HTTP/1.0, for which the end of the connection is the end of the body, is told of
// a body that broke off by a reset.
func TestBrokenForOldClient(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	c := r.client()
	c.send("GET / HTTP/1.0\r\n\r\n")
	u := r.accept()
	u.head()
	u.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
	c.status()
	c.expect("abc")
	_ = u.Close()
	if _, err := io.ReadAll(c.in); err == nil {
		t.Error("the response looks whole")
	}
}

func TestSlowClients(t *testing.T) {
	t.Parallel()
	t.Run("the head", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Limits{Head: 50 * time.Millisecond})
		c := r.client()
		c.send("GET / HTT")
		contains(t, c.head(), "HTTP/1.1 408 ")
	})
	t.Run("nothing", func(t *testing.T) {
		t.Parallel()
		newRig(t, Limits{Head: 50 * time.Millisecond}).client().end()
	})
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Limits{KeepAlive: 50 * time.Millisecond})
		c := r.client()
		c.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
		u := r.accept()
		u.head()
		u.send("HTTP/1.1 204 No Content\r\n\r\n")
		c.head()
		c.end()
	})
	t.Run("the rate of the body", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, Limits{BodyGrace: 50 * time.Millisecond, BytesPerSecond: 1000})
		c := r.client()
		c.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n")
		u := r.accept()
		u.head()
		began := time.Now()
		stop := make(chan struct{})
		go func() {
			ticker := time.NewTicker(10 * time.Millisecond)
			defer ticker.Stop()
			for {
				select {
				case <-ticker.C:
					_, _ = io.WriteString(c.Conn, "x")
				case <-stop:
					return
				}
			}
		}()
		defer close(stop)
		contains(t, c.head(), "HTTP/1.1 408 ")
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestUpstreamTimeout(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	r.forwarder.timeout = 50 * time.Millisecond
	c := r.client()
	c.send(get)
	u := r.accept()
	u.head()
	contains(t, c.head(), "HTTP/1.1 504 ")
	u.end()
}

func TestDrain(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	idle, busy := r.client(), r.client()
	idle.send(get)
	u := r.accept()
	u.head()
	u.send("HTTP/1.1 204 No Content\r\n\r\n")
	idle.head()
	eventually(t, "the connection is kept", func() bool { n, _ := r.pool.Size(); return n == 1 })
	busy.send(get)
	u.head()
	drained := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	go func() { drained <- r.server.Drain(ctx, 0) }()
	idle.end()
	u.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	contains(t, busy.head(), "Connection: close\r\n")
	busy.expect("ok")
	busy.end()
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// TestDrainPatiently shows that an idle connection may ask once more, and that one which does not is ended.
func TestDrainPatiently(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	asks, silent := r.client(), r.client()
	for _, c := range []*peer{asks, silent} {
		c.send(get)
		u := r.accept()
		u.head()
		u.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		c.head()
	}
	drained := make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	began := time.Now()
	go func() { drained <- r.server.Drain(ctx, 300*time.Millisecond) }()
	eventually(t, "the server drains", func() bool { return r.server.draining.Load() })
	asks.send(get)
	u := r.accept()
	u.head()
	u.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	contains(t, asks.head(), "Connection: close\r\n")
	asks.expect("ok")
	asks.end()
	silent.end()
	if err := <-drained; err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took < 300*time.Millisecond || took > patience/2 {
		t.Error("it took", took)
	}
}

func TestSever(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	c := r.client()
	c.send(get)
	u := r.accept()
	u.head()
	cause := errors.New("the key was revoked")
	r.server.Sever(cause)
	u.end()
	_, _ = io.ReadAll(c.in)
	eventually(t, "the cause is known", func() bool {
		r.forwarder.mu.Lock()
		defer r.forwarder.mu.Unlock()
		return len(r.forwarder.failures) == 1 && errors.Is(r.forwarder.failures[0], cause)
	})
}

func TestHTTP2IsHandedOver(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	got := make(chan string, 1)
	serveOn(t, listener, NewServer(Config{Handler: &forwarder{}, HTTP2: func(conn net.Conn) {
		all, _ := io.ReadAll(conn)
		got <- string(all)
		_ = conn.Close()
	}}))
	conn, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := newPeer(t, conn)
	c.send(preface[:20])
	c.send(preface[20:] + "frames")
	c.closeWrite()
	if all := <-got; all != preface+"frames" {
		t.Errorf("got %q", all)
	}
}

// TestRetryWithBody shows that a request can be sent again whose body was small enough to be there.
func TestRetryWithBody(t *testing.T) {
	t.Parallel()
	for _, body := range []struct{ fields, text string }{
		{"Content-Length: 3\r\n", "abc"},
		{"Transfer-Encoding: chunked\r\n", "2\r\nab\r\n0\r\nX-Sum: 7\r\n\r\n"},
	} {
		r := newRig(t, Limits{})
		c := r.client()
		u := heat(c, r)
		c.send("PUT / HTTP/1.1\r\nHost: a\r\n" + body.fields + "\r\n" + body.text)
		u.head()
		u.expect(body.text)
		_ = u.Close()
		u = r.accept()
		contains(t, u.head(), "PUT / HTTP/1.1\r\n")
		u.expect(body.text)
		u.send(empty)
		contains(t, c.head(), "HTTP/1.1 200 ")
	}
}

// TestClientThatDoesNotRead shows that a client that takes nothing of its response is let go.
func TestClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{Silence: 50 * time.Millisecond, BytesPerSecond: 1 << 30})
	c := r.client()
	c.send(get)
	u := r.accept()
	u.head()
	u.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
	piece := make([]byte, 64<<10)
	for {
		if _, err := u.Write(piece); err != nil {
			break
		}
	}
	eventually(t, "the connection is gone", func() bool { return r.server.Connections() == 0 })
}

// TestNothingIsHeld shows that each event of a stream is passed on before the next comes.
func TestNothingIsHeld(t *testing.T) {
	t.Parallel()
	r := newRig(t, Limits{})
	c := r.client()
	c.send(get)
	u := r.accept()
	u.head()
	u.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
	c.status()
	for range 20 {
		u.send("6\r\ndata:1\r\n")
		c.expect("6\r\ndata:1\r\n")
		// Half a chunk is content too.
		u.send("6\r\ndat")
		c.expect("3\r\ndat\r\n")
		u.send("a:2\r\n")
		c.expect("3\r\na:2\r\n")
	}
}
