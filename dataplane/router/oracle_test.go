package router

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"testing"

	"tidegate.dev/proto/pattern"
)

// fields are headers and query parameters of a test request.
type fields struct{ headers, query map[string]string }

func (f fields) Header(name string) (string, bool) {
	value, present := f.headers[name]
	return value, present
}

func (f fields) Query(name string) (string, bool) {
	value, present := f.query[name]
	return value, present
}

// long is a segment, and a label, that does not fit into a child.
const long = "a-name-that-is-longer-than-22-bytes"

// choices turns fuzzed bytes into rules and requests over small alphabets, so that they meet often.
type choices struct{ data []byte }

func (c *choices) below(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	next := int(c.data[0])
	c.data = c.data[1:]
	return next % n
}

func (c *choices) pick(words ...string) string { return words[c.below(len(words))] }

func (c *choices) path(t *testing.T) pattern.Path {
	text := ""
	if c.below(5) == 0 {
		text = c.pick("~.*", "~/a.*", "~/a/.+", "~/a/b", "~/[ab](/.*)?", "~(?i)/A/b", "~/a/(?P<last>[^/]+)", "~/b/?", "~/a/b/c.*", "~/a:b.*")
	} else {
		for range c.below(5) {
			text += "/" + c.pick("a", "b", "{x}", "a:b", "c%2Fd", long, fmt.Sprint(c.below(256)))
			if text[len(text)-1] == '}' {
				text = fmt.Sprintf("%s%d}", text[:len(text)-1], len(text))
			}
		}
		text += c.pick("/**", "/", "/a", "/{end}")
	}
	path, err := pattern.ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func (c *choices) entry(t *testing.T) Entry[int] {
	rule := pattern.Rule{Name: fmt.Sprintf("route-%d", c.below(24)), Priority: int32(c.below(3) - 1)}
	for range c.below(3) {
		host, err := pattern.ParseHost(c.pick("a.com", "b.a.com", "*.com", "*.a.com", "*", "[::1]", long+".com", "*."+long+".com"))
		if err != nil {
			t.Fatal(err)
		}
		rule.Hosts = append(rule.Hosts, host)
	}
	for range c.below(4) {
		rule.Paths = append(rule.Paths, c.path(t))
	}
	for range c.below(3) {
		rule.Methods = append(rule.Methods, c.pick("GET", "PUT", "PURGE"))
	}
	for range max(0, c.below(5)-2) {
		operator := []pattern.Operator{pattern.Equals, pattern.Present, pattern.Absent}[c.below(3)]
		value := ""
		if operator == pattern.Equals {
			value = c.pick("1", "2")
		}
		condition, err := pattern.ParseQuery(c.pick("x", "y"), operator, value)
		if err != nil {
			t.Fatal(err)
		}
		if c.below(2) == 0 {
			rule.Headers = append(rule.Headers, condition)
		} else {
			rule.Query = append(rule.Query, condition)
		}
	}
	return Entry[int]{Rule: rule, Value: c.below(256)}
}

func (c *choices) request() pattern.Request {
	request := pattern.Request{
		Host:   c.pick("a.com", "A.com:80", "b.a.com", "c.b.a.com.", "org", "[::1]:8080", "", long+".com", "a."+long+".com"),
		Method: c.pick("GET", "PUT", "PURGE", "POST", "LOCK"),
	}
	if c.below(2) == 0 {
		headers, query := map[string]string{}, map[string]string{}
		headers[c.pick("x", "y")] = c.pick("1", "2", "3", "")
		query[c.pick("x", "y")] = c.pick("1", "2", "3", "")
		request.Fields = fields{headers, query}
	}
	for range 1 + c.below(5) {
		request.Path += "/" + c.pick("a", "b", "z", "a:b", "a%3Ab", "c%2Fd", "A", long, long+"x", fmt.Sprint(c.below(256)))
	}
	request.Path += c.pick("", "/")
	if c.below(16) == 0 {
		request.Path = c.pick("/", "*", "")
	}
	return request
}

// catalog is the entries that a router should have, for the oracle.
type catalog struct {
	rules  []pattern.Rule
	values []int
}

func (c *catalog) put(entry Entry[int]) {
	c.remove(entry.Rule.Name)
	c.rules, c.values = append(c.rules, entry.Rule), append(c.values, entry.Value)
}

func (c *catalog) remove(name string) {
	if i := c.index(name); i >= 0 {
		c.rules, c.values = slices.Delete(c.rules, i, i+1), slices.Delete(c.values, i, i+1)
	}
}

func (c *catalog) index(name string) int {
	return slices.IndexFunc(c.rules, func(r pattern.Rule) bool { return r.Name == name })
}

func (c *catalog) clone() catalog {
	return catalog{rules: slices.Clone(c.rules), values: slices.Clone(c.values)}
}

// agree fails the test unless router and oracle give the same answers, and tells whether a rule matched.
func agree(t *testing.T, router *Router[int], want catalog, request pattern.Request) (matched bool) {
	t.Helper()
	if router.Len() != len(want.rules) {
		t.Fatalf("router has %d rules, want %d", router.Len(), len(want.rules))
	}
	var params Params
	got, ok := router.Match(request.Host, request.Method, request.Path, request.Fields, &params)
	winner, wanted := pattern.Winner(want.rules, request)
	if ok != wanted || ok && got != want.values[winner] {
		t.Fatalf("%+v: router says %d, %v; oracle %d, %v\nrules %+v", request, got, ok, winner, wanted, want.rules)
	}
	allowed := router.Allowed(request.Host, request.Path, request.Fields)
	if oracle := pattern.Allowed(want.rules, request); !slices.Equal(allowed, oracle) {
		t.Fatalf("%+v: router allows %v, oracle %v", request, allowed, oracle)
	}
	if ok && params.Len() > 0 && len(want.rules[winner].Paths) == 1 {
		checkParams(t, want.rules[winner].Paths[0], request.Path, &params)
	}
	checkWays(t, router, request)
	return ok
}

// checkWays holds what bounds the work of a request: the places of a tree where a path is looked for are no more than the ways
// of the router times the segments of the path.
func checkWays(t *testing.T, router *Router[int], request pattern.Request) {
	t.Helper()
	if request.Path == "" || request.Path[0] != '/' {
		return
	}
	path := pattern.MatchForm(request.Path)
	trees := []*node[int]{router.templates.any, router.expressions.any}
	for _, hosts := range []*table[int]{&router.templates.exact, &router.templates.wildcard} {
		for _, name := range []string{"a.com", "com", "b.a.com", long + ".com"} {
			if c := hosts.find(router.seed, name); c != nil && c.tail == nil {
				trees = append(trees, c.node)
			}
		}
	}
	most := router.Ways() * (strings.Count(path, "/") + 1)
	for _, tree := range trees {
		if visited := places(router.seed, tree, path); visited > most {
			t.Fatalf("%s is looked for at %d places, more than %d in %d ways", path, visited, most, router.Ways())
		}
	}
}

// places is at how many nodes a search looks that never finds anything.
func places(seed maphash.Seed, n *node[int], path string) int {
	if n == nil {
		return 0
	}
	if path == "" {
		return 1
	}
	segment, after := cutSegment(path)
	count := 1
	below := func(c *child[int]) {
		if rest, ok := cutTail(c.behind(), after); ok {
			count += places(seed, c.node, rest)
		}
	}
	if c := n.literals.find(seed, segment); c != nil {
		below(c)
	}
	if n.parameter.exists() {
		below(&n.parameter)
	}
	return count
}

// checkParams puts the values back into the template: the path must come out.
func checkParams(t *testing.T, path pattern.Path, request string, params *Params) {
	t.Helper()
	if path.Regexp() != nil {
		return
	}
	rebuilt := ""
	for _, segment := range path.Segments() {
		text := segment.Text
		if segment.Kind == pattern.Parameter {
			text, _ = params.Get(segment.Text)
		}
		rebuilt += "/" + text
	}
	if rest, _ := params.Get("**"); path.Rest() && len(pattern.MatchForm(rebuilt)) < len(pattern.MatchForm(request)) {
		rebuilt += "/" + rest
	}
	if pattern.MatchForm(rebuilt) != pattern.MatchForm(request) {
		t.Fatalf("%s took %q out of %s", path.Source(), rebuilt, request)
	}
}

// FuzzRouterAgainstOracle changes a router step by step, and compares what it says with the slow matcher after each step:
// the router that went through all changes, one compiled anew, and one that a later change must not have touched.
func FuzzRouterAgainstOracle(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte("a few letters are enough to make rules and requests that meet each other now and then"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c := &choices{data}
		router, err := New[int](nil)
		if err != nil {
			t.Fatal(err)
		}
		var want catalog
		for range 4 {
			old, before := router, want.clone()
			router = step(t, c, router, &want)
			fresh := compileAll(t, want)
			for range 6 {
				request := c.request()
				agree(t, router, want, request)
				agree(t, fresh, want, request)
				agree(t, old, before, request)
			}
		}
	})
}

// step deletes and upserts a few entries, in the router and in the catalog.
func step(t *testing.T, c *choices, router *Router[int], want *catalog) *Router[int] {
	var upserts []Entry[int]
	var deletes []string
	used := map[string]bool{}
	for range c.below(6) {
		if name := fmt.Sprintf("route-%d", c.below(24)); want.index(name) >= 0 && !used[name] {
			used[name] = true
			deletes = append(deletes, name)
			want.remove(name)
		}
	}
	for range c.below(12) {
		if entry := c.entry(t); !used[entry.Rule.Name] {
			used[entry.Rule.Name] = true
			upserts = append(upserts, entry)
			want.put(entry)
		}
	}
	next, err := router.With(upserts, deletes)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func compileAll(t *testing.T, want catalog) *Router[int] {
	entries := make([]Entry[int], len(want.rules))
	for i, rule := range want.rules {
		entries[i] = Entry[int]{Rule: rule, Value: want.values[i]}
	}
	router, err := New(entries)
	if err != nil {
		t.Fatal(err)
	}
	return router
}
