package router

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"tidegate.dev/proto/pattern"
)

// operation is one method on one path template of GitHub's REST API.
type operation struct{ method, template string }

// gitHub reads testdata/github-paths.txt.
func gitHub(t testing.TB) []operation {
	t.Helper()
	text, err := os.ReadFile("testdata/github-paths.txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []operation
	for line := range strings.Lines(string(text)) {
		template, methods, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || template == "#" {
			continue
		}
		for method := range strings.SplitSeq(methods, ",") {
			out = append(out, operation{method, template})
		}
	}
	if len(out) < 1000 {
		t.Fatalf("only %d operations", len(out))
	}
	return out
}

var (
	parameter = regexp.MustCompile(`\{([^}]*)\}`)
	mixed     = regexp.MustCompile(`\}[^/]|[^/]\{`)
)

// pathOf writes the template as a path pattern: as it is, or as a regular expression if a parameter is part of a segment.
func (o operation) pathOf(t testing.TB) pattern.Path {
	t.Helper()
	text := o.template
	if mixed.MatchString(text) {
		text = "~" + parameter.ReplaceAllString(strings.ReplaceAll(text, ".", `\.`), `(?P<$1>[^/]+?)`)
	}
	path, err := pattern.ParsePath(text)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// request is a path that fits the template, each parameter's value made of its name.
func (o operation) request() string { return parameter.ReplaceAllString(o.template, "the-$1") }

func gitHubRouter(t testing.TB, operations []operation) *Router[operation] {
	t.Helper()
	var entries []Entry[operation]
	for _, o := range operations {
		rule := pattern.Rule{Name: o.method + " " + o.template, Methods: []string{o.method}, Paths: []pattern.Path{o.pathOf(t)}}
		if rule.Paths[0].Regexp() != nil {
			// compare/{base}...{head} goes before compare/{basehead}, which would take its requests.
			rule.Priority = 1
		}
		entries = append(entries, Entry[operation]{rule, o})
	}
	return newRouter(t, entries...)
}

// TestGitHub sends one request for each operation of GitHub's API, and asks for the right route and the right values.
func TestGitHub(t *testing.T) {
	t.Parallel()
	operations := gitHub(t)
	router := gitHubRouter(t, operations)
	var params Params
	for _, o := range operations {
		got, ok := router.Match("api.github.com", o.method, o.request(), nil, &params)
		if !ok || got != o {
			t.Errorf("%s %s: %v, %v", o.method, o.request(), got, ok)
			continue
		}
		names := parameter.FindAllStringSubmatch(o.template, -1)
		if params.Len() != len(names) {
			t.Errorf("%s: %d values", o.template, params.Len())
			continue
		}
		for i, name := range names {
			if gotName, value := params.At(i); gotName != name[1] || value != "the-"+name[1] {
				t.Errorf("%s: %s is %q", o.template, gotName, value)
			}
		}
		if _, ok := router.Match("api.github.com", "TRACE", o.request(), nil, nil); ok {
			t.Errorf("TRACE %s is matched", o.request())
		}
	}
}
