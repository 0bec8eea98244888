package snapshot

import (
	"errors"
	"strings"
	"testing"

	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// shop is a configuration with something of everything that can be decided.
func shop(t testing.TB) resources {
	items := route("orders", "/items/**")
	items.Service, items.Backends = "", []*configv1.Backend{{Service: "orders", Weight: 1}, {Service: "next", Weight: 1}}
	old := route("", "/old")
	old.Redirect = &configv1.Redirect{Path: "/orders", Status: 308}
	get := route("orders", "/orders/{id}")
	get.Match.Methods, get.Match.Hosts = []string{"GET"}, []string{"api.example.com"}
	get.Match.Query = []*configv1.Condition{{Name: "full", Test: &configv1.Condition_Present{Present: true}}}
	return resources{
		"services/orders": serviceAt("http://o"), "services/next": serviceAt("http://n"),
		"routes/get": get, "routes/items": items, "routes/old": old, "routes/limited": route("orders", "/limited"),
		"plugins/auth":  &configv1.Plugin{Type: "key-auth", Scope: &configv1.Scope{Route: "get"}},
		"plugins/limit": &configv1.Plugin{Type: "rate-limit", Scope: &configv1.Scope{Route: "limited"}, Config: config(t, map[string]any{"requests": 1, "per": "1h"})},
	}
}

func TestConfigTests(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name    string
		request *configv1.TestRequest
		expect  *configv1.TestExpectation
		// wrong is what must be said; empty: the test passes.
		wrong string
	}{
		{"a route", ask("https://api.example.com/orders/1?full"), &configv1.TestExpectation{Route: "get", Reason: "key_missing", Status: 401}, ""},
		{"a caller", &configv1.TestRequest{Url: "https://api.example.com/orders/1?full", Consumer: "acme"}, &configv1.TestExpectation{Reason: "none", Service: "orders"}, ""},
		{"another query", ask("https://api.example.com/orders/1"), &configv1.TestExpectation{Reason: "no_route", Status: 404}, ""},
		{"another method", &configv1.TestRequest{Method: "POST", Url: "https://api.example.com/orders/1?full=1"}, &configv1.TestExpectation{Status: 405}, ""},
		{"one of two services", ask("/items/7"), &configv1.TestExpectation{Service: "next"}, ""},
		{"a redirect", ask("/old"), &configv1.TestExpectation{Route: "old", Status: 308, Reason: "none"}, ""},
		{"a limit that is free", ask("/limited"), &configv1.TestExpectation{Reason: "none"}, ""},
		{"a path that climbs", ask("/../../etc/passwd"), &configv1.TestExpectation{Reason: "bad_request", Status: 400}, ""},
		{"another route than said", ask("/limited"), &configv1.TestExpectation{Route: "get"}, `expect.route: the route is "limited", not "get"`},
		{"no route at all", ask("/nowhere"), &configv1.TestExpectation{Route: "get"}, `expect.route: the route is none, not "get"`},
		{"another service", ask("/items/7"), &configv1.TestExpectation{Service: "third"}, `expect.service: "next or orders" answers, not "third"`},
		{"another status", ask("/limited"), &configv1.TestExpectation{Status: 301}, "expect.status: the gateway does not answer by itself, not 301"},
		{"another reason", ask("https://api.example.com/orders/1?full"), &configv1.TestExpectation{Reason: "none"}, `expect.reason: the reason is "key_missing", not "none"`},
	} {
		t.Run(each.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			all := shop(t)
			all["tests/it"] = &configv1.Test{Request: each.request, Expect: each.expect}
			s := b.must(b.change(revision.NewContent(), all), nil)
			defer s.Release()
			for range 3 { // asking uses nothing up
				err := s.Test()
				if each.wrong == "" {
					if err != nil {
						t.Fatal(err)
					}
					continue
				}
				var failed *Error
				if !errors.As(err, &failed) || len(failed.Errors) != 1 || failed.Errors[0].Code != CodeTest || !strings.Contains(failed.Errors[0].String(), "tests/it, "+each.wrong) {
					t.Fatalf("error %v, want %q", err, each.wrong)
				}
			}
		})
	}
}

func ask(url string) *configv1.TestRequest { return &configv1.TestRequest{Url: url} }

func TestATestThatIsGoneIsNotAsked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	all := shop(t)
	all["tests/wrong"] = &configv1.Test{Request: ask("/limited"), Expect: &configv1.TestExpectation{Route: "get"}}
	content := b.change(revision.NewContent(), all)
	first := b.must(content, nil)
	defer first.Release()
	if first.Test() == nil {
		t.Fatal("the test passes")
	}
	second := b.must(b.change(content, resources{"tests/wrong": nil}), first)
	defer second.Release()
	if err := second.Test(); err != nil {
		t.Error(err)
	}
}
