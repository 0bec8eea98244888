package http1

import (
	"strings"
	"testing"
)

const ordinaryResponse = "HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 10:00:00 GMT\r\nServer: nginx\r\nContent-Type: application/json\r\n" +
	"Content-Length: 1024\r\nCache-Control: no-store\r\nETag: \"33a64df551425fcc\"\r\nConnection: keep-alive\r\n\r\n"

func parseResponse(text string) (*responseHead, bool, *Error) {
	limits := Limits{}.withDefaults()
	r := new(responseHead)
	r.reset()
	done, err := r.parse([]byte(text), &limits)
	return r, done, err
}

func TestResponseRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, head string
		want       *Error
	}{
		{"RFC 9112 4 no version", "200 OK\r\n\r\n", errStatusLine},
		{"RFC 9112 4 HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", errStatusLine},
		{"RFC 9112 4 two digits", "HTTP/1.1 20 OK\r\n\r\n", errStatusLine},
		{"RFC 9112 4 four digits", "HTTP/1.1 2000 OK\r\n\r\n", errStatusLine},
		{"RFC 9112 4 letters", "HTTP/1.1 2xx OK\r\n\r\n", errStatusLine},
		{"RFC 9110 15 below 100", "HTTP/1.1 099 OK\r\n\r\n", errStatusLine},
		{"RFC 9112 4 two spaces", "HTTP/1.1  200 OK\r\n\r\n", errStatusLine},
		{"RFC 9112 4 NUL in the reason", "HTTP/1.1 200 O\x00K\r\n\r\n", errStatusLine},
		{"RFC 9112 4 CR in the reason", "HTTP/1.1 200 O\rK\r\n\r\n", errStatusLine},
		{"RFC 9112 2.2 LF", "HTTP/1.1 200 OK\n\r\n", errBareLF},
		{"RFC 9112 2.2 an empty line before", "\r\nHTTP/1.1 200 OK\r\n\r\n", errStatusLine},
		{"RFC 9112 5.1 a space before the colon", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", errFieldName},
		{"RFC 9112 5.2 folding", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", errFolding},
		{"RFC 9112 6.3 both framings", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", errBothFramings},
		{"RFC 9112 6.3 two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", errLengthRepeated},
		{"RFC 9112 6.1 gzip", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", errCodingUnknown},
		{"RFC 9112 6.1 HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", errCodingOld},
		{"too large", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 64<<10) + "\r\n\r\n", errHeaderTooLarge},
		{"endless", "HTTP/1.1 200 OK\r\nA: " + strings.Repeat("b", 64<<10), errHeaderTooLarge},
		{"too many", "HTTP/1.1 200 OK\r\n" + strings.Repeat("A: b\r\n", 101) + "\r\n", errTooManyFields},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if _, done, err := parseResponse(c.head); err != c.want || done && err == nil {
				t.Errorf("got %v, %v; want %v", done, err, c.want)
			}
		})
	}
}

func TestResponseFraming(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, head string
		toHead     bool
		kind       bodyKind
		length     int64
	}{
		{"RFC 9112 6.3 a length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", false, lengthBody, 3},
		{"RFC 9112 6.3 chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", false, chunkedBody, 0},
		{"RFC 9112 6.3 until close", "HTTP/1.1 200 OK\r\n", false, untilCloseBody, 0},
		{"RFC 9112 6.3 empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", false, noBody, 0},
		{"RFC 9112 6.3 to HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", true, noBody, 0},
		{"RFC 9112 6.3 204", "HTTP/1.1 204 No Content\r\n", false, noBody, 0},
		{"RFC 9112 6.3 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n", false, noBody, 0},
		{"RFC 9112 6.3 103", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n", false, noBody, 0},
		{"RFC 9112 4 no reason", "HTTP/1.1 200 \r\nContent-Length: 3\r\n", false, lengthBody, 3},
		{"RFC 9112 4 no space before no reason", "HTTP/1.1 200\r\nContent-Length: 3\r\n", false, lengthBody, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, done, err := parseResponse(c.head + "\r\n")
			if !done || err != nil {
				t.Fatalf("got %v, %v", done, err)
			}
			if kind, length := r.bodyFraming(c.toHead); kind != c.kind || length != c.length {
				t.Errorf("got %v, %v", kind, length)
			}
		})
	}
}

func BenchmarkParseResponse(b *testing.B) {
	limits := Limits{}.withDefaults()
	buffer := []byte(ordinaryResponse)
	r := new(responseHead)
	b.SetBytes(int64(len(buffer)))
	b.ReportAllocs()
	for b.Loop() {
		r.reset()
		if done, err := r.parse(buffer, &limits); !done || err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriteResponse(b *testing.B) {
	r, _, _ := parseResponse(ordinaryResponse)
	r.Header.RemoveHopByHop()
	out := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		out = appendLength(appendStatusLine(out[:0], 200), 1024)
		out, _ = r.Header.appendTo(out, framingNames)
	}
}
