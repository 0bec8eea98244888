package pattern

import (
	"cmp"
	"regexp"
	"strings"
)

// SegmentKind is what one segment of a template matches.
type SegmentKind uint8

const (
	// Literal matches the segment that equals its text.
	Literal SegmentKind = iota
	// Parameter matches any one segment that is not empty.
	Parameter
)

// Segment is one segment of a template.
type Segment struct {
	Kind SegmentKind
	// Text is a literal in its [MatchForm], or the name of a parameter, which may be empty.
	Text string
}

// Path is a path pattern, made by [ParsePath]: a template or a regular expression. Paths are not changed after that and may
// be used by several goroutines.
type Path struct {
	text      string
	canonical string
	segments  []Segment
	rest      bool
	captures  []Capture
	regex     *regexp.Regexp
	prefix    string
}

// Capture is a value that a template takes from the path.
type Capture struct {
	// Name is the parameter's name, "**" for what a trailing ** matched.
	Name string
	// Segment is the index of the segment, counted from 0; for "**" of the first segment that it covers.
	Segment int
	// Rest tells that the value reaches to the end of the path.
	Rest bool
}

// anyPath is what a rule without paths matches.
func anyPath() Path {
	return Path{text: "/**", canonical: "/**", rest: true, captures: []Capture{{Name: "**", Rest: true}}}
}

// Source is the pattern as it was written.
func (p Path) Source() string { return p.text }

// String is the canonical form, which is the pattern's identity: parameters without their names, literals in one spelling.
func (p Path) String() string { return p.canonical }

// Segments are the template's segments without a trailing **; the caller must not change them. None for a regular expression.
func (p Path) Segments() []Segment { return p.segments }

// Rest tells whether the template ends in **.
func (p Path) Rest() bool { return p.rest }

// Captures are the values that the template takes from a path, from left to right; the caller must not change them.
// A regular expression captures by its named groups instead.
func (p Path) Captures() []Capture { return p.captures }

// Regexp is the regular expression, anchored at both ends, nil for a template. It is applied to the [MatchForm] of at most
// [MaxRegexText] bytes.
func (p Path) Regexp() *regexp.Regexp { return p.regex }

// LiteralPrefix is what every path begins with that the regular expression matches. Empty for a template.
func (p Path) LiteralPrefix() string { return p.prefix }

// Matches tells whether path, as [NormalizePath] returns it, fits the pattern.
func (p Path) Matches(path string) bool {
	if !strings.HasPrefix(path, "/") {
		return false
	}
	path = MatchForm(path)
	if p.regex != nil {
		return len(path) <= MaxRegexText && p.regex.MatchString(path)
	}
	parts := strings.Split(path[1:], "/")
	if len(parts) < len(p.segments) || len(parts) > len(p.segments) && !p.rest {
		return false
	}
	for i, segment := range p.segments {
		if !segment.matches(parts[i]) {
			return false
		}
	}
	return true
}

func (s Segment) matches(part string) bool {
	if s.Kind == Parameter {
		return part != ""
	}
	return part == s.Text
}

// Covers tells whether every path that fits other fits p too. False may mean "unknown" where regular expressions are involved.
func (p Path) Covers(other Path) bool {
	switch {
	case p.canonical == other.canonical:
		return true
	case p.regex != nil:
		literal, ok := other.literal()
		return ok && p.regex.MatchString(literal)
	case other.regex != nil:
		return p.coversPrefix(other.prefix)
	}
	return p.coversTemplate(other)
}

func (p Path) coversTemplate(other Path) bool {
	if p.rest {
		if len(other.segments) < len(p.segments) {
			return false
		}
	} else if other.rest || len(other.segments) != len(p.segments) {
		return false
	}
	for i, segment := range p.segments {
		theirs := other.segments[i]
		switch {
		case segment.Kind == Literal && segment != theirs:
			return false
		case segment.Kind == Parameter && theirs.Kind == Literal && theirs.Text == "":
			return false
		}
	}
	return true
}

// coversPrefix tells whether p is literals and ** alone, and every path that begins with prefix fits it.
func (p Path) coversPrefix(prefix string) bool {
	if !p.rest {
		return false
	}
	lead := p.lead()
	return len(p.segments) == 0 || !p.hasParameter() && strings.HasPrefix(prefix, lead+"/")
}

// Overlaps tells whether some path fits both patterns. It says true where regular expressions leave it open.
func (p Path) Overlaps(other Path) bool {
	if p.regex != nil {
		return p.regexOverlaps(other)
	}
	if other.regex != nil {
		return other.regexOverlaps(p)
	}
	for i := range max(len(p.segments), len(other.segments)) {
		if i == len(p.segments) {
			return p.rest
		}
		if i == len(other.segments) {
			return other.rest
		}
		if !p.segments[i].overlaps(other.segments[i]) {
			return false
		}
	}
	return true
}

func (s Segment) overlaps(other Segment) bool {
	switch {
	case s.Kind == Literal:
		return other.matches(s.Text)
	case other.Kind == Literal:
		return s.matches(other.Text)
	}
	return true
}

func (p Path) regexOverlaps(other Path) bool {
	if literal, ok := other.literal(); ok {
		return p.regex.MatchString(literal)
	}
	lead := other.prefix
	if other.regex == nil {
		lead = other.lead()
	}
	common := min(len(lead), len(p.prefix))
	return lead[:common] == p.prefix[:common]
}

// literal is the only path that fits a template without parameters and **.
func (p Path) literal() (string, bool) {
	if p.regex != nil || p.rest || p.hasParameter() {
		return "", false
	}
	return p.lead(), true
}

func (p Path) hasParameter() bool {
	for _, segment := range p.segments {
		if segment.Kind == Parameter {
			return true
		}
	}
	return false
}

// lead is the text that every path begins with that fits the template: its segments up to the first parameter.
func (p Path) lead() string {
	var lead strings.Builder
	for _, segment := range p.segments {
		lead.WriteByte('/')
		if segment.Kind == Parameter {
			break
		}
		lead.WriteString(segment.Text)
	}
	return lead.String()
}

// ComparePaths orders patterns: negative if a goes before b. Two that fit one path compare 0 only if their canonical forms
// are equal.
func ComparePaths(a, b Path) int {
	if a.regex != nil || b.regex != nil {
		return compareWithRegex(a, b)
	}
	for i := range max(len(a.segments), len(b.segments)) + 1 {
		if order := cmp.Compare(a.rankAt(i), b.rankAt(i)); order != 0 {
			return order
		}
	}
	return cmp.Compare(a.canonical, b.canonical)
}

// rankAt is the place of segment i in the order. The end of a template goes before **, which also matches nothing.
func (p Path) rankAt(i int) int {
	switch {
	case i < len(p.segments):
		return int(p.segments[i].Kind)
	case p.rest:
		return 3
	}
	return 2
}

func compareWithRegex(a, b Path) int {
	switch {
	case b.regex == nil:
		return 1
	case a.regex == nil:
		return -1
	}
	return cmp.Or(
		-cmp.Compare(len(a.prefix), len(b.prefix)),
		-cmp.Compare(len(a.canonical), len(b.canonical)),
		cmp.Compare(a.canonical, b.canonical),
	)
}
