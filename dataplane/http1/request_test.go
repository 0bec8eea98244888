package http1

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// parseRequest parses a whole head.
func parseRequest(text string, limits Limits) (*Request, bool, *Error) {
	limits = limits.withDefaults()
	r := new(Request)
	r.reset()
	done, err := r.parse([]byte(text), &limits)
	return r, done, err
}

const host = "Host: a.example\r\n"

// TestRequestRefused has a case for every rule that a request can break, and the section that it is from.
func TestRequestRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, head string
		want       *Error
	}{
		{"RFC 9112 2.2 a line that ends with LF", "GET / HTTP/1.1\n" + host + "\r\n", errBareLF},
		{"RFC 9112 2.2 a field that ends with LF", "GET / HTTP/1.1\r\nHost: a\n\r\n", errBareLF},
		{"RFC 9112 2.2 an empty line that ends with LF", "GET / HTTP/1.1\r\n" + host + "\n", errBareLF},
		{"RFC 9112 2.2 CR in a field", "GET / HTTP/1.1\r\n" + host + "A: b\rc\r\n\r\n", errFieldValue},
		{"RFC 9112 2.2 CR before CRLF", "GET / HTTP/1.1\r\n" + host + "A: b\r\r\n\r\n", errFieldValue},
		{"RFC 9112 2.2 CR in the request line", "GET /\r HTTP/1.1\r\n" + host + "\r\n", errTarget},
		{"RFC 9112 2.2 a field before the request line", " A: b\r\nGET / HTTP/1.1\r\n" + host + "\r\n", errRequestLine},
		{"RFC 9112 2.2 white space after the request line", "GET / HTTP/1.1\r\n " + host + "\r\n", errFolding},
		{"RFC 9112 2.2 two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\n" + host + "\r\n", errRequestLine},
		{"RFC 9112 2.3 HTTP/2", "GET / HTTP/2.0\r\n" + host + "\r\n", errVersion},
		{"RFC 9112 2.3 HTTP/1.2", "GET / HTTP/1.2\r\n" + host + "\r\n", errVersion},
		{"RFC 9112 2.3 HTTP/0.9", "GET / HTTP/0.9\r\n" + host + "\r\n", errVersion},
		{"RFC 9112 2.3 HTTP/1.10", "GET / HTTP/1.10\r\n" + host + "\r\n", errVersion},
		{"RFC 9112 2.3 HTTP/01.1", "GET / HTTP/01.1\r\n" + host + "\r\n", errVersion},
		{"RFC 9112 2.3 junk behind the version", "GET / HTTP/1.1x\r\n" + host + "\r\n", errVersion},
		{"RFC 9112 2.3 lower case", "GET / http/1.1\r\n" + host + "\r\n", errRequestLine},
		{"RFC 9112 2.3 no version", "GET /\r\n" + host + "\r\n", errRequestLine},
		{"RFC 9112 3 two spaces", "GET  / HTTP/1.1\r\n" + host + "\r\n", errTarget},
		{"RFC 9112 3 a space behind", "GET / HTTP/1.1 \r\n" + host + "\r\n", errRequestLine},
		{"RFC 9112 3 a space before", " GET / HTTP/1.1\r\n" + host + "\r\n", errRequestLine},
		{"RFC 9112 3 a tab", "GET\t/ HTTP/1.1\r\n" + host + "\r\n", errRequestLine},
		{"RFC 9112 3 a space in the target", "GET /a b HTTP/1.1\r\n" + host + "\r\n", errTarget},
		{"RFC 9112 3.1 a method that is no token", "G(T / HTTP/1.1\r\n" + host + "\r\n", errMethod},
		{"RFC 9112 3.1 a method that is endless", strings.Repeat("G", 40) + " / HTTP/1.1\r\n" + host + "\r\n", errMethod},
		{"RFC 9112 3 a target that is too long", "GET /" + strings.Repeat("a", 8<<10) + " HTTP/1.1\r\n" + host + "\r\n", errTargetTooLong},
		{"RFC 9112 3.2 NUL in the target", "GET /\x00 HTTP/1.1\r\n" + host + "\r\n", errTarget},
		{"RFC 9112 3.2 bytes beyond ASCII", "GET /\xc3\xa4 HTTP/1.1\r\n" + host + "\r\n", errTarget},
		{"RFC 9112 3.2.1 a fragment", "GET /#a HTTP/1.1\r\n" + host + "\r\n", errTarget},
		{"RFC 9112 3.2.1 no slash", "GET a HTTP/1.1\r\n" + host + "\r\n", errTarget},
		{"RFC 9112 3.2.1 half an escape", "GET /%2 HTTP/1.1\r\n" + host + "\r\n", errTarget},
		{"RFC 9112 3.2.1 an escape that is none", "GET /%zz HTTP/1.1\r\n" + host + "\r\n", errTarget},
		{"RFC 9112 3.2.2 another scheme", "GET ftp://a/ HTTP/1.1\r\n" + host + "\r\n", errScheme},
		{"RFC 9112 3.2.2 no authority", "GET http:///x HTTP/1.1\r\n" + host + "\r\n", errTarget},
		{"RFC 9110 4.2.4 user information", "GET http://u@a/ HTTP/1.1\r\n" + host + "\r\n", errTarget},
		{"RFC 9112 3.2.3 CONNECT", "CONNECT a.example:443 HTTP/1.1\r\n" + host + "\r\n", errConnect},
		{"RFC 9112 3.2.3 CONNECT without a port", "CONNECT a.example HTTP/1.1\r\n" + host + "\r\n", errTarget},
		{"RFC 9112 3.2.3 CONNECT with a path", "CONNECT /x HTTP/1.1\r\n" + host + "\r\n", errTarget},
		{"RFC 9112 3.2.3 an authority for GET", "GET a.example:443 HTTP/1.1\r\n" + host + "\r\n", errTarget},
		{"RFC 9112 3.2.4 an asterisk for GET", "GET * HTTP/1.1\r\n" + host + "\r\n", errTargetForm},
		{"RFC 9112 3.2 no Host", "GET / HTTP/1.1\r\n\r\n", errHostMissing},
		{"RFC 9112 3.2 two Hosts", "GET / HTTP/1.1\r\n" + host + host + "\r\n", errHostRepeated},
		{"RFC 9112 3.2 two Hosts, HTTP/1.0", "GET / HTTP/1.0\r\n" + host + host + "\r\n", errHostRepeated},
		{"RFC 9112 3.2 a list of Hosts", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", errHost},
		{"RFC 9112 3.2 Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", errHost},
		{"RFC 9112 3.2 Host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", errHost},
		{"RFC 9112 3.2 Host with a strange port", "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", errHost},
		{"RFC 9112 3.2 Host with a large port", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", errHost},
		{"RFC 9112 3.2 Host with two ports", "GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", errHost},
		{"RFC 9112 3.2 Host with half a bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", errHost},
		{"RFC 9112 3.2 Host with junk behind brackets", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", errHost},
		{"RFC 9110 4.2.1 an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", errHost},
		{"RFC 9112 5.1 a space before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", errFieldName},
		{"RFC 9112 5.1 a tab before the colon", "GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", errFieldName},
		{"RFC 9112 5.1 no colon", "GET / HTTP/1.1\r\n" + host + "A\r\n\r\n", errFieldName},
		{"RFC 9112 5.1 no name", "GET / HTTP/1.1\r\n" + host + ": a\r\n\r\n", errFieldName},
		{"RFC 9110 5.1 a name that is no token", "GET / HTTP/1.1\r\n" + host + "A[]: b\r\n\r\n", errFieldName},
		{"RFC 9110 5.1 a name beyond ASCII", "GET / HTTP/1.1\r\n" + host + "\xc3\xa4: b\r\n\r\n", errFieldName},
		{"RFC 9110 5.5 NUL in a value", "GET / HTTP/1.1\r\n" + host + "A: b\x00c\r\n\r\n", errFieldValue},
		{"RFC 9110 5.5 NUL in a long value", "GET / HTTP/1.1\r\n" + host + "A: bbbbbbbbbbbbbbb\x00c\r\n\r\n", errFieldValue},
		{"RFC 9110 5.5 DEL in a value", "GET / HTTP/1.1\r\n" + host + "A: bbbbbbbbbbb\x7fc\r\n\r\n", errFieldValue},
		{"RFC 9112 5.2 obsolete folding", "GET / HTTP/1.1\r\n" + host + "A: b\r\n c\r\n\r\n", errFolding},
		{"RFC 9112 5.2 obsolete folding with a tab", "GET / HTTP/1.1\r\n" + host + "A: b\r\n\tc\r\n\r\n", errFolding},
		{"RFC 9110 10.1.1 another expectation", "POST / HTTP/1.1\r\n" + host + "Expect: tea\r\n\r\n", errExpectation},
		{"RFC 6585 5 too many fields", "GET / HTTP/1.1\r\n" + host + strings.Repeat("A: b\r\n", 100) + "\r\n", errTooManyFields},
		{"RFC 6585 5 too large a header", "GET / HTTP/1.1\r\n" + host + "A: " + strings.Repeat("b", 64<<10) + "\r\n\r\n", errHeaderTooLarge},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", errNotHTTP},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, done, err := parseRequest(c.head, Limits{})
			if err != c.want || done {
				t.Errorf("got %v, %v; want %v", done, err, c.want)
			}
		})
	}
}

