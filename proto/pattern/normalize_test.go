package pattern

import (
	"errors"
	"strings"
	"testing"
)

func TestNormalizePath(t *testing.T) {
	t.Parallel()
	cases := []struct{ raw, clean string }{
		{"", "/"},
		{"/", "/"},
		{"/orders/1", "/orders/1"},
		{"/orders/", "/orders/"},
		{"/a%20b", "/a%20b"},
		{"/a%2fb", "/a%2Fb"},
		{"/%7Eme/%41%2d", "/~me/A-"},
		{"/a%252e%252e/b", "/a%252e%252e/b"},
		{"/x%3Apublish", "/x%3Apublish"},
		{"/a;b=c,d+e@f:g!$&'()*", "/a;b=c,d+e@f:g!$&'()*"},
		{"/caf\xc3\xa9/{id}|\"<>^`[]", "/caf%C3%A9/%7Bid%7D%7C%22%3C%3E%5E%60%5B%5D"},
		{"//a///b//", "/a/b/"},
		{"//", "/"},
		{"/./a/./b/.", "/a/b/"},
		{"/a/../b", "/b"},
		{"/a/b/..", "/a/"},
		{"/a/..", "/"},
		{"/a/%2e%2E/b", "/b"},
		{"/a/.%2e/b", "/b"},
		{"/a//../b", "/b"},
		{"/.well-known/x", "/.well-known/x"},
		{"/..a/...", "/..a/..."},
		{"/a%2Fb..", "/a%2Fb.."},
		{"/C:%5CUsers", "/C:%5CUsers"},
	}
	for _, c := range cases {
		clean, err := NormalizePath(c.raw)
		if err != nil || clean != c.clean {
			t.Errorf("%q: %q, %v; want %q", c.raw, clean, err, c.clean)
		}
	}
}

func TestNormalizePathRefuses(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"*", "orders", "http://a/", "/a?b", "/a#b", "/a b", "/a\x00", "/a%00", "/a\r\nb", "/a\x7f", `/a\b`,
		"/%", "/a%2", "/a%zz", "/a%2g",
		"/..", "/../a", "/a/../..", "/%2e%2e/a", "/a/../../b",
		"/a/..%2Fb", "/a/..%2fb", "/a%2F..", "/a%2F../b", "/a%5c..%5cb", "/..;/a", "/a/..;x=1/b", "/a/.%3bx", "/%2e%2e%2fa", "/a%2F.%2Fb",
	} {
		clean, err := NormalizePath(raw)
		var refused *PathError
		if !errors.As(err, &refused) {
			t.Errorf("%q becomes %q, %v", raw, clean, err)
		}
	}
}

func TestNormalizeCleanPathDoesNotAllocate(t *testing.T) {
	for _, path := range []string{"/", "/orders/1/lines/2", "/a%20b%2Fc", "/.well-known/..a", "/" + strings.Repeat("segment/", 100)} {
		if n := testing.AllocsPerRun(100, func() { _, _ = NormalizePath(path); _ = MatchForm(path) }); n != 0 {
			t.Errorf("%q: %v allocations", path, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _ = NormalizeHost("api.example.com:8080") }); n != 0 {
		t.Errorf("host: %v allocations", n)
	}
}

func FuzzNormalizePath(f *testing.F) {
	for _, seed := range []string{"/a/../b", "/%2e%2E/", "//x//", "/a%2F..", "/a;b", "/\xff", "/%C3%A9", "/a/.%3b", "/%252e", "/..%20", "/.%3F", "/\xc0\xaf", "/%E0%80%AF"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		clean, err := NormalizePath(raw)
		if err != nil {
			return
		}
		if again, err := NormalizePath(clean); err != nil || again != clean {
			t.Fatalf("%q becomes %q, then %q, %v", raw, clean, again, err)
		}
		if !isNormal(clean) {
			t.Fatalf("%q becomes %q, which takes the slow way", raw, clean)
		}
		if clean[0] != '/' || strings.Contains(clean, "//") || strings.ContainsAny(clean, "\\?# \x00") {
			t.Fatalf("%q becomes %q", raw, clean)
		}
		checkDecoded(t, raw, clean)
		form := MatchForm(clean)
		if MatchForm(form) != form || strings.Count(form, "/") != strings.Count(clean, "/") || decodeAll(form) != decodeAll(clean) {
			t.Fatalf("%q has match form %q", clean, form)
		}
	})
}

