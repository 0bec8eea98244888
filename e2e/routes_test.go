package e2e_test

import (
	"fmt"
	"net/http"
	"testing"

	"tidegate.dev/e2e/harness"
)

// A route with conditions takes some requests from one without, and a route with backends shares them, on every agent.
func TestRoutesWithConditionsAndBackends(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{})
	one, two := harness.NewUpstream(t, "one"), harness.NewUpstream(t, "two")
	s.Apply(fmt.Sprintf(`
fleet: default
services:
  - {name: one, url: %q}
  - {name: two, url: %q}
routes:
  - {name: plain, service: one, match: {paths: ["/orders/**"]}}
  - {name: canary, service: two, match: {paths: ["/orders/**"], headers: [{name: X-Canary, equals: "yes"}]}}
  - {name: versions, service: two, match: {paths: ["~/v[12]/orders"], query: [{name: "a b", absent: true}]}}
  - name: shared
    match: {paths: ["/shared"]}
    backends: [{service: one, weight: 1}, {service: two, weight: 0}]
    override: {header: x-backend}
  - name: sticky
    match: {paths: ["/sticky"]}
    backends: [{service: one, weight: 1}, {service: two, weight: 1}]
    sticky: {header: x-tenant}
`, one.URL, two.URL))
	for _, url := range s.Proxies("") {
		answersFrom(t, url+"/orders/7", "one")
		answersFrom(t, url+"/orders/7", "two", "x-canary: yes")
		answersFrom(t, url+"/v2/orders", "two")
		answersFrom(t, url+"/shared", "one")
		answersFrom(t, url+"/shared", "two", "x-backend: two")
		if r := mustGet(t, url+"/v2/orders?a+b"); r.Status != http.StatusNotFound || r.Reason() != "no_route" {
			t.Errorf("a condition that does not hold: %d %q", r.Status, r.Reason())
		}
	}
	// Who sticks, sticks on every agent.
	for tenant := range 10 {
		header := fmt.Sprint("x-tenant: ", tenant)
		first := mustGet(t, s.Ready.Agents[0].Proxy+"/sticky", header).Header.Get("X-Upstream")
		for _, url := range s.Proxies("/sticky") {
			answersFrom(t, url, first, header)
		}
	}
	if out := s.MustCLI("explain", "GET", "/orders/7", "--header", "x-canary=yes"); !contains(out, "canary") || !contains(out, `x-canary is "yes"`) {
		t.Errorf("explain says %s", out)
	}
	if out := s.MustCLI("explain", "GET", "/sticky"); !contains(out, "50 % of the requests") || !contains(out, "sticky by header x-tenant") {
		t.Errorf("explain says %s", out)
	}
	// Services that backends name cannot be deleted.
	if r := s.Admin(http.MethodDelete, "/v1/fleets/default/services/two", nil, nil); r.Status < 400 || r.Status >= 500 {
		t.Errorf("deleting a backend's service: %d %s", r.Status, r.Body)
	}
}
