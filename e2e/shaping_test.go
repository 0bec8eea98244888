package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// Requests are copied, delayed, refused and bounded as their routes say, and explain says so too.
func TestTrafficIsShaped(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	main := harness.NewUpstream(t, "main")
	var mu sync.Mutex
	var copies []string
	shadow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		copies = append(copies, fmt.Sprint(r.Method, " ", r.URL.Path, " ", string(body), " ", r.Header.Get("X-Tidegate-Mirror")))
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(shadow.Close)
	s.Apply(fmt.Sprintf(`
fleet: default
services:
  - {name: main, url: %q}
  - {name: shadow, url: %q}
routes:
  - {name: mirrored, service: main, match: {paths: ["/mirrored/**"]}, mirror: {service: shadow}}
  - {name: slow, service: main, match: {paths: ["/slow"]}, fault: {delay: {duration: 400ms}}}
  - {name: broken, service: main, match: {paths: ["/broken"]}, fault: {abort: {status: 418}, header: x-chaos}}
  - {name: small, service: main, match: {paths: ["/small"]}, max_request_bytes: 1000, criticality: sheddable}
`, main.URL, shadow.URL))
	proxy := s.Ready.Agents[0].Proxy

	for range 10 {
		if r, err := harness.Send(t.Context(), http.MethodPost, proxy+"/mirrored/a", "body"); err != nil || r.Status != http.StatusOK || !strings.HasPrefix(r.Body, "main") {
			t.Fatalf("the mirror is noticed: %d %s %v", r.Status, r.Body, err)
		}
	}
	harness.Eventually(t, 5*time.Second, "the copies arrive", func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(copies) != 10 || copies[0] != "POST /mirrored/a body 1" {
			return fmt.Errorf("%d copies: %q", len(copies), copies)
		}
		return nil
	})

	began := time.Now()
	if r := mustGet(t, proxy+"/slow"); r.Status != http.StatusOK || time.Since(began) < 400*time.Millisecond {
		t.Errorf("a delay: %d after %v", r.Status, time.Since(began))
	}
	asked := main.Requests.Load()
	if r := mustGet(t, proxy+"/broken", "x-chaos: 1"); r.Status != http.StatusTeapot || r.Reason() != "fault_injected" {
		t.Errorf("a fault: %d %q", r.Status, r.Reason())
	}
	if r, err := harness.Send(t.Context(), http.MethodPost, proxy+"/small", strings.Repeat("x", 1001)); err != nil || r.Status != http.StatusRequestEntityTooLarge || r.Reason() != "payload_too_large" {
		t.Errorf("too long a body: %d %q %v", r.Status, r.Reason(), err)
	}
	if n := main.Requests.Load(); n != asked {
		t.Errorf("the service was asked %d times for what never goes to it", n-asked)
	}
	if r := mustGet(t, proxy+"/broken"); r.Status != http.StatusOK {
		t.Errorf("a fault that was not asked for: %d", r.Status)
	}
	if r, err := harness.Send(t.Context(), http.MethodPost, proxy+"/small", strings.Repeat("x", 1000)); err != nil || r.Status != http.StatusOK {
		t.Errorf("a body as long as may be: %d %v", r.Status, err)
	}

	for path, want := range map[string]string{
		"/mirrored/a": "copies 100 % of the requests to shadow", "/slow": "delays 100 % of the requests by 400ms",
		"/broken": "answers 100 % of the requests that carry x-chaos with 418", "/small": "refuses bodies of more than 1000 bytes",
	} {
		if out := s.MustCLI("explain", "GET", path); !contains(out, want) {
			t.Errorf("explain says of %s: %s", path, out)
		}
	}
	// What others are mirrored to cannot be deleted.
	if r := s.Admin(http.MethodDelete, "/v1/fleets/default/services/shadow", nil, nil); r.Status < 400 || r.Status >= 500 {
		t.Errorf("deleting a mirror's service: %d %s", r.Status, r.Body)
	}
}
