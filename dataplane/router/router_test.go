package router

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tidegate.dev/proto/pattern"
)

// entryOf reads an entry from words: methods (GET,POST), paths (/…, ~…), anything else a host. Its value is its name.
func entryOf(t testing.TB, name string, priority int32, words string) Entry[string] {
	t.Helper()
	rule := pattern.Rule{Name: name, Priority: priority}
	for word := range strings.FieldsSeq(words) {
		var err error
		switch {
		case word[0] == '/' || word[0] == '~':
			var path pattern.Path
			path, err = pattern.ParsePath(word)
			rule.Paths = append(rule.Paths, path)
		case word == strings.ToUpper(word):
			rule.Methods = append(rule.Methods, strings.Split(word, ",")...)
		default:
			var host pattern.Host
			host, err = pattern.ParseHost(word)
			rule.Hosts = append(rule.Hosts, host)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return Entry[string]{Rule: rule, Value: name}
}

func newRouter[T any](t testing.TB, entries ...Entry[T]) *Router[T] {
	t.Helper()
	router, err := New(entries)
	if err != nil {
		t.Fatal(err)
	}
	return router
}

func TestMatch(t *testing.T) {
	t.Parallel()
	header := entryOf(t, "canary", 0, "/orders/{id} GET")
	condition, err := pattern.ParseHeader("X-Canary", pattern.Equals, "yes")
	if err != nil {
		t.Fatal(err)
	}
	header.Rule.Headers = []pattern.Condition{condition}
	router := newRouter(t,
		entryOf(t, "orders", 0, "/orders/{id} /orders/** GET,POST"),
		header,
		entryOf(t, "order", 0, "/orders/{id} GET"),
		entryOf(t, "new", 0, "/orders/new"),
		entryOf(t, "urgent", 5, "~/orders/9[0-9]+ GET"),
		entryOf(t, "shop", 0, "shop.example.com /**"),
		entryOf(t, "tenants", 0, "*.example.com /{tenant}/**"),
		entryOf(t, "versions", 0, "~^/v(?P<major>[12])/(?P<rest>.*)"),
		entryOf(t, "purge", 0, "/cache PURGE"),
	)
	cases := []struct{ method, url, want string }{
		{"GET", "any/orders", "orders"},
		{"GET", "any/orders/", "orders"},
		{"GET", "any/ordersx", ""},
		{"POST", "any/orders/1", "orders"},
		{"GET", "any/orders/1/lines", "orders"},
		{"GET", "any/orders/new", "new"},
		{"GET", "any/orders/911", "urgent"},
		{"GET", "SHOP.example.com:8080/orders/1", "shop"},
		{"GET", "shop.example.com/orders/911", "urgent"},
		{"GET", "a.b.example.com/x", "tenants"},
		{"GET", "a.example.com/", ""},
		{"GET", "any/v1/x/y", "versions"},
		{"GET", "any/v3/x/y", ""},
		{"PURGE", "any/cache", "purge"},
		{"LOCK", "any/cache", ""},
		{"GET", "any*", ""},
	}
	for _, c := range cases {
		host, path := c.url, "*"
		if at := strings.IndexByte(c.url, '/'); at >= 0 {
			host, path = c.url[:at], c.url[at:]
		}
		got, ok := router.Match(host, c.method, path, nil, nil)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%s %s: %q, %v; want %q", c.method, c.url, got, ok, c.want)
		}
	}
	if got, _ := router.Match("any", "GET", "/orders/1", fields{headers: map[string]string{"x-canary": "yes"}}, nil); got != "canary" {
		t.Errorf("with header: %q", got)
	}
	// Of the rules that tie on /orders/{id} with GET, the name decides; the control plane does not publish such.
	if got, _ := router.Match("any", "GET", "/orders/1", nil, nil); got != "order" {
		t.Errorf("without header: %q", got)
	}
}

func TestAllowedTellsNotFoundFromMethodNotAllowed(t *testing.T) {
	t.Parallel()
	router := newRouter(t,
		entryOf(t, "read", 3, "/orders/{id} GET,HEAD"),
		entryOf(t, "write", 0, "/orders/** POST"),
		entryOf(t, "purge", 0, "~/orders/.* PURGE"),
		entryOf(t, "elsewhere", 0, "other.example.com /orders/** DELETE"),
	)
	if got := router.Allowed("a", "/orders/1", nil); !slices.Equal(got, []string{"GET", "HEAD", "POST", "PURGE"}) {
		t.Errorf("allowed %v", got)
	}
	if got := router.Allowed("a", "/nothing", nil); len(got) != 0 {
		t.Errorf("allowed %v", got)
	}
}

func TestParams(t *testing.T) {
	t.Parallel()
	router := newRouter(t,
		entryOf(t, "lines", 0, "/orders/{order}/lines/{line}"),
		entryOf(t, "files", 0, "/files/{}/{bucket}/**"),
		entryOf(t, "versions", 0, "~/v(?P<major>[0-9])(\\.(?P<minor>[0-9]))?/(?P<rest>.*)"),
		entryOf(t, "plain", 0, "/plain"),
	)
	cases := []struct{ path, want string }{
		{"/orders/1/lines/a%2Fb", "order=1 line=a%2Fb"},
		{"/orders/a%3Ab/lines/%3B", "order=a%3Ab line=%3B"},
		{"/files/x/b", "bucket=b **="},
		{"/files/x/b/", "bucket=b **="},
		{"/files/x/b/c/d/", "bucket=b **=c/d/"},
		{"/v1/x/y", "major=1 rest=x/y"},
		{"/v1.2/", "major=1 minor=2 rest="},
		{"/plain", ""},
		{"/nothing", ""},
	}
	var params Params
	for _, c := range cases {
		router.Match("a", "GET", c.path, nil, &params)
		var got []string
		for i := range params.Len() {
			name, value := params.At(i)
			got = append(got, name+"="+value)
			if again, ok := params.Get(name); !ok || again != value {
				t.Errorf("%s: Get(%q) is %q, %v", c.path, name, again, ok)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", c.path, got, c.want)
		}
	}
	if _, ok := params.Get("order"); ok {
		t.Error("a value is left over")
	}
}

func TestWithLeavesTheOldRouterAlone(t *testing.T) {
	t.Parallel()
	old := newRouter(t, entryOf(t, "a", 0, "/a"), entryOf(t, "b", 0, "b.com /b"))
	next, err := old.With([]Entry[string]{entryOf(t, "a", 0, "/a/{x}"), entryOf(t, "c", 0, "/c")}, []string{"b"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path        string
		then, now   string
		thenN, nN   int
		name        string
		thenH, nowH bool
	}{
		{"/a", "a", "", 2, 2, "a", true, true},
		{"/a/1", "", "a", 2, 2, "b", true, false},
		{"/b", "b", "", 2, 2, "c", false, true},
		{"/c", "", "c", 2, 2, "c", false, true},
	} {
		then, _ := old.Match("b.com", "GET", c.path, nil, nil)
		now, _ := next.Match("b.com", "GET", c.path, nil, nil)
		if then != c.then || now != c.now || old.Len() != c.thenN || next.Len() != c.nN {
			t.Errorf("%s: %q then, %q now", c.path, then, now)
		}
		_, thenHas := old.Get(c.name)
		_, nowHas := next.Get(c.name)
		if thenHas != c.thenH || nowHas != c.nowH {
			t.Errorf("Get(%q): %v then, %v now", c.name, thenHas, nowHas)
		}
	}
}

func TestWithRefuses(t *testing.T) {
	t.Parallel()
	router := newRouter(t, entryOf(t, "a", 0, "/a"))
	cases := []struct {
		name    string
		upserts []Entry[string]
		deletes []string
	}{
		{"no name", []Entry[string]{entryOf(t, "", 0, "/")}, nil},
		{"a name twice", []Entry[string]{entryOf(t, "b", 0, "/"), entryOf(t, "b", 0, "/c")}, nil},
		{"put and deleted", []Entry[string]{entryOf(t, "a", 0, "/")}, []string{"a"}},
		{"deleted twice", nil, []string{"a", "a"}},
		{"deleted but not there", nil, []string{"b"}},
	}
	for _, c := range cases {
		if next, err := router.With(c.upserts, c.deletes); err == nil || next != nil {
			t.Errorf("%s: accepted", c.name)
		}
	}
	if _, ok := router.Match("", "GET", "/a", nil, nil); !ok || router.Len() != 1 {
		t.Error("a refused change changed the router")
	}
}

// TestRoutersAreEmptiedWhole checks that removing every rule, in whatever order, leaves nothing behind.
func TestRoutersAreEmptiedWhole(t *testing.T) {
	t.Parallel()
	router := newRouter[string](t)
	var names []string
	for i := range 2000 {
		name := fmt.Sprintf("r%d", i)
		words := fmt.Sprintf("h%d.com *.w%d.com /a/{x}/%d/** ~/b/%d/[0-9]", i%7, i%5, i, i%3)
		next, err := router.With([]Entry[string]{entryOf(t, name, int32(i%4), words)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		router, names = next, append(names, name)
	}
	slices.Sort(names)
	for len(names) > 0 {
		count := min(len(names), 7)
		next, err := router.With(nil, names[:count])
		if err != nil {
			t.Fatal(err)
		}
		router, names = next, names[count:]
	}
	if router.Len() != 0 || router.templates.named()+router.expressions.named() != 0 || router.templates.any != nil || router.expressions.any != nil {
		t.Errorf("left over: %+v", router)
	}
}

func TestMethodSetOfEverythingIsNotAny(t *testing.T) {
	t.Parallel()
	router := newRouter(t, entryOf(t, "a", 0, "/a GET,HEAD,POST,PUT,PATCH,DELETE,OPTIONS,CONNECT,TRACE,PURGE"))
	if _, ok := router.Match("", "LOCK", "/a", nil, nil); ok {
		t.Error("LOCK is matched")
	}
}
