package pattern

import (
	"net/url"
	"strings"
	"testing"
)

func TestQueryValue(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		query, name, value string
		present            bool
	}{
		"none":             {"", "a", "", false},
		"plain":            {"a=1&b=2", "b", "2", true},
		"the first counts": {"a=1&a=2", "a", "1", true},
		"without =":        {"a&b", "b", "", true},
		"empty pairs":      {"&&a=1&", "a", "1", true},
		"an escaped name":  {"%61%2Eb=1", "a.b", "1", true},
		"an escaped value": {"a=%2B+%3d=", "a", "+ ==", true},
		"a broken escape":  {"a%=%zz%4", "a%", "%zz%4", true},
		"no prefix":        {"ab=1", "a", "", false},
		"no longer name":   {"a=1", "ab", "", false},
		"no semicolons":    {"a=1;b=2", "a", "1;b=2", true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if value, present := QueryValue(c.query, c.name); value != c.value || present != c.present {
				t.Errorf("got %q, %v", value, present)
			}
		})
	}
}

// Whatever net/url can read, QueryValue reads in the same way.
func FuzzQueryValue(f *testing.F) {
	f.Add("a=1&b=%20+x", "b")
	f.Add("%61=&&=x", "a")
	f.Fuzz(func(t *testing.T, query, name string) {
		values, err := url.ParseQuery(query)
		value, present := QueryValue(query, name)
		if err != nil || name == "" && strings.Contains(query, "&&") {
			return
		}
		if want := values.Get(name); value != want || present != values.Has(name) {
			t.Errorf("%q of %q: %q, %v; net/url has %q, %v", name, query, value, present, want, values.Has(name))
		}
	})
}

func TestRegularExpressionsAreTriedOnShortTextAlone(t *testing.T) {
	t.Parallel()
	condition, err := ParseHeader("x", MatchesRegex, "a*")
	if err != nil {
		t.Fatal(err)
	}
	path, err := ParsePath("~/a*")
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a", MaxRegexText)
	if !condition.Accepts(long, true) || condition.Accepts(long+"a", true) {
		t.Error("the bound of a condition is another")
	}
	if !path.Matches("/"+long[1:]) || path.Matches("/"+long) {
		t.Error("the bound of a path is another")
	}
}
