package e2e_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"tidegate.dev/e2e/harness"
)

// jsonText is JSON that is sent as it stands.
func jsonText(text string) json.RawMessage { return json.RawMessage(text) }

func mustGet(t *testing.T, url string, headers ...string) harness.Response {
	t.Helper()
	r, err := harness.Get(t.Context(), url, headers...)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return r
}

// answersFrom checks that a GET is answered 200 by the upstream of that name.
func answersFrom(t *testing.T, url, upstream string, headers ...string) {
	t.Helper()
	r := mustGet(t, url, headers...)
	if r.Status != http.StatusOK || r.Header.Get("X-Upstream") != upstream {
		t.Errorf("GET %s: %d from %q (reason %q), want 200 from %q: %s", url, r.Status, r.Header.Get("X-Upstream"), r.Reason(), upstream, r.Body)
	}
}

// eventsOf is the messages of a rollout's events of one type.
func eventsOf(r harness.Rollout, kind string) []string {
	var out []string
	for _, e := range r.Events {
		if e.Type == kind {
			out = append(out, e.Message)
		}
	}
	return out
}

func contains(text, part string) bool { return strings.Contains(text, part) }
