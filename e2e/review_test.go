package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// colleague is a token of somebody else.
func colleague(t *testing.T, s *harness.Stack, name, role string) (header string) {
	t.Helper()
	var made struct {
		Secret string `json:"secret"`
	}
	if r := s.Admin(http.MethodPost, "/v1/tokens", map[string]string{"name": name, "role": role, "ttl": "1h"}, &made); r.Status != http.StatusOK || made.Secret == "" {
		t.Fatalf("making a token: %d %s", r.Status, r.Body)
	}
	return "Bearer " + made.Secret
}

// answeredBy says what is wrong unless the first agent's answer comes from that upstream.
func answeredBy(s *harness.Stack, upstream string) error {
	r, err := harness.Get(context.Background(), s.Proxies("/orders/7")[0])
	if err != nil {
		return err
	}
	if r.Status != http.StatusOK || !strings.Contains(r.Body, upstream) {
		return fmt.Errorf("answered %d %q", r.Status, r.Body)
	}
	return nil
}

// field is one field of the JSON document that an output begins with.
func field(t *testing.T, document, name string) string {
	t.Helper()
	var fields map[string]any
	if err := json.NewDecoder(strings.NewReader(document)).Decode(&fields); err != nil {
		t.Fatalf("%v: %s", err, document)
	}
	value, _ := fields[name].(string)
	return value
}

func TestARiskyChangeWaitsForAColleague(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	good, other := harness.NewUpstream(t, "good"), harness.NewUpstream(t, "other")
	s.Apply(ordersAt(good.URL))
	if out, code := s.CLIWithInput("approvals: {medium: 1, high: 1}\nmax_delete_percent: 30\n", "fleet", "policy", "-f", "-"); code != 0 || !strings.Contains(out, "medium 1") {
		t.Fatalf("setting the policy: %d %s", code, out)
	}
	refused, code := s.CLIWithInput(ordersAt(other.URL), "apply", "-f", "-")
	if code != 1 {
		t.Fatalf("a change without review: %d %s", code, refused)
	}
	out, code := s.CLIWithInput(ordersAt(other.URL), "apply", "-f", "-", "--draft", "-o", "json")
	if code != 0 {
		t.Fatalf("a draft: %d %s", code, out)
	}
	id := field(t, out, "id")
	path := changeSetsPath + "/" + id
	answers(t, s, http.StatusOK, "GET", path, nil, `"medium"`, "changes services/orders", `"approvals_required":1`)
	answers(t, s, http.StatusConflict, "POST", path+":publish", struct{}{}, "approval-required", "needs 1 approvals")
	answers(t, s, http.StatusForbidden, "POST", path+":approve", struct{}{}, "cannot approve")
	if r := s.Admin("POST", path+":approve", map[string]string{"comment": "fine"}, nil, "Authorization: "+colleague(t, s, "grace", "publisher")); r.Status != http.StatusOK {
		t.Fatalf("a colleague approves: %d %s", r.Status, r.Body)
	}
	s.MustCLI("publish", id, "--strategy", "immediate")
	harness.Eventually(t, 5*time.Second, "the other upstream answers", func() error { return answeredBy(s, "other") })

	// An emergency waits for nobody, but for administrators alone, and says why.
	publisher := colleague(t, s, "pat", "publisher")
	urgent := jsonText(`{"resources":[{"name":"orders","service":{"url":"` + good.URL + `"}}],"options":{"emergency":true,"reason":"orders are lost"}}`)
	if r := s.Admin("POST", "/v1/fleets/default:apply", urgent, nil, "Authorization: "+publisher); r.Status != http.StatusForbidden {
		t.Errorf("a publisher's emergency: %d %s", r.Status, r.Body)
	}
	answers(t, s, http.StatusOK, "POST", "/v1/fleets/default:apply", urgent, `"revision":3`)
	harness.Eventually(t, 5*time.Second, "the good upstream answers again", func() error { return answeredBy(s, "good") })
	answers(t, s, http.StatusOK, "GET", "/v1/fleets/default/revisions/3", nil, "orders are lost")
}

func TestARevisionCarriesItsTests(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	good := harness.NewUpstream(t, "good")
	s.Apply(ordersAt(good.URL) + `
tests:
  - name: orders-are-found
    request: {url: "/orders/1"}
    expect: {route: orders, service: orders, reason: none}
`)
	broken := strings.Replace(ordersAt(good.URL), "/orders/**", "/oders/**", 1)
	if broken == ordersAt(good.URL) {
		t.Fatal("the file has no such path")
	}
	out, code := s.CLIWithInput(broken, "apply", "-f", "-", "-o", "json")
	if code != 3 || !strings.Contains(out, "tests/orders-are-found") || !strings.Contains(out, "expect.route") {
		t.Fatalf("a revision that breaks its test: %d %s, want that the agent refuses it and names the test", code, out)
	}
	if err := answeredBy(s, "good"); err != nil {
		t.Errorf("after it: %v", err)
	}
}
