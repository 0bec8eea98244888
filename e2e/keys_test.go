package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

const guarded = `
plugins:
  - {name: orders-auth, type: key-auth, scope: {route: orders}}
  - {name: orders-limit, type: rate-limit, scope: {route: orders}, config: {requests: 5, per: 1h, by: consumer}}
plans:
  - {name: gold, limits: [{requests: 10000, per: 1h}]}
consumers:
  - {name: acme, plan: gold}
  - {name: globex, plan: gold}
`

type createdKey struct {
	Key struct {
		ID string `json:"id"`
	} `json:"key"`
	Secret string `json:"secret"`
}

func createKey(t *testing.T, s *harness.Stack, consumer string) createdKey {
	t.Helper()
	var key createdKey
	r := s.Admin(http.MethodPost, "/v1/fleets/default/consumers/"+consumer+"/keys", map[string]any{}, &key)
	if r.Status != http.StatusOK || !strings.HasPrefix(key.Secret, "tg_") || len(key.Secret) != 52 {
		t.Fatalf("making a key: %d, a secret of %d characters", r.Status, len(key.Secret))
	}
	return key
}

func TestARevokedKeyIsRefusedEverywhereWithinASecond(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{})
	upstream := harness.NewUpstream(t, "orders")
	s.Apply(ordersAt(upstream.URL) + guarded)
	urls := s.Proxies("/orders/7")

	// Without a key, and with rubbish, nobody passes.
	for name, headers := range map[string][]string{"key_missing": nil, "key_invalid": {"X-Api-Key: tg_nonsense"}} {
		if r := mustGet(t, urls[0], headers...); r.Status != http.StatusUnauthorized || r.Reason() != name {
			t.Errorf("%s: %d, reason %q", name, r.Status, r.Reason())
		}
	}
	key := createKey(t, s, "acme")
	for _, url := range urls {
		harness.Eventually(t, time.Second, "the new key works", func() error {
			if r := mustGet(t, url, "X-Api-Key: "+key.Secret); r.Status != http.StatusOK {
				return fmt.Errorf("%s: %d %s", url, r.Status, r.Reason())
			}
			return nil
		})
	}

	revoked := time.Now()
	s.MustCLI("key", "revoke", "acme", key.Key.ID)
	for _, url := range urls {
		harness.Eventually(t, time.Second, "the revoked key is refused", func() error {
			if r := mustGet(t, url, "X-Api-Key: "+key.Secret); r.Status != http.StatusUnauthorized || r.Reason() != "key_invalid" {
				return fmt.Errorf("%s: %d %s", url, r.Status, r.Reason())
			}
			return nil
		})
	}
	t.Logf("revoked and refused on all agents in %s, the CLI included", time.Since(revoked).Round(time.Millisecond))
	secretStaysSecret(t, s, key.Secret)
}

func TestALimitRefusesWithAWordOnWhenToComeBack(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	upstream := harness.NewUpstream(t, "orders")
	s.Apply(ordersAt(upstream.URL) + guarded)
	url := s.Ready.Agents[0].Proxy + "/orders/7"
	acme, globex := createKey(t, s, "acme"), createKey(t, s, "globex")
	harness.Eventually(t, 2*time.Second, "the key works", func() error {
		if r := mustGet(t, url, "Authorization: Bearer "+globex.Secret); r.Status != http.StatusOK {
			return fmt.Errorf("%d %s", r.Status, r.Reason())
		}
		return nil
	})
	passed := 0
	for range 10 {
		r := mustGet(t, url, "X-Api-Key: "+acme.Secret)
		switch r.Status {
		case http.StatusOK:
			passed++
			if r.Header.Get("RateLimit") == "" || r.Header.Get("RateLimit-Policy") == "" {
				t.Errorf("an admitted request carries no RateLimit headers: %v", r.Header)
			}
		case http.StatusTooManyRequests:
			if r.Reason() != "rate_limited" || r.Header.Get("Retry-After") == "" {
				t.Errorf("a refusal: reason %q, Retry-After %q", r.Reason(), r.Header.Get("Retry-After"))
			}
		default:
			t.Errorf("%d %s", r.Status, r.Body)
		}
	}
	if passed != 5 {
		t.Errorf("%d of 10 passed a limit of 5", passed)
	}
	// Another consumer has a bucket of its own.
	if r := mustGet(t, url, "X-Api-Key: "+globex.Secret); r.Status != http.StatusOK {
		t.Errorf("another consumer: %d %s", r.Status, r.Reason())
	}
}

// secretStaysSecret looks for a key in everything that the stack wrote, in its database, and in the lists of processes.
func secretStaysSecret(t *testing.T, s *harness.Stack, secret string) {
	t.Helper()
	for _, dir := range []string{s.Dir()} {
		_ = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !entry.Type().IsRegular() {
				return nil //nolint:nilerr // a file that went away holds nothing
			}
			if text, err := os.ReadFile(path); err == nil && strings.Contains(string(text), secret) {
				t.Errorf("the key stands in %s", path)
			}
			return nil
		})
	}
	if out, err := exec.CommandContext(t.Context(), "ps", "axww", "-o", "args").Output(); err == nil && strings.Contains(string(out), secret) {
		t.Error("the key stands in a process list")
	}
	var keys json.RawMessage
	if r := s.Admin(http.MethodGet, "/v1/fleets/default/consumers/acme/keys", nil, &keys); strings.Contains(r.Body, secret) {
		t.Error("the key stands in the list of keys")
	}
}
