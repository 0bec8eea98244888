package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"math"
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

// One revision after the other under load costs no request, and the agent keeps nothing of those that are gone.
func TestRevisionsCostNoRequestAndNoMemory(t *testing.T) {
	t.Parallel()
	revisions := 60
	if full() {
		revisions = 10_000
	}
	s := harness.Start(t, harness.Options{Agents: 1})
	up := harness.NewUpstream(t, "up")
	agent := s.Ready.Agents[0]
	publish := func(i int) {
		change := fmt.Sprintf(`{"strategy": "immediate", "resources": [
			{"name": "up", "service": {"url": %q, "timeouts": {"idle": "%dms"}}},
			{"name": "all", "route": {"service": "up", "match": {"paths": ["/**"]}, "timeouts": {"total": "%dms"}}}]}`, up.URL, 600_000+i, 60_000+i)
		var published struct {
			Published struct{ Revision float64 }
		}
		if r := s.Admin(http.MethodPost, "/v1/fleets/default:apply", jsonText(change), &published); r.Status != http.StatusOK {
			t.Fatalf("%d %s", r.Status, r.Body)
		}
		harness.Eventually(t, 30*time.Second, fmt.Sprintf("revision %d serves", i), func() error {
			serving, err := metric(agent.Ops, "tidegate_agent_stable_revision")
			if err == nil && serving < published.Published.Revision || published.Published.Revision == 0 {
				return fmt.Errorf("%v serves, not %v", serving, published.Published.Revision)
			}
			return err
		})
	}
	publish(0)
	load := harness.StartLoad(t, 300, []string{agent.Proxy + "/x"})
	// The least of many looks: what waits for the next collection counts for nothing.
	before, after := math.Inf(1), math.Inf(1)
	for i := 1; i <= revisions; i++ {
		publish(i)
		now, err := metric(agent.Ops, "go_memstats_heap_alloc_bytes")
		switch {
		case err != nil:
			t.Fatal(err)
		case i <= revisions/3:
			before = min(before, now)
		case i > revisions*2/3:
			after = min(after, now)
		}
	}
	t.Logf("%d revisions: %s; the least heap was %.1f MiB in the first third of them and %.1f MiB in the last", revisions, load.Describe(), before/mebibyte, after/mebibyte)
	only200(t, "while revisions changed", load)
	if after > before*1.5+4*mebibyte {
		t.Errorf("the heap grew from %.1f to %.1f MiB", before/mebibyte, after/mebibyte)
	}
}
