package router

import (
	"fmt"
	"strings"
	"testing"
)

// ambiguous are routes for every choice of a literal or a parameter in each segment, so that a path of these literals is looked
// for in as many ways as there are routes, and found in none.
func ambiguous(tb testing.TB, segments int) []Entry[string] {
	var out []Entry[string]
	for choice := range 1 << segments {
		var words strings.Builder
		for i := range segments {
			if choice>>i&1 == 0 {
				words.WriteString("/a")
			} else {
				fmt.Fprintf(&words, "/{p%d}", i)
			}
		}
		out = append(out, entryOf(tb, fmt.Sprint(choice), 0, words.String()+"/end"))
	}
	return out
}

func TestWays(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words string
		want  int
	}{
		{"/a", 1},
		{"/a /b /c/d /e/**", 1},
		{"/{x} /{x}/{y}", 1},
		{"/a /{x}", 2},
		{"/a/{x}/b /{x}/a/b /{x}/{y}/b", 2}, // the last two are one list
		{"/a/b /{x}/c other.com /{x}/b", 2},
	} {
		var list []Entry[string]
		for i, word := range strings.Fields(c.words) {
			list = append(list, entryOf(t, fmt.Sprint(i), 0, word))
		}
		if got := newRouter(t, list...).Ways(); got != c.want {
			t.Errorf("%s: %d ways, want %d", c.words, got, c.want)
		}
	}
	if ways := gitHubRouter(t, gitHub(t)).Ways(); ways > 8 {
		t.Errorf("GitHub's API has %d ways", ways)
	}
}

// TestRoutesThatCouldBeSearchedForLongAreRefused bounds what a request can cost, whatever the routes are.
func TestRoutesThatCouldBeSearchedForLongAreRefused(t *testing.T) {
	t.Parallel()
	router := newRouter(t, ambiguous(t, 10)...)
	if router.Ways() != MaxWays {
		t.Errorf("%d ways", router.Ways())
	}
	if _, err := New(ambiguous(t, 11)); err == nil || !strings.Contains(err.Error(), "128 ways") {
		t.Errorf("error %v", err)
	}
	// Without the routes that begin with a parameter there are half as many ways.
	var deletes []string
	for choice := 1; choice < 1<<10; choice += 2 {
		deletes = append(deletes, fmt.Sprint(choice))
	}
	if half, err := router.With(nil, deletes); err != nil || half.Ways() != MaxWays/2 {
		t.Errorf("half of them: %v", err)
	}
}

// BenchmarkWorst is what a request can cost at most: routes of the most ways that are compiled, and paths that go all of them in
// vain. The plain path has as many segments and is found at once.
func BenchmarkWorst(b *testing.B) {
	router := newRouter(b, append(ambiguous(b, 10), entryOf(b, "plain", 0, "/plain/1/2/3/4/5/6/7/8/9/end"))...)
	for name, path := range map[string]string{
		"plain":       "/plain/1/2/3/4/5/6/7/8/9/end",
		"ambiguous":   "/a/a/a/a/a/a/a/a/a/a/nothing",
		"slashes":     strings.Repeat("/a", 4000),
		"one-segment": "/" + strings.Repeat("a", 8000),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				router.Match("api.example.com", "GET", path, nil, nil)
			}
		})
	}
	named := newRouter(b, entryOf(b, "wildcard", 0, "*.example.com /a"), entryOf(b, "exact", 0, "example.com /a"))
	host := strings.Repeat("a.", 4000) + "example.org"
	b.Run("labels", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			named.Match(host, "GET", "/a", nil, nil)
		}
	})
}
