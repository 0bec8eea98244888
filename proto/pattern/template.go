package pattern

import (
	"fmt"
	"strings"
)

// Template makes a path of the values that a pattern took from another, for rewrites and redirects.
type Template struct {
	text string
	// literals stand around the names: one more than there are names.
	literals []string
	names    []string
}

// ParseTemplate reads a template: a path in which {name} stands for the value of a parameter and {**} for what ** matched.
// Errors are *[SyntaxError].
func ParseTemplate(text string) (Template, error) {
	if !strings.HasPrefix(text, "/") {
		return Template{}, syntaxError(text, 0, `does not begin with "/"`, `put "/" in front`)
	}
	if len(text) > MaxPathLength {
		return Template{}, syntaxError(text, MaxPathLength, fmt.Sprintf("is longer than %d bytes", MaxPathLength), "shorten it")
	}
	t := Template{text: text}
	rest := text
	for {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			t.literals = append(t.literals, rest)
			break
		}
		end := strings.IndexByte(rest[open:], '}')
		offset := len(text) - len(rest) + open
		if end < 2 {
			return Template{}, syntaxError(text, offset, "has a { without a name and a }", "write {name}, or %7B for the character")
		}
		t.literals = append(t.literals, rest[:open])
		t.names = append(t.names, rest[open+1:open+end])
		rest = rest[open+end+1:]
	}
	if len(t.names) > MaxParams {
		return Template{}, syntaxError(text, 0, fmt.Sprintf("has more than %d values", MaxParams), "shorten it")
	}
	return t, t.checkLiterals()
}

// checkLiterals makes sure that the template with harmless values is a path in its one form.
func (t Template) checkLiterals() error {
	if at := strings.IndexByte(strings.Join(t.literals, ""), '}'); at >= 0 {
		return syntaxError(t.text, strings.IndexByte(t.text, '}'), "has a } without {", "write {name}, or %7D for the character")
	}
	sample := strings.Join(t.literals, "x")
	normal, err := NormalizePath(sample)
	switch {
	case err != nil:
		return syntaxError(t.text, 0, "is no path that is safe to pass on: "+err.Error(), "write it as a client would ask for it, without dot segments")
	case normal != sample:
		return syntaxError(t.text, 0, fmt.Sprintf("is not in its plain form, which is %q with x for each value", normal), "write that")
	}
	return nil
}

// Names are the values that the template needs, in their order; the caller must not change them.
func (t Template) Names() []string { return t.names }

// String is the template as it was written.
func (t Template) String() string { return t.text }

// Expand puts the values in. Runs of slashes that an empty value leaves become one. It returns false if the result is no path
// in its one form ([NormalizePath]): values that a regular expression cut out can join to an escape or a dot segment that was
// not in the request.
func (t Template) Expand(value func(name string) string) (path string, ok bool) {
	var out strings.Builder
	add := func(text string) {
		for i := range len(text) {
			if text[i] != '/' || out.Len() == 0 || out.String()[out.Len()-1] != '/' {
				out.WriteByte(text[i])
			}
		}
	}
	for i, literal := range t.literals {
		add(literal)
		if i < len(t.names) {
			add(value(t.names[i]))
		}
	}
	normal, err := NormalizePath(out.String())
	return normal, err == nil && normal == out.String()
}

// Lacks is the first of names that the pattern does not capture; empty if it captures all.
func (p Path) Lacks(names []string) string {
	for _, name := range names {
		if !p.capturesName(name) {
			return name
		}
	}
	return ""
}

func (p Path) capturesName(name string) bool {
	if p.regex != nil {
		return p.regex.SubexpIndex(name) >= 0
	}
	for _, capture := range p.captures {
		if capture.Name == name {
			return true
		}
	}
	return false
}
