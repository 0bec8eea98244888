package router

import (
	"strings"

	"tidegate.dev/proto/pattern"
)

// A template is kept as text, in which each segment has a slash in front of it. No byte of a path is one of the two marks.
const (
	// parameterMark is a segment that may be anything but empty.
	parameterMark = '\x00'
	// restMark, the last byte, stands for ** and the slash in front of it.
	restMark = '\x01'

	parameterSegment = "/" + string(parameterMark)

	marks = string(parameterMark) + string(restMark)
)

// tail is what templates have in common behind a place in the tree. It is not changed, and shared by all places alike.
type tail struct {
	text string
	// segments is how many there are, without what ** stands for.
	segments int
	rest     bool
	// forms are those of the list behind the text, if there is one.
	forms []form
}

func newTail(text string) *tail {
	return &tail{text: text, segments: strings.Count(text, "/"), rest: strings.HasSuffix(text, string(restMark))}
}

// fits tells whether a path, which is empty or begins with a slash, fits the tail. It has so many segments.
func (t *tail) fits(path string, segments int) bool {
	if t.segments != segments && (!t.rest || t.segments > segments) {
		return false
	}
	rest, ok := cutTail(t.text, path)
	return ok && rest == ""
}

// textOf writes a template, or of a regular expression the whole segments of its literal prefix.
func textOf(path pattern.Path) string {
	if path.Regexp() != nil {
		whole := path.LiteralPrefix()
		if at := strings.IndexAny(whole, marks); at >= 0 {
			whole = whole[:at]
		}
		return whole[:max(0, strings.LastIndexByte(whole, '/'))]
	}
	var out strings.Builder
	for _, segment := range path.Segments() {
		out.WriteByte('/')
		if segment.Kind == pattern.Parameter {
			out.WriteByte(parameterMark)
		} else {
			out.WriteString(segment.Text)
		}
	}
	if path.Rest() {
		out.WriteByte(restMark)
	}
	return out.String()
}

// cutTail compares a tail with a path that goes on behind some segment: it is empty or begins with a slash. It returns what
// of the path is left when the tail is used up.
func cutTail(tail, path string) (rest string, ok bool) {
	for {
		mark := strings.IndexByte(tail, parameterMark)
		if mark < 0 {
			return cutLast(tail, path)
		}
		if !strings.HasPrefix(path, tail[:mark]) {
			return "", false
		}
		path, tail = path[mark:], tail[mark+1:]
		end := strings.IndexByte(path, '/')
		if end < 0 {
			end = len(path)
		}
		if end == 0 {
			return "", false
		}
		path = path[end:]
	}
}

// cutLast is cutTail for a tail without parameters. What ** stands for counts as used up.
func cutLast(tail, path string) (rest string, ok bool) {
	if n := len(tail) - 1; n >= 0 && tail[n] == restMark {
		if !strings.HasPrefix(path, tail[:n]) || len(path) > n && path[n] != '/' {
			return "", false
		}
		return "", true
	}
	if !strings.HasPrefix(path, tail) || len(path) > len(tail) && path[len(tail)] != '/' {
		return "", false
	}
	return path[len(tail):], true
}

// cutSegment cuts the literal that a template's text begins with from what follows.
func cutSegment(text string) (segment, after string) {
	for i := 1; i < len(text); i++ {
		if text[i] == '/' || text[i] == restMark {
			return text[1:i], text[i:]
		}
	}
	return text[1:], ""
}

// common is the length of the whole segments that both texts begin with. A ** is not among them.
func common(a, b string) int {
	length := 0
	for i := 0; ; i++ {
		if isBoundary(a, i) && isBoundary(b, i) {
			length = i
		}
		if i == len(a) || i == len(b) || a[i] != b[i] || a[i] == restMark {
			return length
		}
	}
}

func isBoundary(text string, at int) bool {
	return at == len(text) || text[at] == '/' || text[at] == restMark
}
