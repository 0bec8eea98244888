package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"tidegate.dev/dataplane/telemetry"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestEventsAreNotHeld(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		for text := range next {
			_, _ = io.WriteString(w, text)
			_ = http.NewResponseController(w).Flush()
		}
	})
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	response, err := http.Get(r.url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	// The head is here before any event, and each event before the next is sent.
	in := bufio.NewReader(response.Body)
	var took []time.Duration
	for i := range 50 {
		sent := time.Now()
		next <- fmt.Sprintf("data: %d\n", i)
		line, err := in.ReadString('\n')
		if err != nil || line != fmt.Sprintf("data: %d\n", i) {
			t.Fatal(line, err)
		}
		took = append(took, time.Since(sent))
	}
	close(next)
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Error("the stream did not end well:", err)
	}
	// Of a machine that is busy with other tests only the half is held to what is promised for 99 of 100.
	slices.Sort(took)
	if median := took[len(took)/2]; median > 20*time.Millisecond {
		t.Errorf("an event takes %v, the slowest %v", median, took[len(took)-1])
	}
}

func TestASlowBodyOfKnownLengthIsNotHeld(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "01234")
		_ = http.NewResponseController(w).Flush()
		<-more
		_, _ = io.WriteString(w, "56789")
	})
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	response, err := http.Get(r.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	half := make([]byte, 5)
	if _, err := io.ReadFull(response.Body, half); err != nil {
		t.Fatal(err)
	}
	close(more)
	if rest, err := io.ReadAll(response.Body); err != nil || string(rest) != "56789" {
		t.Error(string(rest), err)
	}
}

func TestAnAbortReachesTheUpstream(t *testing.T) {
	t.Parallel()
	for name, headFirst := range map[string]bool{"before the head": false, "in the body": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arrived, aborted := make(chan struct{}), make(chan time.Time, 1)
			up := server(t, func(w http.ResponseWriter, r *http.Request) {
				if headFirst {
					_, _ = io.WriteString(w, "first")
					_ = http.NewResponseController(w).Flush()
				}
				close(arrived)
				<-r.Context().Done()
				aborted <- time.Now()
			})
			r := newRig(t, nil)
			r.serve(simple(up.URL))
			ctx, cancel := context.WithCancel(t.Context())
			request, _ := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
			head := make(chan struct{})
			go func() {
				if response, err := http.DefaultClient.Do(request); err == nil {
					close(head)
					_, _ = io.Copy(io.Discard, response.Body)
					_ = response.Body.Close()
				}
			}()
			<-arrived
			if headFirst {
				<-head
			}
			at := time.Now()
			cancel()
			if took := (<-aborted).Sub(at); took > time.Second {
				t.Error("it took", took)
			}
			eventually(t, "a record of the abort", func() bool {
				return r.counted(func(k telemetry.CellKey) bool {
					return k.Reason == "client_closed" && (k.StatusClass == 0) == !headFirst
				}) == 1
			})
		})
	}
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	// A listener that never accepts: connections are opened by the kernel, and TLS on them goes nowhere.
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = silent.Close() })
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/head":
			<-r.Context().Done()
		case "/idle":
			_, _ = io.WriteString(w, "first")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		case "/total":
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, "more")
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(5 * time.Millisecond):
				}
			}
		}
	})
	refused := httptest.NewServer(nil)
	refused.Close()
	timeouts := &configv1.Timeouts{Connect: "300ms", ResponseHeader: "300ms", Idle: "300ms"}
	r := newRig(t, nil)
	r.serve(resources{
		"services/up":      &configv1.Service{Url: up.URL, Timeouts: timeouts},
		"services/silent":  &configv1.Service{Url: "https://" + silent.Addr().String()},
		"services/refused": service(refused.URL),
		"services/far":     service("http://169.254.169.254"),
		"routes/up":        route("up", "/**"),
		"routes/total":     &configv1.Route{Service: "up", Match: &configv1.Match{Paths: []string{"/total"}}, Timeouts: &configv1.Timeouts{Total: "400ms", Idle: "10s", ResponseHeader: "10s"}},
		"routes/silent":    &configv1.Route{Service: "silent", Match: &configv1.Match{Paths: []string{"/connect"}}, Timeouts: timeouts},
		"routes/refused":   route("refused", "/refused"),
		"routes/far":       route("far", "/metadata"),
	})
	cases := map[string]struct {
		path   string
		status int
		reason string
	}{
		"connecting":        {"/connect", 504, "upstream_timeout"},
		"the head":          {"/head", 504, "upstream_timeout"},
		"silence":           {"/idle", 200, "upstream_timeout"},
		"the whole":         {"/total", 200, "upstream_timeout"},
		"nobody listens":    {"/refused", 502, "upstream_unreachable"},
		"metadata services": {"/metadata", 502, "upstream_unreachable"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			response, err := http.Get(r.url + c.path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = response.Body.Close() }()
			_, err = io.Copy(io.Discard, response.Body)
			if response.StatusCode != c.status || time.Since(began) > 5*time.Second {
				t.Errorf("status %d after %s", response.StatusCode, time.Since(began))
			}
			if broken := err != nil; broken != (c.status == 200) {
				t.Error("reading the body:", err)
			}
			if c.status != 200 && response.Header.Get("X-Tidegate-Reason") != c.reason {
				t.Error("reason", response.Header.Get("X-Tidegate-Reason"))
			}
		})
	}
	t.Cleanup(func() {
		// A client that never saw the head of a broken answer asks again by itself.
		eventually(t, "the timeouts are counted", func() bool {
			return r.counted(func(k telemetry.CellKey) bool { return k.Reason == "upstream_timeout" }) >= 4
		})
	})
}

