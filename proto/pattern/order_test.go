package pattern

import (
	"slices"
	"strings"
	"testing"
)

// TestPrecedence is the table of the order: in each case the rules are written from first to last, and all match.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		request Request
		rules   []Rule
	}{
		{"priority goes before everything", Request{Host: "a.example.com", Path: "/orders/1"}, []Rule{
			ruleOf(t, "z", 2, "* /**"),
			ruleOf(t, "y", 1, "*.example.com /orders/{id}"),
			ruleOf(t, "x", 0, "a.example.com /orders/1"),
			ruleOf(t, "w", -1, "a.example.com /orders/1"),
		}},
		{"host: exact, longer wildcard, wildcard, any", Request{Host: "A.b.example.com:8080", Path: "/orders/1"}, []Rule{
			ruleOf(t, "z", 0, "a.b.example.com /**"),
			ruleOf(t, "y", 0, "*.b.example.com /**"),
			ruleOf(t, "x", 0, "*.example.com /orders/**"),
			ruleOf(t, "w", 0, "/orders/1"),
		}},
		{"path: literal, parameter, rest, regular expression", Request{Path: "/orders/1"}, []Rule{
			ruleOf(t, "z", 0, "/orders/1"),
			ruleOf(t, "y", 0, "/orders/1/**"),
			ruleOf(t, "x", 0, "/orders/{id}"),
			ruleOf(t, "w", 0, "/orders/{id}/**"),
			ruleOf(t, "v", 0, "/orders/**"),
			ruleOf(t, "u", 0, "/{kind}/1"),
			ruleOf(t, "t", 0, "/{kind}/{id}"),
			ruleOf(t, "s", 0, "/{kind}/**"),
			ruleOf(t, "r", 0, "/**"),
			ruleOf(t, "q", 0, "~/orders/[0-9]"),
			ruleOf(t, "p", 0, "~/orders/.+"),
			ruleOf(t, "o", 0, "~/orders.+"),
			ruleOf(t, "n", 0, "~.*"),
		}},
		{"trailing slash: literal, then rest", Request{Path: "/orders/"}, []Rule{
			ruleOf(t, "z", 0, "/orders/"),
			ruleOf(t, "y", 0, "/orders/**"),
			ruleOf(t, "x", 0, "/{kind}/"),
		}},
		{"the best alternative counts", Request{Host: "a.com", Path: "/orders/1"}, []Rule{
			ruleOf(t, "z", 0, "/** /orders/1 ~.*"),
			ruleOf(t, "y", 0, "/orders/{id} /orders/**"),
		}},
		{"the number of conditions", Request{
			Method: "GET", Path: "/a",
			Fields: fields{headers: map[string]string{"a": "1", "b": ""}, query: map[string]string{"q": "x"}},
		}, []Rule{
			{Name: "z", Methods: []string{"GET"}, Headers: []Condition{mustHeader(t, "a", Equals, "1"), mustHeader(t, "b", Present, "")}},
			{Name: "y", Headers: []Condition{mustHeader(t, "a", Equals, "1"), mustHeader(t, "c", Absent, "")}},
			{Name: "x", Methods: []string{"GET", "PUT"}},
			{Name: "w"},
		}},
		{"a tie is decided by name", Request{Path: "/a"}, []Rule{ruleOf(t, "a", 0, "/{x}"), ruleOf(t, "b", 0, "/{y}")}},
	}
	for _, c := range cases {
		for first := range c.rules {
			rules := slices.Clone(c.rules[first:])
			slices.Reverse(rules)
			winner, ok := Winner(rules, c.request)
			if !ok || rules[winner].Name != c.rules[first].Name {
				t.Errorf("%s: want %s, got %d, %v", c.name, c.rules[first].Name, winner, ok)
			}
		}
	}
}