// TestFramingRefused are the ways in which requests are smuggled: what one reader takes for the length, another does not.
func TestFramingRefused(t *testing.T) {
	t.Parallel()
	const chunked = "Transfer-Encoding: chunked\r\n"
	for _, c := range []struct {
		name, fields string
		want         *Error
	}{
		{"RFC 9112 6.1 CL.TE", "Content-Length: 6\r\n" + chunked, errBothFramings},
		{"RFC 9112 6.1 TE.CL", chunked + "Content-Length: 4\r\n", errBothFramings},
		{"RFC 9112 6.1 CL.0 with TE", "Content-Length: 0\r\n" + chunked, errBothFramings},
		{"RFC 9112 6.1 TE.TE identity first", "Transfer-Encoding: identity\r\n" + chunked, errCodingRepeated},
		{"RFC 9112 6.1 TE.TE identity last", chunked + "Transfer-Encoding: identity\r\n", errCodingRepeated},
		{"RFC 9112 6.1 TE.TE the same", chunked + chunked, errCodingRepeated},
		{"RFC 9112 6.1 TE.TE cow", chunked + "Transfer-encoding: cow\r\n", errCodingRepeated},
		{"RFC 9112 6.1 chunked twice", "Transfer-Encoding: chunked, chunked\r\n", errCoding},
		{"RFC 9112 6.1 chunked first", "Transfer-Encoding: chunked, gzip\r\n", errCoding},
		{"RFC 9112 6.1 gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n", errCodingUnknown},
		{"RFC 9112 6.1 an unknown coding", "Transfer-Encoding: xchunked\r\n", errCodingUnknown},
		{"RFC 9112 6.1 identity", "Transfer-Encoding: identity\r\n", errCodingUnknown},
		{"RFC 9112 6.1 empty", "Transfer-Encoding:\r\n", errCoding},
		{"RFC 9112 6.1 quoted", "Transfer-Encoding: \"chunked\"\r\n", errCoding},
		{"RFC 9112 6.1 with a parameter", "Transfer-Encoding: chunked;q=1\r\n", errCoding},
		{"RFC 9112 6.1 with a comma", "Transfer-Encoding: chunked,\r\n", errCoding},
		{"RFC 9112 6.1 behind a comma", "Transfer-Encoding: ,chunked\r\n", errCoding},
		{"RFC 9112 6.1 a vertical tab before", "Transfer-Encoding: \x0bchunked\r\n", errFieldValue},
		{"RFC 9112 6.1 a vertical tab behind", "Transfer-Encoding: chunked\x0b\r\n", errFieldValue},
		{"RFC 9112 6.1 a form feed", "Transfer-Encoding:\x0cchunked\r\n", errFieldValue},
		{"RFC 9112 6.1 a no-break space", "Transfer-Encoding: \xa0chunked\r\n", errCoding},
		{"RFC 9112 6.1 a space before the colon", "Transfer-Encoding : chunked\r\n", errFieldName},
		{"RFC 9112 6.1 a line break before the colon", "Transfer-Encoding\r\n : chunked\r\n", errFieldName},
		{"RFC 9112 6.1 folded", "Transfer-Encoding:\r\n chunked\r\n", errFolding},
		{"RFC 9112 6.1 folded with a tab", "X: x\r\n\tTransfer-Encoding: chunked\r\n", errFolding},
		{"RFC 9112 6.1 hidden behind LF", "X: X\nTransfer-Encoding: chunked\r\n", errBareLF},
		{"RFC 9112 6.1 hidden behind CR", "X: X\rTransfer-Encoding: chunked\r\n", errFieldValue},
		{"RFC 9112 6.1 hidden behind NUL", "X: X\x00Transfer-Encoding: chunked\r\n", errFieldValue},
		{"RFC 9112 6.1 an indented name", " Transfer-Encoding: chunked\r\n", errFolding},
		{"RFC 3875 4.1.18 an underscore", "Transfer_Encoding: chunked\r\n", errFieldName},
		{"RFC 3875 4.1.18 an underscore beside a length", "Content-Length: 5\r\ntransfer_encoding: chunked\r\n", errFieldName},
		{"RFC 3875 4.1.18 a length with an underscore", "CONTENT_LENGTH: 5\r\n", errFieldName},
		{"RFC 9112 6.3 two equal lengths", "Content-Length: 5\r\nContent-Length: 5\r\n", errLengthRepeated},
		{"RFC 9112 6.3 two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n", errLengthRepeated},
		{"RFC 9112 6.3 a list of equal lengths", "Content-Length: 5, 5\r\n", errLength},
		{"RFC 9112 6.3 a list of lengths", "Content-Length: 5,6\r\n", errLength},
		{"RFC 9110 8.6 a sign", "Content-Length: +5\r\n", errLength},
		{"RFC 9110 8.6 a negative length", "Content-Length: -5\r\n", errLength},
		{"RFC 9110 8.6 hexadecimal", "Content-Length: 0x5\r\n", errLength},
		{"RFC 9110 8.6 a fraction", "Content-Length: 5.0\r\n", errLength},
		{"RFC 9110 8.6 an exponent", "Content-Length: 5e0\r\n", errLength},
		{"RFC 9110 8.6 a group", "Content-Length: 1_000\r\n", errLength},
		{"RFC 9110 8.6 a space within", "Content-Length: 5 6\r\n", errLength},
		{"RFC 9110 8.6 empty", "Content-Length:\r\n", errLength},
		{"RFC 9110 8.6 overflow", "Content-Length: 18446744073709551621\r\n", errLength},
		{"RFC 9110 8.6 a space before the colon", "Content-Length : 5\r\n", errFieldName},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, place := range []string{host + c.fields, c.fields + host} {
				if place[0] == ' ' {
					continue
				}
				_, done, err := parseRequest("POST / HTTP/1.1\r\n"+place+"\r\n", Limits{})
				if err != c.want || done && err == nil {
					t.Errorf("got %v, %v; want %v", done, err, c.want)
				}
			}
		})
	}
	if _, _, err := parseRequest("POST / HTTP/1.0\r\n"+chunked+"\r\n", Limits{}); err != errCodingOld {
		t.Errorf("RFC 9112 6.1 Transfer-Encoding in HTTP/1.0: got %v", err)
	}
}

