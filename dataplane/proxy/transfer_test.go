package proxy

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"tidegate.dev/dataplane/http1"
	"tidegate.dev/dataplane/listener"
	"tidegate.dev/dataplane/telemetry"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestLargeBodiesArriveWhole(t *testing.T) {
	t.Parallel()
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/known" {
			w.Header().Set("Content-Length", fmt.Sprint(r.ContentLength))
		}
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, r.Body)
	})
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	body := make([]byte, 8<<20)
	for i := range body {
		body[i] = byte(i * 7 >> 3)
	}
	want := sha256.Sum256(body)
	http2 := new(http.Protocols)
	http2.SetUnencryptedHTTP2(true)
	clients := map[string]*http.Client{
		"HTTP/1.1": {Transport: &http.Transport{}},
		"h2c":      {Transport: &http.Transport{Protocols: http2}},
		"h2":       {Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}},
	}
	for name, client := range clients {
		for _, path := range []string{"/known", "/unknown"} {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				url := r.url
				if name == "h2" {
					url = r.secure
				}
				var sent io.Reader = bytes.NewReader(body)
				if path == "/unknown" {
					sent = io.MultiReader(sent)
				}
				request, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, url+path, sent)
				got := r.send(client, request)
				if got.StatusCode != http.StatusOK || sha256.Sum256([]byte(got.body)) != want {
					t.Errorf("status %d, %d bytes", got.StatusCode, len(got.body))
				}
			})
		}
	}
}

func TestResponsesWithoutBody(t *testing.T) {
	t.Parallel()
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/304":
			w.Header().Set("Etag", `"x"`)
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Header().Set("Content-Length", "5")
			w.Header()["Content-Type"] = nil
			_, _ = io.WriteString(w, "hello")
		}
	})
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	cases := map[string]struct {
		method, path string
		status       int
		length       int64
		body         string
	}{
		"HEAD":         {"HEAD", "/", 200, 5, ""},
		"GET":          {"GET", "/", 200, 5, "hello"},
		"no content":   {"GET", "/204", 204, 0, ""},
		"not modified": {"GET", "/304", 304, 0, ""},
		"HEAD, 404":    {"HEAD", "/../x", 400, -2, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := r.do(c.method, c.path, "")
			if got.StatusCode != c.status || c.length != -2 && got.ContentLength != c.length || got.body != c.body {
				t.Errorf("%d, length %d, %q", got.StatusCode, got.ContentLength, got.body)
			}
			if c.status == 200 && got.Header.Get("Content-Type") != "" {
				t.Error("a content type was guessed:", got.Header)
			}
		})
	}
}

func TestAClientThatReadsNothingIsCut(t *testing.T) {
	t.Parallel()
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, io.LimitReader(zeros{}, 1<<30))
	})
	r := newRig(t, nil)
	r.serve(resources{
		"services/up": &configv1.Service{Url: up.URL, Timeouts: &configv1.Timeouts{Idle: "150ms"}}, "routes/all": route("up", "/**"),
	})
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", r.proxy.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the exchange is cut", func() bool {
		return r.counted(func(k telemetry.CellKey) bool { return k.StatusClass == 2 && k.Reason == "client_closed" }) == 1
	})
	eventually(t, "nothing runs", func() bool { return r.proxy.current.Load().running() == 0 })
}

func TestAnotherTargetIsTriedWhenNothingWasSent(t *testing.T) {
	t.Parallel()
	up := server(t, echo("up"))
	dead := server(t, nil)
	dead.Close()
	r := newRig(t, nil)
	r.serve(resources{
		"services/up": &configv1.Service{Targets: []*configv1.Target{{Url: dead.URL}, {Url: up.URL}}}, "routes/all": route("up", "/**"),
	})
	for i := range 20 {
		if got := r.do(http.MethodPost, "/x", "body"); got.StatusCode != http.StatusOK || got.echoed(t).Body != "body" {
			t.Fatalf("request %d: %d %s", i, got.StatusCode, got.body)
		}
	}
}

func TestAnUpstreamThatBreaksOffIsSeen(t *testing.T) {
	t.Parallel()
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		conn, both, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		switch r.URL.Path {
		case "/known":
			_, _ = both.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
		case "/chunked":
			_, _ = both.WriteString("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
		case "/nonsense":
			_, _ = both.WriteString("what?\r\n\r\n")
		}
		_ = both.Flush()
	})
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	for _, path := range []string{"/known", "/chunked"} {
		request, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+path, nil)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(response.Body); err == nil {
			t.Error(path, "looks whole")
		}
		_ = response.Body.Close()
	}
	for _, path := range []string{"/nonsense", "/nothing"} {
		if got := r.do(http.MethodPost, path, "x"); got.StatusCode != http.StatusBadGateway || got.reason() != "upstream_protocol" {
			t.Error(path, got.StatusCode, got.reason())
		}
	}
	eventually(t, "the records", func() bool {
		return r.counted(func(k telemetry.CellKey) bool { return k.StatusClass == 2 && k.Reason == "upstream_aborted" }) == 2
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	up := server(t, echo("up"))
	r := newRig(t, func(c *Config) { c.Connections = listener.Limits{Connections: 2, PerClient: 2} })
	r.serve(simple(up.URL))
	address := r.proxy.Address().String()
	// served asks, and tells whether the connection is there for it; one that is not is closed at once.
	served := func() (net.Conn, bool) {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
		if err != nil {
			return nil, false
		}
		t.Cleanup(func() { _ = conn.Close() })
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
		n, _ := conn.Read(make([]byte, 1))
		return conn, n == 1
	}
	first, one := served()
	_, two := served()
	if !one || !two {
		t.Fatal("the first two are not served")
	}
	if _, three := served(); three {
		t.Error("a third is served beside them")
	}
	_ = first.Close()
	eventually(t, "one is served when the first has gone", func() bool {
		_, again := served()
		return again
	})
}

func FuzzIdentifiers(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more")
	f.Add("abc")
	f.Fuzz(func(t *testing.T, sent string) {
		var header http1.Header
		header.Set("X-Request-Id", sent)
		header.Set("Traceparent", sent)
		var made identifiers
		made.take(&header)
		if trace := header.Get("Traceparent"); !validTraceparent(trace) || validTraceparent(sent) && trace != sent {
			t.Errorf("%q became %q", sent, trace)
		}
		if id := header.Get("X-Request-Id"); !harmless(id) || harmless(sent) && id != sent || id != made.request() {
			t.Errorf("%q became %q", sent, id)
		}
	})
}

func FuzzForwardedAddress(f *testing.F) {
	f.Add("203.0.113.9:80")
	f.Add("[2001:db8::1%eth0]:80")
	f.Fuzz(func(t *testing.T, text string) {
		if address, ok := forwardedAddress(text); ok && (!address.IsValid() || address.Zone() != "" || address.Is4In6()) {
			t.Errorf("%q became %v", text, address)
		}
	})
}

func TestAnAbsentContextIsNobody(t *testing.T) {
	t.Parallel()
	if connectionIn(context.Background()) != nobody {
		t.Error("a connection out of nowhere")
	}
}
