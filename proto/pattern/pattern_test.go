package pattern

import (
	"errors"
	"strings"
	"testing"
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

func mustPath(t *testing.T, text string) Path {
	t.Helper()
	path, err := ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func mustHost(t *testing.T, text string) Host {
	t.Helper()
	host, err := ParseHost(text)
	if err != nil {
		t.Fatal(err)
	}
	return host
}

func mustHeader(t *testing.T, name string, operator Operator, value string) Condition {
	t.Helper()
	condition, err := ParseHeader(name, operator, value)
	if err != nil {
		t.Fatal(err)
	}
	return condition
}

// ruleOf reads a rule from words: a method list (GET,POST), a path (/…, ~…), anything else a host.
func ruleOf(t *testing.T, name string, priority int32, words string) Rule {
	t.Helper()
	rule := Rule{Name: name, Priority: priority}
	for word := range strings.FieldsSeq(words) {
		switch {
		case word[0] == '/' || word[0] == '~':
			rule.Paths = append(rule.Paths, mustPath(t, word))
		case word == strings.ToUpper(word) && word != "*":
			rule.Methods = append(rule.Methods, strings.Split(word, ",")...)
		default:
			rule.Hosts = append(rule.Hosts, mustHost(t, word))
		}
	}
	return rule
}

func TestPathMatches(t *testing.T) {
	t.Parallel()
	cases := []struct{ pattern, yes, no string }{
		{"/", "/", "/a"},
		{"/orders", "/orders", "/orders/ /Orders /ordersx /orders/1"},
		{"/orders/", "/orders/", "/orders /orders/1"},
		{"/orders/{id}", "/orders/1 /orders/a%2Fb", "/orders /orders/ /orders/1/ /orders/1/2"},
		{"/orders/{id}/", "/orders/1/", "/orders/1 /orders//"},
		{"/orders/**", "/orders /orders/ /orders/1 /orders/1/2/", "/ordersx /order /"},
		{"/{a}/**", "/x /x/ /x/y", "/"},
		{"/**", "/ /a /a/b/", "*"},
		{"/caf\u00e9", "/caf%C3%A9", "/cafe"},
		{"/caf%c3%a9", "/caf%C3%A9", "/cafe"},
		{"/v1/x:publish", "/v1/x:publish /v1/x%3Apublish", "/v1/x"},
		{"/v1/x%3apublish", "/v1/x:publish /v1/x%3Apublish", "/v1/x"},
		{"/a%2Fb", "/a%2Fb", "/a/b"},
		{"/a%2Ab", "/a*b /a%2Ab", "/axb"},
		{"~^/v[12]/", "/v1/ /v2/", "/v1 /v3/ /v1/x /x/v1/"},
		{"~/a|/b", "/a /b", "/ab /a/b"},
		{"~(?i)/A", "/a /A", "/b"},
	}
	for _, c := range cases {
		path := mustPath(t, c.pattern)
		for request := range strings.FieldsSeq(c.yes) {
			if !path.Matches(request) {
				t.Errorf("%s does not match %s", c.pattern, request)
			}
		}
		for request := range strings.FieldsSeq(c.no) {
			if path.Matches(request) {
				t.Errorf("%s matches %s", c.pattern, request)
			}
		}
	}
}

func TestPathIdentity(t *testing.T) {
	t.Parallel()
	cases := []struct{ pattern, canonical, captures string }{
		{"/orders/{id}", "/orders/{}", "id"},
		{"/orders/{}", "/orders/{}", ""},
		{"/o/{order.id}/lines/{line-id}/**", "/o/{}/lines/{}/**", "order.id line-id **"},
		{"/%6frders/%7eme", "/orders/~me", ""},
		{"/a%2ab", "/a%2Ab", ""},
		{"/a b", "", ""},
		{"~^/v(?P<major>[12])/", "~^/v(?P<major>[12])/", ""},
	}
	for _, c := range cases {
		path, err := ParsePath(c.pattern)
		if c.canonical == "" {
			if err == nil {
				t.Errorf("%s is accepted", c.pattern)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		var names []string
		for _, capture := range path.Captures() {
			names = append(names, capture.Name)
		}
		if path.String() != c.canonical || strings.Join(names, " ") != c.captures {
			t.Errorf("%s: canonical %s, captures %v", c.pattern, path, names)
		}
		if again := mustPath(t, path.String()); again.String() != path.String() {
			t.Errorf("%s: the canonical form reads as %s", c.pattern, again)
		}
	}
}

func TestPathErrorsSayWhereAndWhatToDo(t *testing.T) {
	t.Parallel()
	cases := []struct {
		pattern string
		offset  int
		fix     string
	}{
		{"", 0, `"/**"`},
		{"orders", 0, `"/"`},
		{"/orders/{id", 8, "{name}"},
		{"/orders/id}", 10, "{name}"},
		{"/orders/{id}.json", 8, "regular expression"},
		{"/orders/{id:[0-9]+}", 11, "regular expression"},
		{"/orders/{1}/{1}", 12, "own name"},
		{"/orders/*", 8, "/** at the end"},
		{"/**/orders", 1, "last segment"},
		{"/a//b", 3, "extra"},
		{"/a/../b", 3, "dot segments"},
		{"/a/%2e%2E", 3, "dot segments"},
		{"/a/..%2fb", 3, "dot segments"},
		{"/a?b=c", 2, "query"},
		{"/a#b", 2, "fragment"},
		{`/a\b`, 2, "/"},
		{"/a%2", 2, "%25"},
		{"/a%00", 2, "%25"},
		{"/a\tb", 2, "%20"},
		{"~/v[12", 3, "Syntax"},
		{"~a)|(b", 1, "Syntax"},
		{"~v1", 1, `"/"`},
		{"~/(a{500}){500}", 4, "Syntax"},
		{"~/" + strings.Repeat("[ab]{500}", 8), 1, "smaller repetitions"},
		{"/" + strings.Repeat("a", MaxPathLength), MaxPathLength, "shorten"},
		{"/" + strings.Repeat("\u00e9", MaxPathLength/4), 0, "shorten"},
		{strings.Repeat("/a", MaxSegments+1), 2*MaxSegments + 1, `"/**"`},
		{strings.Repeat("/{}", 40) + "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}/{k}/{l}/{m}/{n}/{o}/{p}/{q}", 0, "{}"},
	}
	for _, c := range cases {
		_, err := ParsePath(c.pattern)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: %v", c.pattern, err)
			continue
		}
		if syntax.Offset != c.offset || !strings.Contains(syntax.Fix, c.fix) {
			t.Errorf("%q: at %d: %v", c.pattern, syntax.Offset, err)
		}
	}
}

func TestHostMatches(t *testing.T) {
	t.Parallel()
	cases := []struct{ pattern, canonical, yes, no string }{
		{"", "*", "a [::1] 10.0.0.1", ""},
		{"*", "*", "a", ""},
		{"Example.COM", "example.com", "example.com EXAMPLE.com:8080 example.com. example.com.:80", "www.example.com example.co"},
		{"*.example.com", "*.example.com", "a.example.com a.b.Example.com:1", "example.com .example.com xexample.com"},
		{"xn--caf-dma.example", "xn--caf-dma.example", "XN--CAF-DMA.example", "caf.example"},
		{"10.0.0.1", "10.0.0.1", "10.0.0.1 10.0.0.1:80", "10.0.0.2"},
		{"[2001:DB8:0::1]", "[2001:db8::1]", "[2001:db8::1] [2001:db8::1]:443 [2001:0DB8::0:1]", "[2001:db8::2] [2001:db8::1]x"},
		{"a_b.local", "a_b.local", "a_b.local", ""},
	}
	for _, c := range cases {
		host := mustHost(t, c.pattern)
		if host.String() != c.canonical {
			t.Errorf("%s: canonical %s", c.pattern, host)
		}
		for authority := range strings.FieldsSeq(c.yes) {
			if !host.Matches(NormalizeHost(authority)) {
				t.Errorf("%s does not match %s", c.pattern, authority)
			}
		}
		for authority := range strings.FieldsSeq(c.no) {
			if host.Matches(NormalizeHost(authority)) {
				t.Errorf("%s matches %s", c.pattern, authority)
			}
		}
	}
}

func TestHostErrorsSayWhereAndWhatToDo(t *testing.T) {
	t.Parallel()
	cases := []struct {
		pattern string
		offset  int
		fix     string
	}{
		{"https://example.com", 5, "host alone"},
		{"example.com:8080", 11, "leave it out"},
		{"example.com/a", 11, "paths"},
		{"a.*.com", 2, "*.example.com"},
		{"*.*.com", 2, "*.example.com"},
		{"*x.com", 0, "*.example.com"},
		{"a..b", 2, "dot"},
		{"*.", 2, "dot"},
		{"caf\u00e9.example", 3, "xn--"},
		{"a b", 1, "letters"},
		{"::1", 0, "dot"},
		{"[::1]:80", 5, "leave it out"},
		{"[::1", 3, "2001:db8"},
		{"[127.0.0.1]", 1, "IPv4"},
		{strings.Repeat("a", 64), 0, "shorten"},
		{strings.Repeat("a.", 130) + "a", 0, "shorten"},
	}
	for _, c := range cases {
		_, err := ParseHost(c.pattern)
		var syntax *SyntaxError
		if !errors.As(err, &syntax) {
			t.Errorf("%q: %v", c.pattern, err)
			continue
		}
		if c.pattern != "::1" && (syntax.Offset != c.offset || !strings.Contains(syntax.Fix, c.fix)) {
			t.Errorf("%q: at %d: %v", c.pattern, syntax.Offset, err)
		}
	}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	cases := []struct {
		operator Operator
		value    string
		yes, no  []string
		absent   bool
	}{
		{Equals, "yes", []string{"yes"}, []string{"", "Yes", "yess"}, false},
		{HasPrefix, "v1", []string{"v1", "v1.2"}, []string{"", "v2"}, false},
		{MatchesRegex, "v[12]", []string{"v1"}, []string{"v1.2", "xv1"}, false},
		{Present, "", []string{"", "x"}, nil, false},
		{Absent, "", nil, []string{"", "x"}, true},
	}
	for _, c := range cases {
		condition := mustHeader(t, "X-Version", c.operator, c.value)
		for _, value := range c.yes {
			if !condition.Accepts(value, true) {
				t.Errorf("%s refuses %q", condition, value)
			}
		}
		for _, value := range c.no {
			if condition.Accepts(value, true) {
				t.Errorf("%s accepts %q", condition, value)
			}
		}
		if condition.Accepts("", false) != c.absent || condition.Name() != "x-version" {
			t.Errorf("%s: wrong about absence or name", condition)
		}
	}
	for _, bad := range []struct {
		name     string
		operator Operator
		value    string
	}{{"", Equals, "a"}, {"a b", Equals, "a"}, {"Host", Equals, "a"}, {"a", HasPrefix, ""}, {"a", MatchesRegex, "("}, {"a", Present, "x"}, {"a", 99, ""}} {
		if _, err := ParseHeader(bad.name, bad.operator, bad.value); err == nil {
			t.Errorf("header %q %d %q is accepted", bad.name, bad.operator, bad.value)
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"GET", "PURGE", "M-SEARCH", "purge"} {
		if _, err := ParseMethod(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", "get", "GET POST", "GET,"} {
		if _, err := ParseMethod(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}