func TestRequestAccepted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, head, want string
	}{
		{"RFC 9112 3.2.1 origin form", "GET /a%2Fb?c=d%zz HTTP/1.1\r\n" + host, "GET a.example /a%2Fb?c=d%zz 0 keep"},
		{"RFC 9112 3.2.2 absolute form", "GET http://b.example:81/x?y HTTP/1.1\r\n" + host, "GET b.example:81 /x?y 0 keep"},
		{"RFC 9112 3.2.2 absolute form without a path", "GET HTTPS://b.example HTTP/1.1\r\n" + host, "GET b.example / 0 keep"},
		{"RFC 9112 3.2.2 absolute form with a query alone", "GET http://b.example?x HTTP/1.1\r\n" + host, "GET b.example /?x 0 keep"},
		{"RFC 9112 3.2.4 absolute form for OPTIONS", "OPTIONS http://b.example HTTP/1.1\r\n" + host, "OPTIONS b.example * 0 keep"},
		{"RFC 9112 3.2.4 asterisk form", "OPTIONS * HTTP/1.1\r\n" + host, "OPTIONS a.example * 0 keep"},
		{"RFC 9112 2.2 an empty line before", "\r\nGET / HTTP/1.1\r\n" + host, "GET a.example / 0 keep"},
		{"RFC 9112 9.3 HTTP/1.0", "GET / HTTP/1.0\r\n", "GET  / 0 close"},
		{"RFC 9112 9.3 HTTP/1.0 kept alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n", "GET  / 0 keep"},
		{"RFC 9112 9.6 close", "GET / HTTP/1.1\r\n" + host + "Connection: foo, Close\r\n", "GET a.example / 0 close"},
		{"RFC 9112 5.1 white space around a value", "GET / HTTP/1.1\r\nHost: \t a.example \t \r\n", "GET a.example / 0 keep"},
		{"RFC 9112 3.2 Host with an address", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n", "GET [2001:db8::1]:8080 / 0 keep"},
		{"RFC 9112 3.2 Host with an empty port", "GET / HTTP/1.1\r\nHost: a_b:\r\n", "GET a_b: / 0 keep"},
		{"RFC 9110 9.1 another method", "brew /pot HTTP/1.1\r\n" + host, "brew a.example /pot 0 keep"},
		{"RFC 9112 6.2 a length", "PUT / HTTP/1.1\r\n" + host + "Content-Length: 0017\r\n", "PUT a.example / 17 keep"},
		{"RFC 9112 6.1 chunked", "POST / HTTP/1.1\r\n" + host + "tRANSFER-eNCODING: Chunked\r\n", "POST a.example / -1 keep"},
		{"RFC 9110 5.5 bytes beyond ASCII", "GET / HTTP/1.1\r\n" + host + "A: \xc3\xa4\tb\r\n", "GET a.example / 0 keep"},
		{"RFC 9110 5.5 an empty value", "GET / HTTP/1.1\r\n" + host + "A:\r\n", "GET a.example / 0 keep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, done, err := parseRequest(c.head+"\r\n", Limits{})
			if err != nil || !done {
				t.Fatalf("got %v, %v", done, err)
			}
			got := fmt.Sprintf("%s %s %s %d %s", r.Method(), r.Host(), r.Path(), r.ContentLength(), map[bool]string{true: "keep", false: "close"}[r.persistent()])
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestConnectIfAllowed(t *testing.T) {
	t.Parallel()
	r, done, err := parseRequest("CONNECT b.example:443 HTTP/1.1\r\n"+host+"\r\n", Limits{Connect: true})
	if err != nil || !done || !r.IsConnect() || r.Host() != "b.example:443" || r.Path() != "" {
		t.Errorf("got %v, %v, %q, %q", done, err, r.Host(), r.Path())
	}
}

// TestRequestInPieces shows that it does not matter in which pieces a head arrives, nor that the buffer moves.
func TestRequestInPieces(t *testing.T) {
	t.Parallel()
	text := "\r\nPOST /a?b HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nX-Other: one\r\nx-other: two\r\n\r\nabc"
	limits := Limits{}.withDefaults()
	for step := 1; step < 9; step++ {
		r := new(Request)
		r.reset()
		done := false
		for n := step; !done && n <= len(text); n += step {
			var err *Error
			if done, err = r.parse(bytes.Clone([]byte(text[:n])), &limits); err != nil {
				t.Fatal(step, err)
			}
		}
		if !done {
			continue
		}
		if r.line != len(text)-3 || r.Host() != "a.example" || strings.Join(r.Header.Values("X-Other"), " ") != "one two" {
			t.Errorf("in steps of %d: %d, %q, %q", step, r.line, r.Host(), r.Header.Values("X-Other"))
		}
	}
}

const ordinary = "GET /v1/orders/17?expand=lines HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" +
	"Accept: application/json\r\nAccept-Encoding: gzip, br\r\nAccept-Language: en-GB,en;q=0.9\r\nX-Api-Key: tg_0123456789abcdefghij\r\n" +
	"X-Request-Id: 0193b3f0-6f2c-7d2a-b1c4-1f2e3d4c5b6a\r\nConnection: keep-alive\r\n\r\n"

func BenchmarkParseRequest(b *testing.B) {
	limits := Limits{}.withDefaults()
	buffer := []byte(ordinary)
	r := new(Request)
	b.SetBytes(int64(len(buffer)))
	b.ReportAllocs()
	for b.Loop() {
		r.reset()
		if done, err := r.parse(buffer, &limits); !done || err != nil {
			b.Fatal(err)
		}
	}
}

func TestParsingAllocatesNothing(t *testing.T) {
	limits := Limits{}.withDefaults()
	request, response := new(Request), new(responseHead)
	asked, answered := []byte(ordinary), []byte(ordinaryResponse)
	out := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() {
		request.reset()
		_, _ = request.parse(asked, &limits)
		request.Header.RemoveHopByHop()
		out, _ = request.Header.appendTo(out[:0], framingNames)
		response.reset()
		_, _ = response.parse(answered, &limits)
		_ = request.Header.Get("X-Absent")
		_ = request.Header.Has("X-Api-Key")
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