func TestASlowClientIsToldSo(t *testing.T) {
	t.Parallel()
	up := server(t, echo("up"))
	r := newRig(t, func(c *Config) { c.Limits.BodyGrace = 80 * time.Millisecond })
	r.serve(resources{
		"services/up": &configv1.Service{Url: up.URL, Timeouts: &configv1.Timeouts{ResponseHeader: "80ms"}},
		"routes/all":  route("up", "/**"),
	})
	statuses, closed := raw(t, strings.TrimPrefix(r.url, "http://"), "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc", 1)
	if len(statuses) != 1 || statuses[0] != "408 request_timeout" || !closed {
		t.Errorf("got %q, closed %v", statuses, closed)
	}
}

func TestAnUploadThatGoesOnIsNoTimeout(t *testing.T) {
	t.Parallel()
	up := server(t, echo("up"))
	r := newRig(t, nil)
	r.serve(resources{
		"services/up": &configv1.Service{Url: up.URL, Timeouts: &configv1.Timeouts{ResponseHeader: "500ms"}},
		"routes/all":  route("up", "/**"),
	})
	out, in := io.Pipe()
	go func() {
		for range 10 {
			_, _ = io.WriteString(in, "0123456789")
			<-time.After(80 * time.Millisecond)
		}
		_ = in.Close()
	}()
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url, out)
	if got := r.send(http.DefaultClient, request); got.StatusCode != http.StatusOK || len(got.echoed(t).Body) != 100 {
		t.Error(got.StatusCode, got.body)
	}
}

func TestTrailersPassBothWays(t *testing.T) {
	t.Parallel()
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "X-Announced")
		_, _ = io.WriteString(w, "sum of request: "+r.Trailer.Get("X-Sum"))
		w.Header().Set("X-Announced", "yes")
		w.Header().Set(http.TrailerPrefix+"X-Surprise", "too")
	})
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url, io.MultiReader(strings.NewReader("body")))
	request.Trailer = http.Header{"X-Sum": {"42"}}
	got := r.send(http.DefaultClient, request)
	if got.body != "sum of request: 42" || got.Trailer.Get("X-Announced") != "yes" || got.Trailer.Get("X-Surprise") != "too" {
		t.Errorf("%q, %v", got.body, got.Trailer)
	}
}

func TestInformationalResponsesPass(t *testing.T) {
	t.Parallel()
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		_, _ = io.Copy(w, r.Body)
	})
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	var hints []string
	continued := false
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, header.Get("Link")))
			return nil
		},
		Got100Continue: func() { continued = true },
	})
	request, _ := http.NewRequestWithContext(ctx, http.MethodPost, r.url, strings.NewReader("body"))
	request.Header.Set("Expect", "100-continue")
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: 5 * time.Second}}
	got := r.send(client, request)
	if got.body != "body" || got.Header.Get("Link") != "" || !continued {
		t.Errorf("%q, %v, continued %v", got.body, got.Header, continued)
	}
	if !strings.Contains(strings.Join(hints, "\n"), "103</style.css>; rel=preload") {
		t.Error("hints:", hints)
	}
}

