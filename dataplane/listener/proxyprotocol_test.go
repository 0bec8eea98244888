package listener

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pires/go-proxyproto"
)

// binaryHeader is a header of version 2.
func binaryHeader(command, protocol byte, rest string) string {
	return proxySignature + string([]byte{command, protocol, byte(len(rest) >> 8), byte(len(rest))}) + rest
}

const (
	four = "\xc0\x00\x02\x01\xc6\x33\x64\x02\x30\x39\x01\xbb"
	six  = "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
		"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x30\x39\x01\xbb"
	mapped = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc0\x00\x02\x01" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xc6\x33\x64\x02\x30\x39\x01\xbb"
)

func TestProxyHeaders(t *testing.T) {
	t.Parallel()
	const refused, nobody = "refused", "nobody"
	for name, c := range map[string]struct{ sent, want string }{
		"1, IPv4":              {"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n", "192.0.2.1:12345"},
		"1, IPv6":              {"PROXY TCP6 2001:db8::1 2001:db8::2 12345 443\r\n", "[2001:db8::1]:12345"},
		"1, unknown":           {"PROXY UNKNOWN\r\n", nobody},
		"1, unknown with more": {"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", nobody},
		"1, the longest":       {"PROXY UNKNOWN " + strings.Repeat("x", 107-16) + "\r\n", nobody},
		"1, too long":          {"PROXY UNKNOWN " + strings.Repeat("x", 107-15) + "\r\n", refused},
		"1, a bare line feed":  {"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\n", refused},
		"1, a family mixed up": {"PROXY TCP4 2001:db8::1 198.51.100.2 12345 443\r\n", refused},
		"1, a zone":            {"PROXY TCP6 fe80::1%eth0 2001:db8::2 12345 443\r\n", refused},
		"1, a large port":      {"PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n", refused},
		"1, a padded port":     {"PROXY TCP4 192.0.2.1 198.51.100.2 012 443\r\n", refused},
		"1, a signed port":     {"PROXY TCP4 192.0.2.1 198.51.100.2 +12 443\r\n", refused},
		"1, two spaces":        {"PROXY TCP4  192.0.2.1 198.51.100.2 12345 443\r\n", refused},
		"1, too few fields":    {"PROXY TCP4 192.0.2.1 198.51.100.2 12345\r\n", refused},
		"1, no such transport": {"PROXY UDP4 192.0.2.1 198.51.100.2 12345 443\r\n", refused},
		"2, IPv4":              {binaryHeader(0x21, 0x11, four), "192.0.2.1:12345"},
		"2, IPv6":              {binaryHeader(0x21, 0x21, six), "[2001:db8::1]:12345"},
		"2, IPv4 in IPv6":      {binaryHeader(0x21, 0x21, mapped), "192.0.2.1:12345"},
		"2, with extensions":   {binaryHeader(0x21, 0x11, four+"\x04\x00\x02ab"), "192.0.2.1:12345"},
		"2, for itself":        {binaryHeader(0x20, 0x00, ""), nobody},
		"2, for itself, long":  {binaryHeader(0x20, 0x11, four), nobody},
		"2, a Unix socket":     {binaryHeader(0x21, 0x31, strings.Repeat("\x00", 216)), nobody},
		"2, no family":         {binaryHeader(0x21, 0x00, ""), nobody},
		"2, addresses cut":     {binaryHeader(0x21, 0x11, four[:11]), refused},
		"2, version 3":         {binaryHeader(0x31, 0x11, four), refused},
		"2, command 2":         {binaryHeader(0x22, 0x11, four), refused},
		"2, family 4":          {binaryHeader(0x21, 0x41, four), refused},
		"2, transport 3":       {binaryHeader(0x21, 0x13, four), refused},
		"2, too long":          {binaryHeader(0x21, 0x11, four+strings.Repeat("\x00", proxyBinary)), refused},
		"none":                 {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", refused},
		"TLS":                  {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00", refused},
		"an end":               {"PROXY TCP4 192", refused},
		"nothing":              {"", refused},
	} {
		const behind = "GET / HTTP/1.1"
		r := strings.NewReader(c.sent + behind)
		if strings.HasPrefix(name, "an end") || name == "nothing" {
			r = strings.NewReader(c.sent)
		}
		header, err := readProxyHeader(r)
		got := header.source.String()
		switch {
		case err != nil:
			got = refused
		case !header.source.IsValid():
			got = nobody
		}
		if got != c.want {
			t.Errorf("%s: %s (%v), want %s", name, got, err, c.want)
		}
		if rest, _ := io.ReadAll(r); err == nil && string(rest) != behind {
			t.Errorf("%s: %q is left to read", name, rest)
		}
	}
}

// FuzzProxyHeader compares with another implementation: what is accepted here says there the same, and consumes as much.
func FuzzProxyHeader(f *testing.F) {
	for _, seed := range []string{
		"PROXY TCP4 192.0.2.1 198.51.100.2 12345 443\r\n", "PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n", "PROXY UNKNOWN\r\n",
		binaryHeader(0x21, 0x11, four), binaryHeader(0x21, 0x21, six), binaryHeader(0x20, 0, ""), binaryHeader(0x21, 0x11, four+"\x04\x00\x01a"),
	} {
		f.Add([]byte(seed + "GET"))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		r := bytes.NewReader(sent)
		header, err := readProxyHeader(r)
		if err != nil {
			return
		}
		if consumed := len(sent) - r.Len(); consumed > proxyBinary+16 {
			t.Fatalf("%d bytes consumed", consumed)
		}
		if !header.source.IsValid() {
			return
		}
		other := bufio.NewReader(bytes.NewReader(sent))
		theirs, err := proxyproto.Read(other)
		if err != nil {
			t.Fatalf("%q: accepted, and refused there: %v", sent, err)
		}
		address, ok := theirs.SourceAddr.(*net.TCPAddr)
		if !ok {
			return // a transport that is not TCP
		}
		at := address.AddrPort()
		if netip.AddrPortFrom(at.Addr().Unmap(), at.Port()) != header.source {
			t.Fatalf("%q: %v, there %v", sent, header.source, theirs.SourceAddr)
		}
		if rest, _ := io.ReadAll(other); len(rest) != r.Len() {
			t.Fatalf("%q: %d bytes are left, there %d", sent, r.Len(), len(rest))
		}
	})
}
