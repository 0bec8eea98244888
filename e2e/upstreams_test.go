package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// blackHole takes connections and never answers; the kernel takes them, nobody else does.
func blackHole(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return "http://" + listener.Addr().String()
}

// An upstream that fails everything gets at most 1.1 times the load, and a black hole among three targets costs less than one
// request in a hundred after two seconds.
func TestUpstreamsThatFail(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	one, two, broken := harness.NewUpstream(t, "one"), harness.NewUpstream(t, "two"), harness.NewUpstream(t, "broken")
	broken.Answer(http.StatusServiceUnavailable)
	s.Apply(fmt.Sprintf(`
fleet: default
services:
  - name: holed
    targets: [{url: %q}, {url: %q}, {url: %q}]
    retries: {per_try: 1s}
    health_check: {path: /healthz, interval: 500ms, timeout: 1s}
  - name: broken
    url: %q
    retries: {attempts: 5, on: ["503"]}
routes:
  - {name: holed, service: holed, match: {paths: ["/holed/**"]}}
  - {name: broken, service: broken, match: {paths: ["/broken/**"]}}
`, one.URL, blackHole(t), two.URL, broken.URL))
	proxy := s.Ready.Agents[0].Proxy

	// Requests find the black hole, at a price.
	found := time.NewTimer(2 * time.Second)
	var group sync.WaitGroup
	for range 12 {
		group.Go(func() { _, _ = harness.Get(t.Context(), proxy+"/holed/x") })
	}

	const requests = 500
	for range requests {
		if r := mustGet(t, proxy+"/broken/x"); r.Status != http.StatusServiceUnavailable {
			t.Fatalf("%d %s", r.Status, r.Body)
		}
	}
	if n := broken.Requests.Load(); n > requests*11/10+10 || n <= requests {
		t.Errorf("the broken upstream got %d requests of %d", n, requests)
	}
	sent := broken.Requests.Load()
	if r, err := harness.Send(t.Context(), http.MethodPost, proxy+"/broken/x", "pay"); err != nil || r.Status != http.StatusServiceUnavailable {
		t.Errorf("%d, %v", r.Status, err)
	}
	if n := broken.Requests.Load() - sent; n != 1 {
		t.Errorf("a POST was sent %d times", n)
	}

	<-found.C
	failed := 0
	for range 300 {
		if r := mustGet(t, proxy+"/holed/x"); r.Status != http.StatusOK {
			failed++
		}
	}
	group.Wait()
	if failed > 2 {
		t.Errorf("%d of 300 requests failed", failed)
	}
}
