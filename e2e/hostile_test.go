package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"tidegate.dev/e2e/harness"
)

// What hostile clients try against a real agent as it is by default: nothing of it reaches the upstream.
func TestHostileClients(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	up := harness.NewUpstream(t, "up")
	s.Apply(fmt.Sprintf(`
fleet: default
services: [{name: up, url: %q}]
routes: [{name: all, service: up, match: {paths: ["/**"]}}]
`, up.URL))
	address := strings.TrimPrefix(s.Ready.Agents[0].Proxy, "http://")
	t.Run("what is refused", func(t *testing.T) {
		for _, c := range refusedRequests() {
			if got, closed := provoke(t, address, c.request+"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"); got != c.want || !closed {
				t.Errorf("%s: %s, closed %v", c.name, got, closed)
			}
		}
		if n := up.Requests.Load(); n != 0 {
			t.Errorf("%d requests reached the upstream", n)
		}
	})
	t.Run("slow clients", func(t *testing.T) {
		for name, c := range map[string]struct {
			begin, drop string
			least, most time.Duration
		}{
			"a head": {"GET / HTTP/1.1\r\n", "X: y\r\n", 9 * time.Second, 14 * time.Second},
			"a body": {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n", "x", 4500 * time.Millisecond, 9 * time.Second},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				trickle(t, address, c.begin, c.drop, c.least, c.most)
			})
		}
	})
	t.Run("what HTTP/2 is allowed", func(t *testing.T) { announces(t, address) })
}

type refusedRequest struct{ name, request, want string }

func refusedRequests() (all []refusedRequest) {
	const bad, unsupported = "400 bad_request", "501 unsupported"
	for fields, want := range map[string]string{
		"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n":           bad,
		"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n":           bad,
		"Content-Length: 5\r\nContent-Length: 6\r\n":                    bad,
		"Content-Length: 5, 5\r\n":                                      bad,
		"Content-Length: +5\r\n":                                        bad,
		"Content_Length: 5\r\n":                                         bad,
		"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n": bad,
		"Transfer-Encoding: chunked, identity\r\n":                      bad,
		"Transfer-Encoding: identity, chunked\r\n":                      unsupported,
		"Transfer-Encoding: xchunked\r\n":                               unsupported,
		"Transfer-Encoding: \x0bchunked\r\n":                            bad,
		"Transfer-Encoding : chunked\r\n":                               bad,
		"Transfer-Encoding:\r\n chunked\r\n":                            bad,
		"Transfer_Encoding: chunked\r\n":                                bad,
		"X: y\nTransfer-Encoding: chunked\r\n":                          bad,
		"X: y\rTransfer-Encoding: chunked\r\n":                          bad,
		"X: y\x00z\r\n":                                                 bad,
		"Host: b\r\n":                                                   bad,
		"Expect: tea\r\n":                                               "417 expectation_failed",
		strings.Repeat("X: y\r\n", 20_000):                              "431 header_too_large",
		"X: " + strings.Repeat("y", 200_000) + "\r\n":                   "431 header_too_large",
	} {
		name := fmt.Sprintf("%.60q", fields)
		all = append(all, refusedRequest{name, "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n0\r\n\r\n", want})
	}
	for _, body := range []string{"3;a\nabc\r\n0\r\n\r\n", "+3\r\nabc\r\n0\r\n\r\n", "0x3\r\nabc\r\n0\r\n\r\n", "3\r\nabcd\r\n0\r\n\r\n", "0\r\nContent-Length: 3\r\n\r\n"} {
		// Whatever the upstream has of it then is no whole request, and it never answers it.
		all = append(all, refusedRequest{fmt.Sprintf("%q", body), "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body, bad})
	}
	return append(
		all,
		refusedRequest{"chunks in HTTP/1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", bad},
		refusedRequest{"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", unsupported},
		refusedRequest{"an asterisk", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", bad},
		refusedRequest{"a user in the target", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", bad},
		refusedRequest{"no host", "GET / HTTP/1.1\r\n\r\n", bad},
		refusedRequest{"lines that end with LF", "GET / HTTP/1.1\nHost: a\n\n", bad},
		refusedRequest{"another version", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", "505 version_not_supported"},
		refusedRequest{"an endless target", "GET /" + strings.Repeat("x", 200_000) + " HTTP/1.1\r\nHost: a\r\n\r\n", "414 target_too_long"},
		refusedRequest{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n", bad},
	)
}

// provoke sends bytes, and tells the status and the reason of the only answer, and whether the connection ended with it.
func provoke(t *testing.T, address, request string) (answer string, closed bool) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, request) // the answer may come before all is sent
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		return err.Error(), false
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	rest, _ := io.ReadAll(in)
	return fmt.Sprint(response.StatusCode, " ", response.Header.Get("X-Tidegate-Reason")), response.Close && len(rest) == 0
}

// trickle sends the beginning and then drop by drop, until it is told that it takes too long.
func trickle(t *testing.T, address, begin, drop string, least, most time.Duration) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(2 * most))
	began := time.Now()
	_, _ = io.WriteString(conn, begin)
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				_, _ = io.WriteString(conn, drop)
			case <-ended:
				return
			}
		}
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if took := time.Since(began); response.StatusCode != http.StatusRequestTimeout || took < least || took > most {
		t.Errorf("%d after %v", response.StatusCode, took)
	}
}

// announces checks what the agent tells a client of HTTP/2 that it may do.
func announces(t *testing.T, address string) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	window := 65_535
	for settings := false; !settings || window == 65_535; {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			settings = settings || !f.IsAck()
			for id, want := range map[http2.SettingID]uint32{
				http2.SettingMaxConcurrentStreams: 100, http2.SettingInitialWindowSize: 64 << 10, http2.SettingMaxFrameSize: 16 << 10,
			} {
				if got, ok := f.Value(id); !f.IsAck() && (!ok || got != want) {
					t.Errorf("%s is %d, want %d", id, got, want)
				}
			}
		case *http2.WindowUpdateFrame:
			window += int(f.Increment)
		}
	}
	if window != 1<<20 {
		t.Errorf("the window of the connection has %d bytes", window)
	}
}
