package config

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func FuzzListOptions(f *testing.F) {
	f.Add("name:orders AND labels.team=x", "cm91dGVzAG9yZGVycw", 10)
	f.Add("state=open", "", 0)
	f.Add(" AND ", "!", -1)
	f.Fuzz(func(t *testing.T, filter, token string, size int) {
		options := ListOptions{Filter: filter, PageToken: token, PageSize: size}
		page, err := options.page("routes")
		if err != nil {
			return
		}
		if page.size < 1 || page.size > maxPageSize {
			t.Errorf("a page of %d", page.size)
		}
		if read, err := options.resourceFilter(page); err == nil && read.Limit != page.size+1 {
			t.Errorf("a limit of %d", read.Limit)
		}
		_, next := cut(make([]string, page.size+1), page, func(string) string { return "last" })
		again, err := (ListOptions{PageToken: next}).page("routes")
		if err != nil || again.after != "last" {
			t.Errorf("the next page begins at %q, %v", again.after, err)
		}
	})
}

func FuzzParseChain(f *testing.F) {
	f.Add("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	f.Add("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if chain, err := parseChain(text); err == nil && len(chain) == 0 {
			t.Error("no certificate and no error")
		}
		if _, err := parsePrivateKey([]byte(text)); err != nil && len(err.Error()) > 200 {
			t.Error("the error quotes what was given")
		}
	})
}

func FuzzRouteRule(f *testing.F) {
	f.Add("api.example.com", "/orders/{id}/**", "GET")
	f.Add("*.example.com", "~^/v[12]/", "get it")
	f.Fuzz(func(t *testing.T, host, path, method string) {
		route := &configv1.Route{Match: &configv1.Match{Hosts: []string{host}, Paths: []string{path}, Methods: []string{method}}}
		rule, violations := store.RouteRule("r", route)
		if len(violations) == 0 && (len(rule.Paths) != 1 || len(rule.Hosts) != 1) {
			t.Errorf("no violation, and the rule is %+v", rule)
		}
	})
}

// Fields that are carried over are those of the given resource, whatever the mask.
func FuzzMergeFields(f *testing.F) {
	for _, seed := range []string{"spec", "*", "labels.team", "spec.match.paths", "spec.match.", ".", "spec.timeouts.idle", "spec.service.x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		present := present{spec: &configv1.Route{Service: "a", Match: &configv1.Match{Paths: []string{"/a"}}}, labels: map[string]string{"team": "x"}}
		given := Resource{Kind: configv1.Kind_KIND_ROUTE, Name: "r", Spec: &configv1.Route{Service: "b", Priority: 3}}
		before := proto.Clone(present.spec)
		if merged, err := mergeFields(present, given, []string{path}); err == nil && merged.Name != "r" {
			t.Errorf("merged into %q", merged.Name)
		}
		if !proto.Equal(before, present.spec) || present.labels["team"] != "x" {
			t.Error("what is present was changed")
		}
	})
}
