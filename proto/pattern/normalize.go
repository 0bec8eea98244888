package pattern

import (
	"fmt"
	"strings"
)

// PathError says why a request's path is refused. The answer to it is 400.
type PathError struct {
	// Offset is the byte, counted from 0, at which the problem begins; -1 if it is the path as a whole.
	Offset int
	// Problem is what is wrong, without the path itself, so that it can be shown and logged.
	Problem string
}

// Error names the problem and its position, counted from 1.
func (e *PathError) Error() string {
	if e.Offset < 0 {
		return "path " + e.Problem
	}
	return fmt.Sprintf("path, character %d: %s", e.Offset+1, e.Problem)
}

// NormalizePath returns the one form of a request's path (the target without its query) that is matched and forwarded, or
// a *[PathError] if the path is not safe to pass on. A path that has the form already is returned as it is, without
// allocating. Normalising twice is the same as once. The steps follow RFC 3986, section 6.2.2:
//
//   - Escapes of unreserved characters are decoded, once (%2561 stays); other escapes stay and get upper-case digits.
//     So %2F is never a separator. Characters that no path may hold ({, ", bytes above ASCII) are escaped.
//   - "." and ".." are resolved, however they were spelled. A path that would leave the root is refused.
//   - A run of slashes becomes one, since many servers behind a gateway read it so. A trailing slash is kept.
//   - Refused are: NUL in any spelling, other controls, spaces, "?", "#" and backslashes if not escaped, broken escapes, and
//     dot segments that only some servers see: beside an escaped slash or backslash (..%2F), or in front of what some
//     server cuts off (..;x, ..%3F, ..%20). Refused too are UTF-8 sequences that are longer than their character needs (%C0%AF).
//
// The empty path is "/". "*", the target of OPTIONS, is not a path.
func NormalizePath(raw string) (string, error) {
	if isNormal(raw) {
		return raw, nil
	}
	if raw == "" {
		return "/", nil
	}
	if raw[0] != '/' {
		return "", &PathError{Offset: 0, Problem: `does not begin with "/"`}
	}
	plain, err := normalizeCharacters(raw)
	if err != nil {
		return "", err
	}
	if hasOverlong(plain) {
		return "", &PathError{Offset: -1, Problem: "has a character in a longer form than UTF-8 allows"}
	}
	return resolveSegments(plain)
}

// isNormal tells whether [NormalizePath] has nothing to do. It may be wrong in one direction only: false for a normal path.
func isNormal(path string) bool {
	if path == "" || path[0] != '/' || startsDotPiece(path[1:]) {
		return false
	}
	for i := 1; i < len(path); i++ {
		switch classes[path[i]] {
		case unreserved, reserved:
		case slash:
			if path[i-1] == '/' || startsDotPiece(path[i+1:]) {
				return false
			}
		case percent:
			value, ok := unescape(path, i)
			if !ok || value == 0 || classes[value] == unreserved || isLowerHex(path[i+1]) || isLowerHex(path[i+2]) {
				return false
			}
			if (value == '/' || value == '\\') && startsDotPiece(path[i+3:]) || isOverlong(path, i) {
				return false
			}
		default:
			return false
		}
	}
	return true
}

func isLowerHex(c byte) bool { return c >= 'a' }

// normalizeCharacters brings every character into its one spelling, and leaves the segments alone.
func normalizeCharacters(raw string) (string, error) {
	out := make([]byte, 0, len(raw)+16)
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch classes[c] {
		case illegal:
			return "", &PathError{Offset: i, Problem: fmt.Sprintf("byte 0x%02X is not allowed in a path", c)}
		case encoded:
			out = appendEscape(out, c)
		case percent:
			value, ok := unescape(raw, i)
			if !ok {
				return "", &PathError{Offset: i, Problem: "% is not followed by two hexadecimal digits"}
			}
			if value == 0 {
				return "", &PathError{Offset: i, Problem: "NUL is not allowed in a path"}
			}
			if classes[value] == unreserved {
				out = append(out, value)
			} else {
				out = appendEscape(out, value)
			}
			i += 2
		default:
			out = append(out, c)
		}
	}
	return string(out), nil
}

