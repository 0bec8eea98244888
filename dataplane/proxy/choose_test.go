package proxy

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// split is two services behind one route, a quarter of its requests for the second.
func split(one, two string, change func(*configv1.Route)) resources {
	r := &configv1.Route{
		Match:    &configv1.Match{Paths: []string{"/**"}},
		Backends: []*configv1.Backend{{Service: "one", Weight: 3}, {Service: "two", Weight: 1}, {Service: "dark"}},
	}
	if change != nil {
		change(r)
	}
	return resources{
		"services/one": service(one), "services/two": service(two), "services/dark": service(two + "/dark"), "routes/all": r,
	}
}

// within tells whether hits of n tries are what a share of a quarter gives, at five standard deviations.
func within(hits, n int) bool {
	return math.Abs(float64(hits)-float64(n)/4) < 5*math.Sqrt(float64(n)*3/16)
}

func TestBackendsShareRequestsByWeight(t *testing.T) {
	t.Parallel()
	one, two := server(t, echo("one")), server(t, echo("two"))
	r := newRig(t, nil)
	r.serve(split(one.URL, two.URL, nil))
	const n = 800
	hits := 0
	for range n {
		e := r.get("/x", "X-Backend", "dark", "Cookie", "backend=dark; stick=1").echoed(t)
		if e.Name == "two" {
			hits++
		}
		if e.Target != "/x" {
			t.Fatal("a backend without a weight answered, though nobody may ask for it")
		}
	}
	if !within(hits, n) {
		t.Errorf("%d of %d requests went to a quarter", hits, n)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if log := r.log.text(); strings.Count(log, `"service":"two"`) != hits || strings.Count(log, `"service":"one"`) != n-hits {
		t.Error("the access log says otherwise")
	}
}

func TestStickyRequestsStayOnOneBackend(t *testing.T) {
	t.Parallel()
	one, two := server(t, echo("one")), server(t, echo("two"))
	header := newRig(t, nil)
	header.serve(split(one.URL, two.URL, func(r *configv1.Route) {
		r.Sticky = &configv1.Sticky{By: &configv1.Sticky_Header{Header: "x-tenant"}}
	}))
	const n = 400
	hits := 0
	for i := range n {
		name := header.get("/x", "X-Tenant", fmt.Sprint("tenant ", i)).echoed(t).Name
		if again := header.get("/y", "X-Tenant", fmt.Sprint("tenant ", i)).echoed(t).Name; again != name {
			t.Fatalf("tenant %d was on %s, then on %s", i, name, again)
		}
		if name == "two" {
			hits++
		}
	}
	if !within(hits, n) {
		t.Errorf("%d of %d tenants are on a quarter", hits, n)
	}

	cookie := newRig(t, nil)
	cookie.serve(split(one.URL, two.URL, func(r *configv1.Route) {
		r.Sticky = &configv1.Sticky{By: &configv1.Sticky_Cookie{Cookie: "arm"}}
	}))
	for range 20 {
		first := cookie.get("/x")
		set := first.Cookies()
		if len(set) != 1 || set[0].Name != "arm" || !set[0].HttpOnly || set[0].Path != "/" {
			t.Fatal("the gateway set", first.Header["Set-Cookie"])
		}
		second := cookie.get("/x", "Cookie", "other=1; arm="+set[0].Value)
		if second.echoed(t).Name != first.echoed(t).Name || len(second.Cookies()) != 0 {
			t.Error("the cookie does not hold")
		}
	}
}

func TestStickyConsumers(t *testing.T) {
	t.Parallel()
	one, two := server(t, echo("one")), server(t, echo("two"))
	r := newRig(t, nil)
	all := split(one.URL, two.URL, func(r *configv1.Route) {
		r.Sticky = &configv1.Sticky{By: &configv1.Sticky_Consumer{Consumer: true}}
	})
	all["plugins/auth"] = &configv1.Plugin{Type: "key-auth"}
	for _, name := range []string{"one", "two"} {
		all["plugins/mark-"+name] = &configv1.Plugin{Type: "header-transform", Scope: &configv1.Scope{Service: name}, Config: settings(t, map[string]any{
			"request": map[string]any{"set": []any{map[string]any{"name": "x-mark", "value": name}}},
		})}
	}
	r.serve(all)
	r.apply(consumerEntry("acme", ""), keyEntry("k1", "acme", goodKey))
	first := r.get("/x", "X-Api-Key", goodKey).echoed(t)
	for range 20 {
		if e := r.get("/x", "X-Api-Key", goodKey).echoed(t); e.Name != first.Name || e.Header.Get("X-Mark") != first.Name {
			t.Errorf("%s answered with the policies of %q, want %s", e.Name, e.Header.Get("X-Mark"), first.Name)
		}
	}
	if got := r.get("/x"); got.StatusCode != http.StatusUnauthorized {
		t.Error("without a key:", got.StatusCode)
	}
}

func TestRequestsNameTheirBackendWhereTheyMay(t *testing.T) {
	t.Parallel()
	one, two := server(t, echo("one")), server(t, echo("two"))
	r := newRig(t, nil)
	r.serve(split(one.URL, two.URL, func(r *configv1.Route) {
		r.Backends[1].Weight = 0
		r.Override = &configv1.BackendOverride{Header: "x-backend", Cookie: "backend"}
	}))
	cases := map[string]struct {
		headers []string
		want    string
	}{
		"nothing":           {nil, "one /x"},
		"a header":          {[]string{"x-backend", "dark"}, "two /dark/x"},
		"a cookie":          {[]string{"Cookie", "backend=two"}, "two /x"},
		"the header first":  {[]string{"x-backend", "two", "Cookie", "backend=dark"}, "two /x"},
		"no backend of it":  {[]string{"x-backend", "elsewhere"}, "one /x"},
		"an empty override": {[]string{"x-backend", ""}, "one /x"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if e := r.get("/x", c.headers...).echoed(t); e.Name+" "+e.Target != c.want {
				t.Errorf("got %s %s, want %s", e.Name, e.Target, c.want)
			}
		})
	}
}