func TestAnEarlyAnswerToAnUploadArrives(t *testing.T) {
	t.Parallel()
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	})
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	for range 20 {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url, io.LimitReader(zeros{}, 4<<20))
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusRequestEntityTooLarge {
			t.Fatal(response.StatusCode, response.Header)
		}
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// switching is an upstream that switches to a protocol which echoes lines.
func switching(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "lines" {
		http.Error(w, "no upgrade", http.StatusUpgradeRequired)
		return
	}
	conn, both, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = conn.Close() }()
	_, _ = both.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: lines\r\nX-Extra: 1\r\n\r\nwelcome\n")
	_ = both.Flush()
	for {
		line, err := both.ReadString('\n')
		if err != nil {
			_, _ = both.WriteString("bye\n")
			_ = both.Flush()
			return
		}
		_, _ = both.WriteString("echo " + line)
		_ = both.Flush()
	}
}

// upgraded opens a tunnel through the proxy.
func upgraded(t testing.TB, conn net.Conn, headers string) *bufio.ReadWriter {
	t.Helper()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	both := bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn))
	// The first line of the new protocol comes with the request, before the switch.
	_, _ = both.WriteString("GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: lines\r\n" + headers + "\r\nfirst\n")
	_ = both.Flush()
	response, err := http.ReadResponse(both.Reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols || response.Header.Get("Upgrade") != "lines" || response.Header.Get("X-Extra") != "1" {
		t.Fatal(response.StatusCode, response.Header)
	}
	_ = response.Body.Close()
	for _, want := range []string{"welcome\n", "echo first\n"} {
		if line, err := both.ReadString('\n'); line != want {
			t.Fatalf("got %q, %v, want %q", line, err, want)
		}
	}
	return both
}

func TestUpgradesAreTunnelled(t *testing.T) {
	t.Parallel()
	clear, secure := server(t, switching), httptest.NewTLSServer(http.HandlerFunc(switching))
	secure.EnableHTTP2 = true
	t.Cleanup(secure.Close)
	r := newRig(t, nil)
	all := resources{
		"services/clear":  service(clear.URL),
		"services/secure": &configv1.Service{Url: secure.URL, Tls: &configv1.UpstreamTls{InsecureSkipVerify: true}},
		"routes/clear":    route("clear", "/**"),
		"routes/secure":   &configv1.Route{Service: "secure", Match: &configv1.Match{Paths: []string{"/**"}, Hosts: []string{"localhost"}}},
	}
	for name, list := range map[string]resources{
		"clear text": {"services/clear": all["services/clear"], "routes/clear": all["routes/clear"]}, "TLS upstream": all,
	} {
		t.Run(name, func(t *testing.T) {
			r.serve(list)
			for _, client := range []string{"clear text", "TLS"} {
				conn, err := net.Dial("tcp", r.proxy.Address().String())
				if client == "TLS" {
					conn, err = tls.Dial("tcp", r.proxy.TLSAddress().String(), &tls.Config{InsecureSkipVerify: true})
				}
				if err != nil {
					t.Fatal(err)
				}
				both := upgraded(t, conn, "")
				for i := range 100 {
					_, _ = fmt.Fprintf(both, "%d\n", i)
					_ = both.Flush()
					if line, err := both.ReadString('\n'); line != fmt.Sprintf("echo %d\n", i) {
						t.Fatal(line, err)
					}
				}
				_ = conn.Close()
			}
			eventually(t, "tunnels are recorded", func() bool {
				return r.counted(func(k telemetry.CellKey) bool { return k.StatusClass == 1 && k.Reason == "" }) >= 2
			})
		})
	}
}

func TestAnUpgradeThatIsDeclinedIsAnAnswer(t *testing.T) {
	t.Parallel()
	up := server(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusForbidden) })
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	if got := r.get("/", "Connection", "Upgrade", "Upgrade", "websocket"); got.StatusCode != http.StatusForbidden {
		t.Error(got.StatusCode)
	}
}

func TestASilentTunnelEnds(t *testing.T) {
	t.Parallel()
	up := server(t, switching)
	r := newRig(t, nil)
	r.serve(resources{
		"services/up": &configv1.Service{Url: up.URL, Timeouts: &configv1.Timeouts{Idle: "500ms"}},
		"routes/all":  route("up", "/**"),
	})
	conn, err := net.Dial("tcp", r.proxy.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	both := upgraded(t, conn, "")
	if _, err := both.ReadString('\n'); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
