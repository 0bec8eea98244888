package proxy

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tidegate.dev/dataplane/overload"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// watched runs a monitor until the test ends.
func watched(t *testing.T, limit int64) *overload.Monitor {
	t.Helper()
	m := overload.NewMonitor(overload.MonitorConfig{MemoryLimit: limit})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = m.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	eventually(t, "the first look", func() bool { return m.Used() > 0 })
	return m
}

// spoken is one connection on which requests are sent one after the other.
type spoken struct {
	net.Conn
	in *bufio.Reader
}

func (r *rig) speak() *spoken {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.proxy.Address().String())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return &spoken{conn, bufio.NewReader(conn)}
}

func (s *spoken) ask(text string) (status int, reason string, closes bool, err error) {
	if _, err := io.WriteString(s, text); err != nil {
		return 0, "", false, err
	}
	response, err := http.ReadResponse(s.in, nil)
	if err != nil {
		return 0, "", false, err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, response.Header.Get("X-Tidegate-Reason"), response.Close, err
}

func TestWithoutMemoryOnlyWhatIsCriticalIsServed(t *testing.T) {
	t.Parallel()
	up := server(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "fine") })
	monitor := overload.NewMonitor(overload.MonitorConfig{MemoryLimit: 1})
	r := newRig(t, func(c *Config) { c.Monitor = monitor })
	r.serve(resources{
		"services/up": service(up.URL), "routes/usual": shaped(func(*configv1.Route) {}, "/usual"),
		"routes/high": shaped(func(r *configv1.Route) { r.Criticality = "critical" }, "/high"),
	})
	usual, high := r.speak(), r.speak()
	for _, s := range []*spoken{usual, high} {
		if status, _, closes, err := s.ask("GET /usual HTTP/1.1\r\nHost: a\r\n\r\n"); status != http.StatusOK || closes || err != nil {
			t.Fatal(status, closes, err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = monitor.Run(ctx)
	}()
	defer func() {
		stop()
		<-ended
	}()
	eventually(t, "memory is short", func() bool { return monitor.Memory() == overload.MemoryExhausted })
	if status, reason, _, err := usual.ask("GET /usual HTTP/1.1\r\nHost: a\r\n\r\n"); status != http.StatusServiceUnavailable || reason != "overloaded" || err != nil {
		t.Errorf("the usual: %d %q %v", status, reason, err)
	}
	if status, _, closes, err := high.ask("GET /high HTTP/1.1\r\nHost: a\r\n\r\n"); status != http.StatusOK || !closes || err != nil {
		t.Errorf("what is critical: %d, closes %v, %v", status, closes, err)
	}
	// Its end may come before whoever opened it knows that it is open.
	if response, err := (&http.Client{Transport: &http.Transport{}}).Get(r.url + "/high"); err == nil {
		_ = response.Body.Close()
		t.Errorf("a connection is taken: %d", response.StatusCode)
	}
	if n := r.proxy.gate.Counts().Refused["memory"]; n != 1 {
		t.Errorf("%d connections were refused", n)
	}
}

// It is alone, since others would need memory meanwhile.
func TestWithLittleMemoryNoLargeBodyIsTaken(t *testing.T) {
	up := server(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })
	// As much memory as there is, and a seventh more.
	monitor := watched(t, watched(t, 0).Used()*8/7)
	r := newRig(t, func(c *Config) { c.Monitor = monitor })
	r.serve(simple(up.URL))
	large := fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", largeBody+1, strings.Repeat("x", largeBody+1))
	const small = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nsmall"
	// How much memory the test itself uses changes meanwhile.
	eventually(t, "while memory is tight a large body is refused, and a small one taken", func() bool {
		if monitor.Memory() != overload.MemoryTight {
			return false
		}
		status, reason, _, err := r.speak().ask(large)
		if status != http.StatusServiceUnavailable || reason != "overloaded" || err != nil {
			return false
		}
		status, _, closes, err := r.speak().ask(small)
		return status == http.StatusOK && closes && err == nil
	})
}
