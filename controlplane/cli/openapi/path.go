package openapi

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"tidegate.dev/proto/pattern"
)

// template is an OpenAPI path as patterns of ours.
type template struct {
	patterns []string
	// narrow says that a parameter is only a part of a segment, so that the pattern is a regular expression. It is meant to go
	// before templates that fit the same paths, which it would not by itself.
	narrow bool
	notes  []string
}

var (
	parameterInPath = regexp.MustCompile(`\{([^{}]*)\}`)
	badInName       = regexp.MustCompile(`[^A-Za-z0-9_]+`)
)

// translate makes patterns of an OpenAPI path. many are the parameters whose values may hold slashes.
func translate(prefix, path string, many map[string]bool) (template, error) {
	if !strings.HasPrefix(path, "/") {
		return template{}, fmt.Errorf("the path %q does not begin with a slash", path)
	}
	var t template
	segments := strings.Split(path[1:], "/")
	for i, segment := range segments {
		names := parameterInPath.FindAllStringSubmatch(segment, -1)
		whole := len(names) == 1 && names[0][0] == segment
		if len(names) > 0 && !whole {
			t.narrow = true
		}
		for _, name := range names {
			if many[name[1]] && i < len(segments)-1 {
				t.notes = append(t.notes, fmt.Sprintf("{%s} may hold slashes but does not end the path: only values of one segment match", name[1]))
			}
		}
	}
	if t.narrow {
		t.patterns = []string{expression(prefix + path)}
		t.notes = append(t.notes, "a parameter is part of a segment: a regular expression of priority 1 matches it")
		return t, t.check()
	}
	last := parameterInPath.FindStringSubmatch(segments[len(segments)-1])
	plain := prefix + parameterInPath.ReplaceAllStringFunc(path, func(p string) string {
		return "{" + strings.Trim(badInName.ReplaceAllString(p, "_"), "_") + "}"
	})
	t.patterns = []string{plain}
	if last != nil && many[last[1]] {
		t.patterns = append(t.patterns, plain+"/**")
	}
	return t, t.check()
}

// expression is a path with parameters inside of segments as a regular expression.
func expression(path string) string {
	var b strings.Builder
	b.WriteByte('~')
	rest := 0
	for _, at := range parameterInPath.FindAllStringIndex(path, -1) {
		b.WriteString(regexp.QuoteMeta(path[rest:at[0]]) + "[^/]+")
		rest = at[1]
	}
	b.WriteString(regexp.QuoteMeta(path[rest:]))
	return b.String()
}

func (t template) check() error {
	for _, text := range t.patterns {
		if _, err := pattern.ParsePath(text); err != nil {
			return err
		}
	}
	return nil
}

// canonical is the identity of the patterns, in which parameters have no names.
func (t template) canonical() string {
	var all []string
	for _, text := range t.patterns {
		if p, err := pattern.ParsePath(text); err == nil {
			all = append(all, p.String())
		}
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}
