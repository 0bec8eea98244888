package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// mailbox takes posts, and fails the first of them.
type mailbox struct {
	mu     sync.Mutex
	failed bool
	posts  []map[string]any
}

// ServeHTTP implements http.Handler.
func (m *mailbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.failed {
		m.failed = true
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	var post map[string]any
	if json.Unmarshal(body, &post) == nil {
		m.posts = append(m.posts, post)
	}
}

func (m *mailbox) fields(name string) []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var values []string
	for _, post := range m.posts {
		values = append(values, fmt.Sprint(post[name]))
	}
	return values
}

func TestOthersAreToldWhatHappensToRollouts(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	good := harness.NewUpstream(t, "good")
	s.Apply(ordersAt(good.URL))
	events, chat := &mailbox{}, &mailbox{}
	first, second := httptest.NewServer(events), httptest.NewServer(chat)
	t.Cleanup(first.Close)
	t.Cleanup(second.Close)
	policy := fmt.Sprintf(`{"notifications":[{"name":"events","url":"%s/hook?token=abc"},{"name":"chat","url":"%s","format":"slack","events":["completed"]}]}`, first.URL, second.URL)
	answers(t, s, http.StatusOK, "PUT", "/v1/fleets/default/policy", jsonText(policy), "token=abc")
	viewer := s.Admin("GET", "/v1/fleets/default", nil, nil, "Authorization: "+colleague(t, s, "vera", "viewer"))
	if strings.Contains(viewer.Body, "abc") || !strings.Contains(viewer.Body, "/…") {
		t.Errorf("a viewer sees %s, want the host of the notification and no more", viewer.Body)
	}
	s.Apply(ordersAt(good.URL)+"  - {name: r, service: orders, match: {paths: [/r]}}\n", "--strategy", "immediate")
	harness.Eventually(t, 30*time.Second, "both are told", func() error {
		types := events.fields("type")
		if !slices.Contains(types, "started") || !slices.Contains(types, "completed") || len(chat.fields("text")) == 0 {
			return fmt.Errorf("told %q and %q", types, chat.fields("text"))
		}
		return nil
	})
	if ids := events.fields("id"); !slices.IsSortedFunc(ids, func(a, b string) int { return len(a) - len(b) }) {
		t.Errorf("the events came in the order %v", ids)
	}
	if text := chat.fields("text")[0]; !strings.Contains(text, "default: rollout") || !strings.Contains(text, "completed") {
		t.Errorf("the chat reads %q", text)
	}
}
