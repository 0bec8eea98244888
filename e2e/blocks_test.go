package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// Whoever is blocked is refused at once, whatever becomes of revisions and of the control plane, until the block is lifted.
func TestWhoIsBlockedIsRefused(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/upgrade"):
			converse(w)
		case strings.HasSuffix(r.URL.Path, "/events"):
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: 1\n\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}))
	t.Cleanup(web.Close)
	// The test says whose address it has, as a trusted proxy.
	agent := s.StartAgent(t, "edge", "--trusted-proxies", "127.0.0.1/32")
	publish := func(idle string) {
		s.Apply(fmt.Sprintf(`
fleet: edge
services:
  - {name: web, url: %q, timeouts: {idle: %s}}
routes:
  - {name: open, service: web, match: {paths: ["/open/**"]}}
  - {name: guarded, service: web, match: {paths: ["/guarded/**"]}}
plugins:
  - {name: auth, type: key-auth, scope: {route: guarded}}
consumers:
  - {name: acme}
`, web.URL, idle), "--strategy", "immediate")
	}
	publish("10m")
	var key createdKey
	s.Admin(http.MethodPost, "/v1/fleets/edge/consumers/acme/keys", map[string]any{}, &key)
	guarded := []string{"X-Forwarded-For: 198.51.100.1", "X-Api-Key: " + key.Secret}
	becomes := func(path string, status int, reason string, headers ...string) {
		t.Helper()
		began := time.Now()
		harness.Eventually(t, 20*time.Second, path+" is answered otherwise", func() error {
			if r := mustGet(t, agent.Proxy+path, headers...); r.Status != status || r.Reason() != reason {
				return fmt.Errorf("%d %q", r.Status, r.Reason())
			}
			return nil
		})
		t.Logf("%s: %d %s after %s", path, status, reason, time.Since(began).Round(time.Millisecond))
	}
	becomes("/open/1", 200, "", "X-Forwarded-For: 203.0.113.9")
	becomes("/guarded/1", 200, "", guarded...)
	events := openEvents(t, agent.Proxy+"/open/events", "203.0.113.7")
	tunnel := openTunnel(t, agent.Proxy, "/guarded/upgrade", guarded...)

	// Addresses: at once, with those alone, and with what they hold open.
	s.MustCLI("--fleet", "edge", "block", "add", "scraper", "203.0.113.0/24", "--reason", "scrapes prices")
	becomes("/open/1", 403, "blocked", "X-Forwarded-For: 203.0.113.9")
	becomes("/open/1", 200, "", "X-Forwarded-For: 203.0.114.9")
	if _, err := io.ReadAll(events); err == nil {
		t.Error("the events of a blocked address ended as if they were whole")
	}
	if r := mustGet(t, agent.Ops+"/metrics"); !contains(r.Body, `reason="blocked"`) {
		t.Error("what is blocked is not counted")
	}

	// A consumer: with all of its keys and what it holds open.
	s.MustCLI("--fleet", "edge", "block", "add", "unpaid", "--consumer", "acme", "--reason", "has not paid")
	becomes("/guarded/1", 403, "blocked", guarded...)
	if rest, err := io.ReadAll(tunnel); len(rest) > 0 {
		t.Errorf("the tunnel of a blocked consumer: %q, %v", rest, err)
	}

	// Nothing that happens to revisions lifts it, nor a start on the disk alone.
	publish("11m")
	s.MustCLI("--fleet", "edge", "rollback")
	s.Kill("tidegate-controlplane", syscall.SIGSTOP)
	agent.Restart()
	harness.Eventually(t, 20*time.Second, "the agent serves from its disk", func() error {
		r, err := harness.Get(t.Context(), agent.Proxy+"/open/1", "X-Forwarded-For: 203.0.114.9")
		if err == nil && r.Status != http.StatusOK {
			err = fmt.Errorf("%d %s", r.Status, r.Reason())
		}
		return err
	})
	becomes("/open/1", 403, "blocked", "X-Forwarded-For: 203.0.113.9")
	becomes("/guarded/1", 403, "blocked", guarded...)
	s.Kill("tidegate-controlplane", syscall.SIGCONT)

	// Until it is lifted, by somebody or by its time.
	s.MustCLI("--fleet", "edge", "block", "remove", "unpaid")
	becomes("/guarded/1", 200, "", guarded...)
	s.MustCLI("--fleet", "edge", "delete", "block", "scraper")
	s.MustCLI("--fleet", "edge", "block", "add", "short", "203.0.113.9", "--reason", "try", "--expires-in", "5s")
	becomes("/open/1", 403, "blocked", "X-Forwarded-For: 203.0.113.9")
	becomes("/open/1", 200, "", "X-Forwarded-For: 203.0.113.9")

	// Everybody is not blocked by mistake.
	if _, code := s.CLI("--fleet", "edge", "block", "add", "oops", "0.0.0.0/0", "--reason", "mistake"); code == 0 {
		t.Error("everybody was blocked without a word")
	}
	if list := s.MustCLI("--fleet", "edge", "block", "list", "-o", "json"); strings.Contains(list, "oops") {
		t.Errorf("blocks: %s", list)
	}
}

// openEvents asks for a stream of events from an address, and waits for the first.
func openEvents(t *testing.T, url, address string) io.Reader {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("X-Forwarded-For", address)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	lines := bufio.NewReader(response.Body)
	if line, err := lines.ReadString('\n'); line != "data: 1\n" {
		t.Fatalf("%d, the first event: %q, %v", response.StatusCode, line, err)
	}
	return lines
}

// openTunnel switches to the protocol of converse.
func openTunnel(t *testing.T, proxy, path string, headers ...string) io.Reader {
	t.Helper()
	connection, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(proxy, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	_ = connection.SetDeadline(time.Now().Add(time.Minute))
	_, _ = fmt.Fprintf(connection, "GET %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: conversation\r\n%s\r\n\r\n",
		path, strings.Join(headers, "\r\n"))
	reader := bufio.NewReader(connection)
	switched, err := http.ReadResponse(reader, nil)
	if err != nil || switched.StatusCode != http.StatusSwitchingProtocols {
		t.Fatal(switched, err)
	}
	_ = switched.Body.Close()
	return reader
}
