package config_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"tidegate.dev/controlplane/config"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// taken is the route that a request takes, and the plugins of it.
func taken(t *testing.T, b *bench, view, url string) (route string, plugins []string) {
	t.Helper()
	explained, err := b.Explain(t.Context(), fleet, view, config.Asked{Method: "GET", URL: url})
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	for _, plugin := range explained.Plugins {
		plugins = append(plugins, plugin.Name)
	}
	return explained.Route, plugins
}

// Whatever form a pattern has, and whatever else there is, the route that takes a request is found.
func TestExplainFindsEveryFormOfPattern(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	texts := []string{ordersService}
	for name, match := range map[string]string{
		"exact":     `"paths":["/orders"]`,
		"parameter": `"paths":["/orders/{id}"]`,
		"rest":      `"paths":["/orders/{id}/items/**"]`,
		"deep":      `"paths":["/a/b/c/d/**"]`,
		"star":      `"paths":["/%2A/x"]`,
		"first":     `"paths":["/{tenant}/reports"]`,
		"regex":     `"paths":["~^/v[12]/x(%20y| y)$"]`,
		"slash":     `"paths":["/end/"]`,
		"root":      `"paths":["/"]`,
		"host":      `"hosts":["api.example.com"],"paths":["/orders"]`,
		"wildcard":  `"hosts":["*.example.com"],"paths":["/only-there/**"]`,
		"everybody": `"hosts":["all.example.org"],"paths":["/**"]`,
	} {
		texts = append(texts, fmt.Sprintf(`routes/%s {"service":"orders","match":{%s}}`, name, match))
	}
	b.apply(texts...)
	for url, want := range map[string]string{
		"https://x/orders": "exact", "https://x/orders/7": "parameter", "https://x/orders/7/items": "rest",
		"https://x/orders/7/items/8/9": "rest", "https://x/a/b/c/d": "deep", "https://x/a/b/c/d/e/f": "deep", "https://x/*/x": "star",
		"https://x/acme/reports": "first", "https://x/v1/x%20y": "regex", "https://x/end/": "slash", "https://x/end": "", "https://x/": "root",
		"https://api.example.com:8443/orders": "host", "https://a.b.example.com/only-there/1": "wildcard", "https://x/only-there/1": "",
		"/only-there/1": "wildcard", "https://all.example.org/whatever": "everybody", "https://x/nothing": "",
	} {
		if got, _ := taken(t, b, "", url); got != want {
			t.Errorf("%s takes %q, want %q", url, got, want)
		}
	}
	explained, err := b.Explain(t.Context(), fleet, "", config.Asked{Method: "GET", URL: "https://x/onl"})
	if err != nil || !slices.ContainsFunc(explained.Others, func(o config.ExplainedRoute) bool { return o.Name == "wildcard" }) {
		t.Errorf("what is near: %+v, %v", explained.Others, err)
	}
}

func TestExplainFindsThePluginsThatBear(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.apply(ordersService, `services/other {"url":"http://127.0.0.1:2"}`,
		`routes/a {"service":"orders","match":{"paths":["/a"]}}`, `routes/b {"service":"other","match":{"paths":["/b"]}}`,
		`plugins/everywhere {"type":"header-transform","config":{}}`,
		`plugins/on-a {"type":"key-auth","scope":{"route":"a"}}`,
		`plugins/on-b {"type":"key-auth","scope":{"route":"b"}}`,
		`plugins/on-orders {"type":"rate-limit","scope":{"service":"orders"},"config":{"requests":1,"per":"1h"}}`,
		`plugins/on-other {"type":"rate-limit","scope":{"service":"other"},"config":{"requests":1,"per":"1h"}}`,
	)
	for url, want := range map[string]string{"/a": "everywhere on-a on-orders", "/b": "everywhere on-b on-other"} {
		_, plugins := taken(t, b, "", url)
		slices.Sort(plugins)
		if got := strings.Join(plugins, " "); got != want {
			t.Errorf("%s: %s, want %s", url, got, want)
		}
	}
}

// What is not stable yet is not in the view of what is.
func TestExplainOfWhatHasProvedItself(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.apply(ordersService, `routes/a {"service":"orders","match":{"paths":["/a"]}}`, `routes/gone {"service":"orders","match":{"paths":["/gone"]}}`)
	b.serve(first.Published.Revision)
	b.apply(`routes/a {"service":"orders","match":{"paths":["/moved"]}}`, `routes/new {"service":"orders","match":{"paths":["/new"]}}`)
	if _, err := b.Delete(t.Context(), actor, fleet, configv1.Kind_KIND_ROUTE, "gone", config.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	want := map[string][2]string{"/a": {"", "a"}, "/moved": {"a", ""}, "/new": {"new", ""}, "/gone": {"", "gone"}}
	for _, url := range slices.Sorted(maps.Keys(want)) {
		for i, view := range []string{"", "stable"} {
			if got, _ := taken(t, b, view, url); got != want[url][i] {
				t.Errorf("view %q: %s takes %q, want %q", view, url, got, want[url][i])
			}
		}
	}
}

// BenchmarkExplain asks about one request among so many routes, each with a plugin of its own.
func BenchmarkExplain(b *testing.B) {
	for _, routes := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprint(routes), func(b *testing.B) {
			bench := newBench(b)
			bench.apply(ordersService)
			for from := 0; from < routes; from += 10_000 {
				bench.applyRoutes(from, min(from+10_000, routes))
			}
			for _, url := range []string{"https://shop.example.com/api/v1/r77/42", "/api/v1/nothing"} {
				b.Run(url, func(b *testing.B) {
					for b.Loop() {
						if _, err := bench.Explain(b.Context(), fleet, "", config.Asked{Method: "GET", URL: url}); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		})
	}
}

func (b *bench) applyRoutes(from, to int) {
	b.t.Helper()
	var resources []config.Resource
	for i := from; i < to; i++ {
		resources = append(resources,
			config.Resource{Kind: configv1.Kind_KIND_ROUTE, Name: fmt.Sprint("r", i), Spec: &configv1.Route{
				Service: "orders", Match: &configv1.Match{Paths: []string{fmt.Sprintf("/api/v1/r%d/{id}", i)}},
			}},
			config.Resource{Kind: configv1.Kind_KIND_PLUGIN, Name: fmt.Sprint("p", i), Spec: &configv1.Plugin{
				Type: "key-auth", Scope: &configv1.Scope{Route: fmt.Sprint("r", i)},
			}})
	}
	if _, err := b.Apply(b.t.Context(), actor, fleet, config.ApplyOptions{Resources: resources}); err != nil {
		b.t.Fatal(err)
	}
}
