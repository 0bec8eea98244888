package proxy

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tidegate.dev/dataplane/telemetry"
)

// dial opens a connection to the proxy that ends with the test.
func (r *rig) dial() net.Conn {
	r.t.Helper()
	conn, err := new(net.Dialer).DialContext(r.t.Context(), "tcp", r.proxy.Address().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

func TestWhatTheEngineRefusesIsAProblem(t *testing.T) {
	t.Parallel()
	up := server(t, echo("up"))
	r := newRig(t, func(c *Config) { c.Limits.HeaderTimeout = 300 * time.Millisecond })
	r.serve(simple(up.URL))
	cases := map[string]struct {
		request string
		status  int
		reason  string
	}{
		"a length and chunks":        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"},
		"two lengths":                {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400, "bad_request"},
		"a list of lengths":          {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 400, "bad_request"},
		"chunked twice":              {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400, "bad_request"},
		"chunks in HTTP/1.0":         {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"},
		"another coding":             {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, "unsupported"},
		"bare LF":                    {"GET / HTTP/1.1\nHost: a\n\n", 400, "bad_request"},
		"obsolete folding":           {"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", 400, "bad_request"},
		"a space before the colon":   {"GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\n", 400, "bad_request"},
		"NUL":                        {"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n", 400, "bad_request"},
		"no host":                    {"GET / HTTP/1.1\r\n\r\n", 400, "bad_request"},
		"two hosts":                  {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_request"},
		"a bad host":                 {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "bad_request"},
		"a target without a slash":   {"GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request"},
		"no HTTP":                    {"\x16\x03\x01\x02\x00\x01\x00", 400, "bad_request"},
		"an expectation":             {"POST / HTTP/1.1\r\nHost: a\r\nExpect: more\r\nContent-Length: 0\r\n\r\n", 417, "expectation_failed"},
		"another version":            {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, "version_not_supported"},
		"CONNECT":                    {"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501, "unsupported"},
		"too long a target":          {"GET /" + strings.Repeat("x", 20<<10), 414, "target_too_long"},
		"too large a header":         {"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 100<<10), 431, "header_too_large"},
		"too many fields":            {"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("x: y\r\n", 400), 431, "header_too_large"},
		"a head that does not end":   {"GET / HTTP/1.1\r\nHost: a\r\n", 408, "request_timeout"},
		"a bad chunk":                {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400, "bad_request"},
		"a chunk longer than stated": {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400, "bad_request"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := r.dial()
			if _, err := io.WriteString(conn, c.request); err != nil {
				t.Fatal(err)
			}
			in := bufio.NewReader(conn)
			response, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(response.Body)
			_ = response.Body.Close()
			var got problem
			if err := json.Unmarshal(body, &got); err != nil {
				t.Fatalf("%d %q: %v", response.StatusCode, body, err)
			}
			if response.StatusCode != c.status || response.Header.Get("X-Tidegate-Reason") != c.reason || got.Status != c.status {
				t.Errorf("got %d %q, %+v", response.StatusCode, response.Header.Get("X-Tidegate-Reason"), got)
			}
			if id := response.Header.Get("X-Request-Id"); !harmless(id) || got.RequestID != id {
				t.Errorf("request id %q, in the problem %q", id, got.RequestID)
			}
			if response.Header.Get("Content-Type") != "application/problem+json" || !response.Close {
				t.Error("the answer has", response.Header)
			}
			if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
				t.Errorf("the connection did not just end: %q, %v", rest, err)
			}
		})
	}
	t.Cleanup(func() {
		reasons := map[string]uint64{}
		for _, c := range cases {
			reasons[c.reason]++
		}
		for reason, n := range reasons {
			eventually(t, fmt.Sprint(reason, " is counted so often: ", n), func() bool {
				return r.counted(func(k telemetry.CellKey) bool { return k.Reason == reason }) == n
			})
		}
	})
}

// Nothing of a message with ambiguous framing reaches an upstream, whatever follows it.
func TestNothingIsSmuggled(t *testing.T) {
	t.Parallel()
	up := server(t, func(_ http.ResponseWriter, r *http.Request) { t.Error("the upstream got", r.Method, r.URL) })
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	hidden := "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, head := range []string{
		"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
		"Transfer-Encoding: xchunked\r\n", "Transfer-Encoding:\x0bchunked\r\n", "Content-Length: +5\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n",
		"Transfer-Encoding\r\n : chunked\r\n", "X: y\rTransfer-Encoding: chunked\r\n",
	} {
		statuses, closed := raw(t, r.proxy.Address().String(), "POST / HTTP/1.1\r\nHost: a\r\n"+head+"\r\n0\r\n\r\n"+hidden, 3)
		if len(statuses) != 1 || !strings.HasPrefix(statuses[0], "400") && !strings.HasPrefix(statuses[0], "501") || !closed {
			t.Errorf("%q: %q, closed %v", head, statuses, closed)
		}
	}
}

func TestTheServerAsAWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.serve(resources{})
	conn := r.dial()
	in := bufio.NewReader(conn)
	for range 2 {
		_, _ = io.WriteString(conn, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
		response, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusNoContent || response.Header.Get("Allow") == "" || response.Header.Get("X-Request-Id") == "" || response.Close {
			t.Error(response.StatusCode, response.Header)
		}
	}
}

func TestAClientThatEndsItsSideIsServed(t *testing.T) {
	t.Parallel()
	finish := make(chan struct{})
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		<-finish
		_, _ = fmt.Fprintf(w, "got %s", body)
	})
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	conn := r.dial()
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	// The proxy looks whether the client is there while it waits.
	time.AfterFunc(600*time.Millisecond, func() { close(finish) })
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil) //nolint:bodyclose // it ends with its connection
	for err == nil && response.StatusCode < 200 {
		response, err = http.ReadResponse(in, nil) //nolint:bodyclose // it ends with its connection
	}
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(response.Body); string(body) != "got hello" || err != nil {
		t.Errorf("%d %q %v", response.StatusCode, body, err)
	}
}

func TestSlowBodiesAreBounded(t *testing.T) {
	t.Parallel()
	up := server(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) })
	r := newRig(t, func(c *Config) { c.Limits.BodyGrace, c.Limits.BodyRate = 200*time.Millisecond, 1000 })
	r.serve(simple(up.URL))
	cases := map[string]struct {
		pieces int
		size   int
		want   string
	}{
		"slower than it may":   {100, 10, "408 request_timeout"},
		"as fast as it should": {20, 60, "200 "},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := r.dial()
			_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", c.pieces*c.size)
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range c.pieces {
					<-tick.C
					if _, err := conn.Write(make([]byte, c.size)); err != nil {
						return
					}
				}
			}()
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if got := fmt.Sprint(response.StatusCode, " ", response.Header.Get("X-Tidegate-Reason")); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			_ = conn.Close()
			<-done
		})
	}
}
