package pattern

import (
	"fmt"
	"strings"
)

// ParsePath reads a path pattern. Errors are *[SyntaxError].
//
//	/orders         this path alone
//	/orders/{id}    one segment that is not empty, in the place of {id}; {} has no name and captures nothing
//	/orders/**      /orders, /orders/ and all below; only at the end
//	~^/v[12]/.*     a regular expression (RE2), which must match the whole path
//
// Literals may be written with or without percent-encoding; a "*" that is meant literally is written %2A.
func ParsePath(text string) (Path, error) {
	switch {
	case text == "":
		return Path{}, syntaxError(text, 0, "is empty", `write "/" for the root or "/**" for every path`)
	case len(text) > MaxPathLength:
		return Path{}, syntaxError(text, MaxPathLength, fmt.Sprintf("is longer than %d bytes", MaxPathLength), "shorten it")
	case text[0] == '~':
		return parseRegex(text)
	case text[0] != '/':
		return Path{}, syntaxError(text, 0, `does not begin with "/"`, `put "/" in front, or "~" if it is a regular expression`)
	}
	return parseTemplate(text)
}

func parseTemplate(text string) (Path, error) {
	path := Path{text: text}
	offset := 1
	for part := range strings.SplitSeq(text[1:], "/") {
		next := offset + len(part) + 1
		last := next > len(text)
		if part == "**" && last {
			path.rest = true
			path.captures = append(path.captures, Capture{Name: "**", Segment: len(path.segments), Rest: true})
			break
		}
		segment, err := parseSegment(text, offset, part, last)
		if err != nil {
			return Path{}, err
		}
		if err := path.add(segment, offset); err != nil {
			return Path{}, err
		}
		offset = next
	}
	if len(path.captures) > MaxParams {
		return Path{}, syntaxError(text, 0, fmt.Sprintf("captures more than %d values", MaxParams), "leave out names that are not used: {}")
	}
	if path.canonical = path.template(); len(path.canonical) > MaxPathLength {
		return Path{}, syntaxError(text, 0, fmt.Sprintf("is longer than %d bytes once percent-encoded", MaxPathLength), "shorten it")
	}
	return path, nil
}

func (p *Path) add(segment Segment, offset int) error {
	if len(p.segments) == MaxSegments {
		return syntaxError(p.text, offset, fmt.Sprintf("has more than %d segments", MaxSegments), `end it with "/**"`)
	}
	if segment.Kind == Parameter && segment.Text != "" {
		for _, capture := range p.captures {
			if capture.Name == segment.Text {
				return syntaxError(p.text, offset, fmt.Sprintf("names {%s} twice", segment.Text), "give each parameter its own name")
			}
		}
		p.captures = append(p.captures, Capture{Name: segment.Text, Segment: len(p.segments)})
	}
	p.segments = append(p.segments, segment)
	return nil
}

func parseSegment(text string, offset int, part string, last bool) (Segment, error) {
	if strings.HasPrefix(part, "{") && strings.HasSuffix(part, "}") && strings.Count(part, "{") == 1 {
		return parseParameter(text, offset, part)
	}
	if at := strings.IndexAny(part, "{}*"); at >= 0 {
		return Segment{}, misplaced(text, offset+at, part)
	}
	if part == "" && !last {
		return Segment{}, syntaxError(text, offset, "has an empty segment", `remove the extra "/": runs of slashes are merged before matching`)
	}
	return parseLiteral(text, offset, part)
}

func parseParameter(text string, offset int, part string) (Segment, error) {
	name := part[1 : len(part)-1]
	for i := range len(name) {
		c := name[i]
		if isAlphanumeric(c) || c == '_' || i > 0 && (c == '-' || c == '.') {
			continue
		}
		return Segment{}, syntaxError(text, offset+1+i, fmt.Sprintf("has %q in the name of a parameter", c),
			"use letters, digits and underscores; for more than one segment or a choice use a regular expression, ~^/…")
	}
	return Segment{Kind: Parameter, Text: name}, nil
}

// misplaced explains a brace or star that is not a whole segment.
func misplaced(text string, at int, part string) error {
	switch {
	case part == "**":
		return syntaxError(text, at, "has ** before the end", "only the last segment may be **; {name} stands for one segment")
	case text[at] == '*':
		return syntaxError(text, at, "has a *", "write {name} for one segment, /** at the end for all below, %2A for the character")
	case text[at] == '}':
		return syntaxError(text, at, "has a } without {", "write {name} as a whole segment, %7D for the character")
	case !strings.Contains(part, "}"):
		return syntaxError(text, at, "has a { without }", "write {name} as a whole segment, %7B for the character")
	}
	return syntaxError(text, at, "has a parameter that is not the whole segment", "write {name} alone between slashes, or use a regular expression, ~^/…")
}

func parseLiteral(text string, offset int, part string) (Segment, error) {
	for i := range len(part) {
		switch at := offset + i; part[i] {
		case '?':
			return Segment{}, syntaxError(text, at, "has a query", "write its conditions under query")
		case '#':
			return Segment{}, syntaxError(text, at, "has a fragment", "remove it: clients do not send fragments")
		case '\\':
			return Segment{}, syntaxError(text, at, "has a backslash", "no request with one is accepted; separate segments with /")
		case '%':
			if value, ok := unescape(part, i); !ok || value == 0 {
				return Segment{}, syntaxError(text, at, "has a % that begins no escape", "write %25 for the character")
			}
		default:
			if classes[part[i]] == illegal {
				return Segment{}, syntaxError(text, at, "has a space or control character", "write it percent-encoded, as in %20")
			}
		}
	}
	plain, err := normalizeCharacters(part)
	if err != nil {
		return Segment{}, fmt.Errorf("normalising %q: %w", part, err)
	}
	if hasOverlong(plain) {
		return Segment{}, syntaxError(text, offset, "has a character in a longer form than UTF-8 allows", "no request with one is accepted; write the character itself")
	}
	if plain == "." || plain == ".." || hidesDotPiece(plain) {
		return Segment{}, syntaxError(text, offset, "has a dot segment", "remove it: dot segments are resolved before matching")
	}
	return Segment{Text: MatchForm(plain)}, nil
}

// template writes the canonical form of a template.
func (p *Path) template() string {
	var out strings.Builder
	for _, segment := range p.segments {
		out.WriteByte('/')
		if segment.Kind == Parameter {
			out.WriteString("{}")
			continue
		}
		out.WriteString(strings.ReplaceAll(segment.Text, "*", "%2A"))
	}
	if p.rest {
		out.WriteString("/**")
	}
	return out.String()
}
