package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// What streams, and what was switched to another protocol, goes on while revisions come and go, and is not held by the one that it
// began with.
func TestStreamsOutliveRevisions(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	more := make(chan string)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/upgrade" {
			converse(w)
			return
		}
		for {
			_ = http.NewResponseController(w).Flush()
			select {
			case text := <-more:
				_, _ = io.WriteString(w, text)
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(web.Close)
	publish := func(i int) {
		s.Apply(fmt.Sprintf(`
fleet: default
services:
  - {name: web, url: %q, timeouts: {idle: %ds}}
routes:
  - {name: web, service: web, match: {paths: ["/**"]}}
`, web.URL, 600+i), "--strategy", "immediate")
	}
	publish(0)
	agent := s.Ready.Agents[0]

	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(agent.Proxy, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	_, _ = io.WriteString(connection, "GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: conversation\r\n\r\n")
	tunnel := bufio.NewReader(connection)
	switched, err := http.ReadResponse(tunnel, nil)
	if err != nil || switched.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(switched, err)
	}
	_ = switched.Body.Close()
	events, err := http.Get(agent.Proxy + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = events.Body.Close() }()
	lines := bufio.NewReader(events.Body)

	for i := range 3 {
		publish(1 + i)
		_ = connection.SetDeadline(time.Now().Add(10 * time.Second))
		_, _ = fmt.Fprintf(connection, "%d\n", i)
		if got, err := tunnel.ReadString('\n'); got != fmt.Sprintf("you said %d\n", i) {
			t.Fatalf("after revision %d: heard %q, %v", i, got, err)
		}
		more <- fmt.Sprintf("%d\n", i)
		if got, err := lines.ReadString('\n'); got != fmt.Sprintf("%d\n", i) {
			t.Fatalf("after revision %d: %q, %v", i, got, err)
		}
		// The two are no exchanges of any installation any more.
		metrics := mustGet(t, agent.Ops+"/metrics")
		if !contains(metrics.Body, "\ntidegate_exchanges 0\n") {
			t.Error("after revision", i, "the agent counts exchanges that hold it")
		}
	}
}

// converse switches protocols, and answers each line.
func converse(w http.ResponseWriter) {
	connection, both, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = connection.Close() }()
	_, _ = both.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: conversation\r\n\r\n")
	for both.Flush() == nil {
		line, err := both.ReadString('\n')
		if err != nil {
			return
		}
		_, _ = both.WriteString("you said " + line)
	}
}
