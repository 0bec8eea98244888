package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// operation is one operation of GitHub's API, as its description tells it.
type operation struct {
	id, method, path string
}

// githubOperations reads GitHub's own description, apart from what `tidegate import` makes of it.
func githubOperations(t *testing.T, file string) []operation {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("reading GitHub's description (`make test` fetches it): %v", err)
	}
	var description struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(text, &description); err != nil {
		t.Fatalf("decoding GitHub's description: %v", err)
	}
	var all []operation
	for path, item := range description.Paths {
		for method, raw := range item {
			var o struct {
				OperationID string `json:"operationId"`
			}
			if method == "parameters" || json.Unmarshal(raw, &o) != nil || o.OperationID == "" {
				continue
			}
			all = append(all, operation{id: o.OperationID, method: strings.ToUpper(method), path: path})
		}
	}
	return all
}

var parameter = regexp.MustCompile(`\{([^}]+)\}`)

// request is a path of the operation with every parameter filled in.
func (o operation) request() string {
	return parameter.ReplaceAllString(o.path, "some-$1")
}

var notInNames = regexp.MustCompile(`[^a-z0-9._-]+`)

// routeName is what the operation's route should be called.
func (o operation) routeName() string { return notInNames.ReplaceAllString(strings.ToLower(o.id), "-") }

func TestEveryOperationOfGitHubFindsItsRoute(t *testing.T) {
	t.Parallel()
	description := filepath.Join("..", ".tools", "github", "api.github.com.json")
	operations := githubOperations(t, description)
	if len(operations) < 1000 {
		t.Fatalf("%d operations, want over 1,000", len(operations))
	}
	s := harness.Start(t, harness.Options{Agents: 1})
	upstream := harness.NewUpstream(t, "github")
	file := filepath.Join(t.TempDir(), "github.yaml")
	s.MustCLI("import", "openapi", description, "--service", "github", "--url", upstream.URL, "--out", file)
	began := time.Now()
	s.MustCLI("apply", "-f", file)
	t.Logf("%d operations applied and serving in %s", len(operations), time.Since(began).Round(time.Millisecond))

	proxy := s.Ready.Agents[0].Proxy
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 8}, Timeout: 10 * time.Second}
	work := make(chan int)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for i := range work {
				o := operations[i]
				request, err := http.NewRequestWithContext(t.Context(), o.method, proxy+o.request(), nil)
				if err != nil {
					t.Errorf("%s: %v", o.id, err)
					continue
				}
				request.Header.Set("X-Request-Id", requestID(i))
				response, err := client.Do(request)
				if err != nil {
					t.Errorf("%s: %v", o.id, err)
					continue
				}
				_ = response.Body.Close()
				if response.StatusCode != http.StatusOK || response.Header.Get("X-Upstream") != "github" {
					t.Errorf("%s: %s %s: %d %s", o.id, o.method, o.request(), response.StatusCode, response.Header.Get("X-Tidegate-Reason"))
				}
			}
		})
	}
	for i := range operations {
		work <- i
	}
	close(work)
	workers.Wait()

	// The access log says which route each request took.
	log := filepath.Join(s.Dir(), "logs", s.Ready.Agents[0].Name+".access.log")
	routes := map[string]string{}
	harness.Eventually(t, 10*time.Second, "the access log holds every request", func() error {
		text, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		routes = routesByRequest(text)
		if len(routes) < len(operations) {
			return fmt.Errorf("%d of %d", len(routes), len(operations))
		}
		return nil
	})
	for i, o := range operations {
		if got := routes[requestID(i)]; got != o.routeName() {
			t.Errorf("%s %s took route %q, want %q", o.method, o.request(), got, o.routeName())
		}
	}
}

func requestID(i int) string { return fmt.Sprintf("operation-%04d", i) }

// routesByRequest reads an access log: request id to route.
func routesByRequest(log []byte) map[string]string {
	routes := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(log))
	for lines.Scan() {
		var entry struct {
			RequestID string `json:"request_id"`
			Route     string `json:"route"`
		}
		if json.Unmarshal(lines.Bytes(), &entry) == nil && entry.RequestID != "" {
			routes[entry.RequestID] = entry.Route
		}
	}
	return routes
}