// resolveSegments merges slashes and resolves dot segments of a path whose characters are in their one spelling.
func resolveSegments(path string) (string, error) {
	var kept []string
	directory := false
	for segment := range strings.SplitSeq(path[1:], "/") {
		directory = segment == "" || segment == "." || segment == ".."
		switch {
		case segment == "" || segment == ".":
		case segment == "..":
			if len(kept) == 0 {
				return "", &PathError{Offset: -1, Problem: "leads above the root"}
			}
			kept = kept[:len(kept)-1]
		case hidesDotPiece(segment):
			return "", &PathError{Offset: -1, Problem: "hides a dot segment beside an escaped slash, an escaped backslash or parameters"}
		default:
			kept = append(kept, segment)
		}
	}
	if directory && len(kept) > 0 {
		kept = append(kept, "")
	}
	return "/" + strings.Join(kept, "/"), nil
}

// hidesDotPiece tells whether a server that decodes %2F or %5C, or drops path parameters, would find a dot segment here.
func hidesDotPiece(segment string) bool {
	if startsDotPiece(segment) {
		return true
	}
	for i := 0; i+2 < len(segment); i++ {
		if escape := segment[i : i+3]; (escape == "%2F" || escape == "%5C") && startsDotPiece(segment[i+3:]) {
			return true
		}
	}
	return false
}

// startsDotPiece tells whether text begins with "." or ".." followed by the end or by what some server takes for an end.
func startsDotPiece(text string) bool {
	if text == "" || text[0] != '.' {
		return false
	}
	text = strings.TrimPrefix(text[1:], ".")
	if text == "" || text[0] == '/' || text[0] == ';' {
		return true
	}
	value, ok := byte(0), false
	if text[0] == '%' {
		value, ok = unescape(text, 0)
	}
	return ok && endsPiece(value)
}

// endsPiece tells whether a server that decodes c may take a segment to be over there: separators, what begins a query or a
// fragment, and what Windows cuts off the end of names.
func endsPiece(c byte) bool {
	return c <= ' ' || c == 0x7f || strings.IndexByte(`/\;?#`, c) >= 0
}

// hasOverlong looks for what isOverlong tells, in a path whose bytes above ASCII are escaped.
func hasOverlong(path string) bool {
	for i := range len(path) {
		if path[i] == '%' && isOverlong(path, i) {
			return true
		}
	}
	return false
}

// isOverlong tells whether the escape at path[at:] and the next begin a UTF-8 sequence that is longer than its character needs
// (RFC 3629, section 3), as a way to write a slash or a dot for decoders that do not check.
func isOverlong(path string, at int) bool {
	first, ok := unescape(path, at)
	if !ok || first < 0xC0 || at+3 >= len(path) || path[at+3] != '%' {
		return false
	}
	second, ok := unescape(path, at+3)
	if !ok || second < 0x80 || second > 0xBF {
		return false
	}
	return first <= 0xC1 || first == 0xE0 && second < 0xA0 || first == 0xF0 && second < 0x90
}

// MatchForm returns what patterns are compared with: the normalised path with the escapes of reserved characters that may
// stand in a segment (!$&'()*+,;=:@) decoded too. The number of segments stays the same. It does not allocate if there are none.
func MatchForm(path string) string {
	for i := strings.IndexByte(path, '%'); i >= 0 && i+2 < len(path); i++ {
		if path[i] != '%' {
			continue
		}
		if value, ok := unescape(path, i); ok && classes[value] == reserved {
			return decodeReserved(path, i)
		}
	}
	return path
}

func decodeReserved(path string, from int) string {
	out := append(make([]byte, 0, len(path)), path[:from]...)
	for i := from; i < len(path); i++ {
		if path[i] == '%' {
			if value, ok := unescape(path, i); ok && classes[value] == reserved {
				out = append(out, value)
				i += 2
				continue
			}
		}
		out = append(out, path[i])
	}
	return string(out)
}