// checkDecoded holds that a server that decodes everything sees no dot segment either, also one that cuts off parameters, a
// query, a fragment, spaces and controls, and no slash in a form that UTF-8 does not allow.
func checkDecoded(t *testing.T, raw, clean string) {
	t.Helper()
	decoded := decodeAll(clean)
	for segment := range strings.FieldsFuncSeq(decoded, func(r rune) bool { return r == '/' || r == '\\' }) {
		end := strings.IndexFunc(segment, func(r rune) bool { return r <= ' ' || strings.ContainsRune(";?#\x7f", r) })
		if end < 0 {
			end = len(segment)
		}
		if name := segment[:end]; name == "." || name == ".." {
			t.Fatalf("%q becomes %q, which hides a dot segment", raw, clean)
		}
	}
	for i := 0; i+1 < len(decoded); i++ {
		if first, second := decoded[i], decoded[i+1]; (first == 0xC0 || first == 0xC1) && second&0xC0 == 0x80 {
			t.Fatalf("%q becomes %q, which has an overlong character", raw, clean)
		}
	}
}

// decodeAll decodes every escape once.
func decodeAll(path string) string {
	var out []byte
	for i := 0; i < len(path); i++ {
		if value, ok := unescape(path, i); path[i] == '%' && ok {
			out = append(out, value)
			i += 2
			continue
		}
		out = append(out, path[i])
	}
	return string(out)
}

func FuzzParsePath(f *testing.F) {
	for _, seed := range []string{"/", "/a/{id}/**", "~^/v[12]/", "/%2A", "/a{b}c", "~(a", "/é", "~/\\x{FFFD}x"} {
		f.Add(seed, "/v1/")
	}
	f.Fuzz(func(t *testing.T, text, raw string) {
		path, err := ParsePath(text)
		if err != nil {
			return
		}
		again, err := ParsePath(path.String())
		if err != nil || again.String() != path.String() || ComparePaths(path, again) != 0 {
			t.Fatalf("%q is canonically %q, which reads as %q, %v", text, path, again, err)
		}
		clean, err := NormalizePath(raw)
		if err != nil {
			return
		}
		if path.Matches(clean) != again.Matches(clean) {
			t.Fatalf("%q and its canonical form disagree about %q", text, clean)
		}
		if path.Matches(clean) && !strings.HasPrefix(MatchForm(clean), path.LiteralPrefix()) {
			t.Fatalf("%q matches %q outside its prefix %q", text, clean, path.LiteralPrefix())
		}
	})
}

func FuzzParseHost(f *testing.F) {
	for _, seed := range []string{"example.com", "*.a.b", "[::1]", "a:80", "*"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		host, err := ParseHost(text)
		if err != nil {
			return
		}
		again, err := ParseHost(host.String())
		if err != nil || again != host {
			t.Fatalf("%q is canonically %q, which reads as %q, %v", text, host, again, err)
		}
		if _, wildcard := host.Wildcard(); !wildcard && !host.IsAny() && !host.Matches(NormalizeHost(text)) {
			t.Fatalf("%q does not match itself", text)
		}
	})
}

func BenchmarkNormalizePath(b *testing.B) {
	for name, path := range map[string]string{"clean": "/repos/octocat/hello-world/issues/1347", "escaped": "/files/a%20b%2Fc.txt", "dots": "/a/b/../c"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = NormalizePath(path)
			}
		})
	}
}
