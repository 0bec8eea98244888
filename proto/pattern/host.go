package pattern

import (
	"cmp"
	"net/netip" //nolint:depguard // it parses addresses and does no I/O
	"strings"
)

// Host is a host pattern: an exact name or address, a wildcard such as *.example.com, or any host. The zero value is any.
type Host struct {
	// name is the exact name, or for a wildcard what follows "*."; lower case, without port and trailing dot.
	name     string
	wildcard bool
}

// ParseHost reads a host pattern. "" and "*" mean any host; "*.example.com" means one or more labels in front of
// .example.com, not example.com itself. Names are compared without regard to case; internationalised names are written in
// their ASCII form (xn--…). The port of a request is never compared, so a pattern has none. Errors are *[SyntaxError].
func ParseHost(text string) (Host, error) {
	if text == "" || text == "*" {
		return Host{}, nil
	}
	if strings.HasPrefix(text, "[") {
		return parseAddress(text)
	}
	if at := strings.Index(text, "://"); at >= 0 {
		return Host{}, syntaxError(text, at, "is a URL", "write the host alone")
	}
	name, wildcard := strings.CutPrefix(text, "*.")
	offset := len(text) - len(name)
	name = strings.TrimSuffix(name, ".")
	if len(name) > 253 {
		return Host{}, syntaxError(text, 0, "is longer than 253 bytes", "no DNS name is; shorten it")
	}
	for label := range strings.SplitSeq(name, ".") {
		if err := checkLabel(text, offset, label); err != nil {
			return Host{}, err
		}
		offset += len(label) + 1
	}
	return Host{name: lower(name), wildcard: wildcard}, nil
}

func checkLabel(text string, offset int, label string) error {
	switch {
	case label == "":
		return syntaxError(text, offset, "has an empty label", "remove the extra dot")
	case len(label) > 63:
		return syntaxError(text, offset, "has a label of more than 63 bytes", "no DNS name has; shorten it")
	}
	for i := range len(label) {
		at, c := offset+i, label[i]
		switch {
		case isAlphanumeric(c) || c == '-' || c == '_':
		case c == '*':
			return syntaxError(text, at, "has a * that is not the whole first label", `write "*.example.com" for every name below example.com`)
		case c == ':':
			return syntaxError(text, at, "has a port", "leave it out: the port of a request is not compared; an IPv6 address stands in brackets")
		case c == '/':
			return syntaxError(text, at, "has a path", "write the host alone, and the path under paths")
		case c >= 0x80:
			return syntaxError(text, at, "has a character outside ASCII", "write the name in its ASCII form, xn--…")
		default:
			return syntaxError(text, at, "has a character that no host has", "use letters, digits, hyphens and dots")
		}
	}
	return nil
}

func parseAddress(text string) (Host, error) {
	end := strings.IndexByte(text, ']')
	if end < 0 {
		return Host{}, syntaxError(text, len(text)-1, "has no closing bracket", "write an IPv6 address as [2001:db8::1]")
	}
	if end != len(text)-1 {
		return Host{}, syntaxError(text, end+1, "has a port", "leave it out: the port of a request is not compared")
	}
	address, err := netip.ParseAddr(text[1:end])
	if err != nil || !address.Is6() || address.Zone() != "" {
		return Host{}, syntaxError(text, 1, "is not an IPv6 address", "write it as [2001:db8::1]; an IPv4 address has no brackets")
	}
	return Host{name: "[" + address.String() + "]"}, nil
}

// NormalizeHost returns the host of a request's Host or :authority in the form that patterns are compared with: without
// port and trailing dot, lower case, IPv6 addresses in their canonical text. It does not allocate if the host is in lower
// case already and no IPv6 address. It judges nothing: what is no host simply equals no pattern.
func NormalizeHost(authority string) string {
	if strings.HasPrefix(authority, "[") {
		return normalizeAddress(authority)
	}
	host := authority
	if colon := strings.LastIndexByte(host, ':'); colon >= 0 && isPort(host[colon+1:]) {
		host = host[:colon]
	}
	return lower(strings.TrimSuffix(host, "."))
}

func normalizeAddress(authority string) string {
	end := strings.IndexByte(authority, ']')
	if end < 0 {
		return authority
	}
	if port := authority[end+1:]; port != "" && (port[0] != ':' || !isPort(port[1:])) {
		return authority
	}
	address, err := netip.ParseAddr(authority[1:end])
	if err != nil {
		return authority
	}
	return "[" + address.String() + "]"
}

// String is the canonical form: "*" for any, else the name in lower case, with "*." in front of a wildcard's.
func (h Host) String() string {
	switch {
	case h.IsAny():
		return "*"
	case h.wildcard:
		return "*." + h.name
	}
	return h.name
}

// IsAny tells whether every host matches.
func (h Host) IsAny() bool { return h.name == "" }

// Wildcard returns what follows "*." in a wildcard, without a leading dot, and whether h is one.
func (h Host) Wildcard() (suffix string, ok bool) {
	if !h.wildcard {
		return "", false
	}
	return h.name, true
}

// Matches tells whether host, as [NormalizeHost] returns it, fits the pattern.
func (h Host) Matches(host string) bool {
	switch {
	case h.IsAny():
		return true
	case h.wildcard:
		return len(host) > len(h.name)+1 && strings.HasSuffix(host, "."+h.name)
	}
	return host == h.name
}

// Covers tells whether every host that fits other fits h too.
func (h Host) Covers(other Host) bool {
	switch {
	case h.IsAny() || h == other:
		return true
	case other.IsAny() || !h.wildcard:
		return false
	}
	return h.Matches(other.name)
}

// Overlaps tells whether some host fits both patterns.
func (h Host) Overlaps(other Host) bool { return h.Covers(other) || other.Covers(h) }

// CompareHosts orders patterns: negative if a goes before b. Patterns that fit one host compare 0 only if they are equal.
func CompareHosts(a, b Host) int {
	return cmp.Or(
		cmp.Compare(a.rank(), b.rank()),
		-cmp.Compare(len(a.name), len(b.name)),
		cmp.Compare(a.name, b.name),
	)
}

func (h Host) rank() int {
	switch {
	case h.IsAny():
		return 2
	case h.wildcard:
		return 1
	}
	return 0
}

func isPort(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return true
}

// lower is strings.ToLower for ASCII alone: other bytes are not letters in a host.
func lower(text string) string {
	for i := range len(text) {
		if text[i] >= 'A' && text[i] <= 'Z' {
			return lowerFrom(text, i)
		}
	}
	return text
}

func lowerFrom(text string, from int) string {
	out := []byte(text)
	for i := from; i < len(out); i++ {
		if out[i] >= 'A' && out[i] <= 'Z' {
			out[i] += 'a' - 'A'
		}
	}
	return string(out)
}
