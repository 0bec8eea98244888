package e2e_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/sync/errgroup"

	"tidegate.dev/e2e/harness"
)

// idleVariable sets how many connections are held: 10000 shows what the promise says, and takes its time.
const idleVariable = "TIDEGATE_IDLE_CONNECTIONS"

// TestIdleConnectionsAreCheap holds connections that have been served and are idle, and looks at the agent's memory. The promise is
// that 10,000 fit in 100 MiB, all of the agent included.
func TestIdleConnectionsAreCheap(t *testing.T) {
	t.Parallel()
	count := 1000
	if text := os.Getenv(idleVariable); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		open func(agent harness.Agent) (net.Conn, error)
		most int // bytes for each
	}{
		{"HTTP/1.1", idleClear, 8 << 10},
		{"HTTP/1.1 over TLS", idleTLS, 24 << 10},
		{"HTTP/2 over TLS", idleHTTP2, 64 << 10},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := harness.Start(t, harness.Options{Agents: 1})
			up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
			t.Cleanup(up.Close)
			s.Apply(ordersAt(up.URL))
			agent := s.Ready.Agents[0]
			before := residentSet(t, agent.PID)
			openIdle(t, count, func() (net.Conn, error) { return c.open(agent) })
			// What a connection needs only while it is served is given back after a while.
			after := settled(t, agent.PID)
			t.Logf("%d connections: %.1f MiB in all, %.1f KiB each; %s", count, float64(after)/(1<<20), float64(after-before)/float64(count)/(1<<10),
				memoryOf(t, agent.Ops))
			// A few mebibytes are the agent's own.
			if after-before > count*c.most+(8<<20) {
				t.Errorf("%d connections take %d KiB, more than %d bytes each", count, (after-before)>>10, c.most)
			}
		})
	}
}

// openIdle opens connections that stay until the test ends.
func openIdle(t *testing.T, count int, open func() (net.Conn, error)) {
	t.Helper()
	connections := make([]net.Conn, count)
	t.Cleanup(func() {
		for _, conn := range connections {
			if conn != nil {
				_ = conn.Close()
			}
		}
	})
	var group errgroup.Group
	group.SetLimit(32)
	for i := range connections {
		group.Go(func() (err error) {
			connections[i], err = open()
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// settled is a process's memory when it has not become less for a while.
func settled(t *testing.T, pid int) (lowest int) {
	t.Helper()
	lowest = residentSet(t, pid)
	since := time.Now()
	harness.Eventually(t, 90*time.Second, "memory settles", func() error {
		if now := residentSet(t, pid); now < lowest-lowest/100 {
			lowest, since = now, time.Now()
		}
		if quiet := time.Since(since); quiet < 15*time.Second {
			return fmt.Errorf("%d KiB for %s", lowest>>10, quiet)
		}
		return nil
	})
	return lowest
}

const idleRequest = "GET /orders/7 HTTP/1.1\r\nHost: localhost\r\n\r\n"

// ask has a connection serve one request.
func askOver(conn net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, idleRequest); err != nil {
		return conn, err
	}
	response, err := http.ReadResponse(bufio.NewReaderSize(conn, 512), nil)
	if err != nil {
		return conn, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return conn, err
}

func idleClear(agent harness.Agent) (net.Conn, error) {
	return askOver(net.Dial("tcp", strings.TrimPrefix(agent.Proxy, "http://")))
}

func idleTLS(agent harness.Agent) (net.Conn, error) { return dialTLS(agent, askOver) }

// dialTLS opens a connection whose certificate is not what is looked at.
func dialTLS(agent harness.Agent, then func(net.Conn, error) (net.Conn, error), protocols ...string) (net.Conn, error) {
	conn, err := tls.Dial("tcp", strings.TrimPrefix(agent.TLS, "https://"), &tls.Config{InsecureSkipVerify: true, NextProtos: protocols})
	if err != nil {
		return nil, err
	}
	return then(conn, nil)
}

// idleHTTP2 opens a connection and waits for the settings of both sides to be known.
func idleHTTP2(agent harness.Agent) (net.Conn, error) { return dialTLS(agent, settle, "h2") }

func settle(conn net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		return conn, err
	}
	framer := http2.NewFramer(conn, conn)
	if err := framer.WriteSettings(); err != nil {
		return conn, err
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return conn, err
		}
		if settings, ok := frame.(*http2.SettingsFrame); ok {
			if settings.IsAck() {
				return conn, nil
			}
			if err := framer.WriteSettingsAck(); err != nil {
				return conn, err
			}
		}
	}
}

// memoryOf says what an agent's memory is used for.
func memoryOf(t *testing.T, ops string) string {
	t.Helper()
	response, err := harness.Get(t.Context(), ops+"/metrics")
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for line := range strings.Lines(response.Body) {
		for _, name := range []string{"stack_inuse", "heap_inuse", "heap_alloc", "heap_idle", "heap_released", "next_gc"} {
			if rest, ok := strings.CutPrefix(line, "go_memstats_"+name+"_bytes "); ok {
				if bytes, err := strconv.ParseFloat(strings.TrimSpace(rest), 64); err == nil {
					parts = append(parts, fmt.Sprintf("%s %.0f KiB", name, bytes/(1<<10)))
				}
			}
		}
	}
	return strings.Join(parts, ", ")
}

// residentSet is a process's memory in bytes.
func residentSet(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kilobytes, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kilobytes << 10
		}
	}
	t.Fatal("the process does not say how large it is")
	return 0
}
