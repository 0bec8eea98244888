package pattern

import (
	"strings"
	"testing"
)

// TestDecisionsAboutPaths is the list of what is done about spellings by which a client could make gateway and upstream see
// different paths. Each becomes one form, which is both matched and forwarded, or is refused; none is passed on as it came if
// its one form is another.
func TestDecisionsAboutPaths(t *testing.T) {
	t.Parallel()
	const refused = ""
	cases := []struct{ raw, becomes, why string }{
		{"/a%2Fb", "/a%2Fb", "an escaped slash is a character of the segment (RFC 3986, 2.2): identifiers hold slashes"},
		{"/a%2fb", "/a%2Fb", "escapes have one spelling (6.2.2.1)"},
		{"/%2Fadmin", "/%2Fadmin", "so this is one segment, and a route for /admin does not see it"},
		{"/a%5Cb", "/a%5Cb", "an escaped backslash is no separator either"},
		{`/a\b`, refused, "RFC 3986 knows no backslash, and Windows takes it for a slash"},

		{"/%61dmin", "/admin", "unreserved characters mean the same without the escape (6.2.2.2)"},
		{"/%2561dmin", "/%2561dmin", "what was escaped twice is decoded once by the upstream, not here"},
		{"/%252e%252e/x", "/%252e%252e/x", "so it is no dot segment here, and after one decoding none either"},
		{"/%u0061", refused, "no escape of any standard"},
		{"/%6", refused, "a broken escape is read in different ways"},
		{"/%zz", refused, "the same"},

		{"/a/../b", "/b", "dot segments are resolved before matching (5.2.4, 6.2.2.3)"},
		{"/a/%2e%2E/b", "/b", "however they are spelled"},
		{"/a/./b/.", "/a/b/", "a dot at the end leaves a slash"},
		{"/../b", refused, "a browser would drop it; a client that sends it wants out of the root"},
		{"/a/..%2Fb", refused, "who decodes before resolving sees a dot segment"},
		{"/a/%2E%2E%2fb", refused, "the same"},
		{"/a%2F..%2Fb", refused, "the same"},
		{"/a/..%5Cb", refused, "the same on Windows"},
		{"/a/..;x=1/b", refused, "servlet containers cut parameters off, then resolve"},
		{"/a/..%3Bx/b", refused, "the same, decoded first"},
		{"/a/..%3Fb", refused, "who decodes and parses again sees a dot segment and a query"},
		{"/a/..%23b", refused, "or a fragment"},
		{"/a/..%20/b", refused, "Windows cuts spaces off the end of names"},
		{"/a/..%09/b", refused, "and some cut off controls"},
		{"/a/.../b", "/a/.../b", "three dots are a name"},
		{"/a./b..", "/a./b..", "so are dots behind a name; Windows cuts them off, other servers must not be asked for another path"},
		{"/.git/..a", "/.git/..a", "and names that begin with dots"},

		{"//a///b", "/a/b", "most servers read a run of slashes as one; what is matched is forwarded"},
		{"//evil.example/x", "/evil.example/x", "so no path is taken for a host by what follows, as in a redirect"},
		{"/a/", "/a/", "a slash at the end is kept: /a and /a/ are two paths"},
		{"", "/", "RFC 9110, 4.2.3"},
		{"a/b", refused, "a path begins with a slash"},

		{"/a;v=1/b", "/a;v=1/b", "parameters belong to the segment (3.3): a route for /a/b does not take it"},
		{"/a%3Bv=1", "/a%3Bv=1", "forwarded as sent, and matched as ;"},
		{"/x%3Apublish", "/x%3Apublish", "the same for each reserved character that may stand in a segment"},

		{"/a%00.png", refused, "a NUL ends the string in C"},
		{"/a\x00", refused, "the same"},
		{"/a\tb", refused, "controls and spaces break the request line"},
		{"/a%0D%0Ab", "/a%0D%0Ab", "escaped they are data, and are never decoded here"},
		{"/a b", refused, "the same as controls"},
		{"/a?b", refused, "the query was cut off before"},
		{"/a#b", refused, "clients do not send fragments"},

		{"/caf\xc3\xa9", "/caf%C3%A9", "bytes above ASCII are escaped"},
		{"/caf%E9", "/caf%E9", "which need not be UTF-8: RFC 3986 does not say what they mean"},
		{"/a/%C0%AE%C0%AE/b", refused, "overlong UTF-8, a dot for decoders that do not check (RFC 3629, 3)"},
		{"/a%C0%AFb", refused, "a slash in two bytes"},
		{"/a\xc0\xafb", refused, "the same, not escaped"},
		{"/a%E0%80%AFb", refused, "in three"},
		{"/a%F0%80%80%AFb", refused, "in four"},
		{"/%EF%BC%8F", "/%EF%BC%8F", "a full-width slash is another character"},

		{"/Admin", "/Admin", "paths have upper and lower case (6.2.2.1)"},
		{"/{id}|^", "/%7Bid%7D%7C%5E", "what has no place in a path is escaped: it does no harm"},
	}
	for _, c := range cases {
		clean, err := NormalizePath(c.raw)
		if clean != c.becomes || (err != nil) != (c.becomes == refused) {
			t.Errorf("%q: %q, %v; want %q, since %s", c.raw, clean, err, c.becomes, c.why)
		}
		if err == nil {
			checkDecoded(t, c.raw, clean)
		}
	}
}

// TestRefusingParameters is the recipe for upstreams that cut parameters off segments: a route in front of all others.
func TestRefusingParameters(t *testing.T) {
	t.Parallel()
	guard, err := ParsePath("~.*;.*")
	if err != nil {
		t.Fatal(err)
	}
	for raw, want := range map[string]bool{"/admin;x": true, "/admin%3Bx/y": true, "/admin%253Bx": false, "/admin": false} {
		clean, err := NormalizePath(raw)
		if err != nil || guard.Matches(clean) != want {
			t.Errorf("%q: %v, %v", raw, !want, err)
		}
	}
}

// TestPatternsAreReadAsRequestsAre holds that a literal of a pattern matches the request that is spelled like it.
func TestPatternsAreReadAsRequestsAre(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"/a%2fb", "/%61", "/caf\xc3\xa9", "/a;v=1", "/x%3Apublish", "/.git/...", "/a%0D"} {
		path, err := ParsePath(text)
		if err != nil {
			t.Fatal(err)
		}
		if clean, err := NormalizePath(text); err != nil || !path.Matches(clean) {
			t.Errorf("%q does not match itself, %v", text, err)
		}
	}
	for _, text := range []string{"/a/%C0%AF", "/..%20", "/a/..%3F", `/a\b`, "/%00"} {
		if _, err := ParsePath(text); err == nil || !strings.Contains(err.Error(), "character ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