func TestRuleThatDoesNotFitGivesWay(t *testing.T) {
	t.Parallel()
	rules := []Rule{
		ruleOf(t, "one", 9, "GET /orders/{id}"),
		ruleOf(t, "two", 0, "POST,GET /orders/**"),
		{Name: "three", Paths: []Path{mustPath(t, "/canary")}, Methods: []string{"PUT"}, Headers: []Condition{mustHeader(t, "x-canary", Equals, "yes")}},
	}
	if winner, ok := Winner(rules, Request{Method: "POST", Path: "/orders/1"}); !ok || winner != 1 {
		t.Errorf("winner %d, %v", winner, ok)
	}
	if _, ok := Winner(rules, Request{Method: "PUT", Path: "/orders/1"}); ok {
		t.Error("PUT is matched")
	}
	if allowed := Allowed(rules, Request{Method: "PUT", Path: "/orders/1"}); !slices.Equal(allowed, []string{"GET", "POST"}) {
		t.Errorf("allowed %v", allowed)
	}
	for _, path := range []string{"/nothing", "/canary"} {
		if allowed := Allowed(rules, Request{Method: "GET", Path: path}); len(allowed) != 0 {
			t.Errorf("%s: allowed %v", path, allowed)
		}
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	rules := []Rule{
		ruleOf(t, "all", 0, "/**"),
		ruleOf(t, "order", 0, "GET /orders/{id}"),
		ruleOf(t, "write", 0, "POST /orders/{id}"),
		ruleOf(t, "admin", 0, "admin.example.com /orders/{id}"),
		ruleOf(t, "items", 0, "/items /items/{id}"),
		{Name: "canary", Headers: []Condition{mustHeader(t, "x-canary", Equals, "yes")}},
		ruleOf(t, "regex", 0, "~/orders/.*"),
	}
	got := Explain(rules, Request{Method: "GET", Host: "shop.example.com", Path: "/orders/1"})
	if got.Winner != 1 || got.Allowed != nil {
		t.Errorf("winner %d, allowed %v", got.Winner, got.Allowed)
	}
	want := []string{
		"matches /**, but order goes first: path /orders/{id} goes before /**, segment 1: a literal before **",
		"matches /orders/{id} on host *, and no other match goes before it",
		"method GET is not one of POST",
		`host "shop.example.com" is not admin.example.com`,
		`path "/orders/1" does not match /items or /items/{id}`,
		`does not hold: header x-canary is "yes"`,
		"matches ~/orders/.*, but order goes first: path /orders/{id} goes before ~/orders/.*, which is a regular expression",
	}
	for i, verdict := range got.Verdicts {
		if verdict.Reason != want[i] || verdict.Rule != rules[i].Name || verdict.Wins != (i == 1) {
			t.Errorf("%+v\nwant %s", verdict, want[i])
		}
	}
	refused := Explain(rules[1:3], Request{Method: "PUT", Path: "/orders/1"})
	if refused.Winner != -1 || !slices.Equal(refused.Allowed, []string{"GET", "POST"}) {
		t.Errorf("%+v", refused)
	}
}

func TestTies(t *testing.T) {
	t.Parallel()
	header := func(name string, operator Operator, value string) Rule {
		return Rule{Headers: []Condition{mustHeader(t, name, operator, value)}}
	}
	cases := []struct {
		name string
		a, b Rule
		tie  bool
	}{
		{"names of parameters do not matter", ruleOf(t, "a", 0, "/o/{x}"), ruleOf(t, "b", 0, "/o/{y}"), true},
		{"spelling does not matter", ruleOf(t, "a", 0, "A.com /%6f"), ruleOf(t, "b", 0, "a.COM. /o"), true},
		{"no path is every path", Rule{}, ruleOf(t, "b", 0, "* /**"), true},
		{"one alternative is enough", ruleOf(t, "a", 0, "a.com b.com /x /y"), ruleOf(t, "b", 0, "b.com c.com /y /z"), true},
		{"shared method", ruleOf(t, "a", 0, "GET,PUT /o"), ruleOf(t, "b", 0, "PUT,POST /o"), true},
		{"other methods", ruleOf(t, "a", 0, "GET /o"), ruleOf(t, "b", 0, "PUT /o"), false},
		{"a method is a condition", ruleOf(t, "a", 0, "GET /o"), ruleOf(t, "b", 0, "/o"), false},
		{"other priority", ruleOf(t, "a", 1, "/o"), ruleOf(t, "b", 0, "/o"), false},
		{"other host", ruleOf(t, "a", 0, "a.com /o"), ruleOf(t, "b", 0, "*.com /o"), false},
		{"other path", ruleOf(t, "a", 0, "/o"), ruleOf(t, "b", 0, "/o/**"), false},
		{"same regular expression", ruleOf(t, "a", 0, "~/o"), ruleOf(t, "b", 0, "~/o"), true},
		{"two headers that may both hold", header("a", Equals, "1"), header("b", Equals, "1"), true},
		{"one header, two values", header("a", Equals, "1"), header("a", Equals, "2"), false},
		{"one header, present or not", header("a", Present, ""), header("a", Absent, ""), false},
		{"one header, value inside a prefix", header("a", Equals, "v1.2"), header("a", HasPrefix, "v1"), true},
		{"one header, value outside an expression", header("a", Equals, "v3"), header("a", MatchesRegex, "v[12]"), false},
	}
	for _, c := range cases {
		tie, why := Ties(c.a, c.b)
		back, _ := Ties(c.b, c.a)
		if tie != c.tie || back != c.tie || tie != (why != "") {
			t.Errorf("%s: %v, %v, %q", c.name, tie, back, why)
		}
		if shared := sharesKey(c.a, c.b); tie && !shared {
			t.Errorf("%s: they tie but share no key", c.name)
		}
		if tie && !Overlap(c.a, c.b) {
			t.Errorf("%s: they tie but do not overlap", c.name)
		}
	}
	_, why := Ties(ruleOf(t, "a", 0, "a.com GET /o/{x}"), ruleOf(t, "b", 0, "a.com GET,PUT /o/{y}"))
	if want := `routes "a" and "b" both match /o/{x} and /o/{y} on host a.com with priority 0, methods GET and 1 further condition; ` +
		"give one a higher priority or a further condition"; why != want {
		t.Error(why)
	}
}

func sharesKey(a, b Rule) bool {
	theirs := TieKeys(b)
	return slices.ContainsFunc(TieKeys(a), func(key string) bool { return slices.Contains(theirs, key) })
}

func TestOverlapAndCover(t *testing.T) {
	t.Parallel()
	cases := []struct {
		a, b                      string
		overlap, aCovers, bCovers bool
	}{
		{"/a", "/a", true, true, true},
		{"/a", "/b", false, false, false},
		{"/a/{x}", "/a/b", true, true, false},
		{"/a/{x}", "/a/", false, false, false},
		{"/a/{x}", "/{y}/b", true, false, false},
		{"/a/{x}", "/a/{y}/c", false, false, false},
		{"/a/**", "/a", true, true, false},
		{"/a/**", "/a/", true, true, false},
		{"/a/**", "/a/{x}/b", true, true, false},
		{"/a/b/**", "/a/{x}", true, false, false},
		{"/a/**", "/ax", false, false, false},
		{"/**", "/a/**", true, true, false},
		{"/{x}/**", "/", false, false, false},
		{"~/a.*", "/ab", true, true, false},
		{"~/a.*", "/b", false, false, false},
		{"~/a.*", "/b/{x}", false, false, false},
		{"~/a/.*", "/a/{x}", true, false, false},
		{"~/a/.*", "/a/**", true, false, true},
		{"~/a.*", "/**", true, false, true},
		{"~/a.*", "~/b.*", false, false, false},
		{"~/a.*", "~/a.*", true, true, true},
	}
	for _, c := range cases {
		a, b := mustPath(t, c.a), mustPath(t, c.b)
		if a.Overlaps(b) != c.overlap || b.Overlaps(a) != c.overlap {
			t.Errorf("%s and %s: overlap is not %v", c.a, c.b, c.overlap)
		}
		if a.Covers(b) != c.aCovers || b.Covers(a) != c.bCovers {
			t.Errorf("%s and %s: cover %v, %v", c.a, c.b, a.Covers(b), b.Covers(a))
		}
	}
}

func TestShadows(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		a, b    Rule
		shadows bool
	}{
		{"higher priority over all", ruleOf(t, "a", 1, "/**"), ruleOf(t, "b", 0, "a.com GET /o"), true},
		{"/** goes before expressions", ruleOf(t, "a", 0, "/**"), ruleOf(t, "b", 0, "~/o.*"), true},
		{"the more specific is reached", ruleOf(t, "a", 0, "/**"), ruleOf(t, "b", 0, "/o"), false},
		{"only one of two paths", ruleOf(t, "a", 1, "/o/**"), ruleOf(t, "b", 0, "/o /p"), false},
		{"only one of two methods", ruleOf(t, "a", 1, "GET /**"), ruleOf(t, "b", 0, "GET,PUT /p"), false},
		{"methods left open", ruleOf(t, "a", 1, "GET /**"), ruleOf(t, "b", 0, "/p"), false},
		{"only one host", ruleOf(t, "a", 1, "a.com /**"), ruleOf(t, "b", 0, "/p"), false},
		{"wildcard over name", ruleOf(t, "a", 1, "*.com /**"), ruleOf(t, "b", 0, "a.com *.b.com /p"), true},
		{
			"weaker condition",
			Rule{Name: "a", Priority: 1, Headers: []Condition{mustHeader(t, "h", Present, "")}},
			Rule{Name: "b", Headers: []Condition{mustHeader(t, "h", Equals, "1")}},
			true,
		},
		{
			"stronger condition",
			Rule{Name: "a", Priority: 1, Headers: []Condition{mustHeader(t, "h", Equals, "1")}},
			Rule{Name: "b", Headers: []Condition{mustHeader(t, "h", Present, "")}},
			false,
		},
	}
	for _, c := range cases {
		shadows, why := Shadows(c.a, c.b)
		if shadows != c.shadows || shadows != strings.Contains(why, `route "b" is never reached`) {
			t.Errorf("%s: %v, %q", c.name, shadows, why)
		}
	}
}

func TestValidateFindsRepetition(t *testing.T) {
	t.Parallel()
	rule := ruleOf(t, "a", 0, "a.com A.com GET,GET /o/{x} /o/{y}")
	rule.Headers = []Condition{mustHeader(t, "h", Equals, "1"), mustHeader(t, "H", Equals, "1"), mustHeader(t, "h", Absent, "")}
	var got []string
	for _, v := range rule.Validate() {
		got = append(got, v.Field)
	}
	if want := "hosts[1] paths[1] methods[1] headers[1] headers[2] headers[2]"; strings.Join(got, " ") != want {
		t.Errorf("%v", got)
	}
	if len(rule.Alternatives()) != 1 || len(ruleOf(t, "b", 0, "GET /a").Validate()) != 0 {
		t.Error("alternatives or a good rule are wrong")
	}
}
