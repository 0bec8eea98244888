package http1

import (
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, method, query, host string
		length                    int64
		fields                    []string
		want                      *Error
	}{
		{"an ordinary request", "GET", "?a=b%zz", "a.example:81", 0, []string{"X", "y z", "Content_Type", "x"}, nil},
		{"a length", "POST", "", "a", 17, []string{"Content-Length", "0017"}, nil},
		{"no length", "POST", "", "a", -1, nil, nil},
		{"a method that is no token", "GET /", "", "a", 0, nil, errMethod},
		{"no method", "", "", "a", 0, nil, errMethod},
		{"an endless method", strings.Repeat("G", 33), "", "a", 0, nil, errMethod},
		{"a space in the query", "GET", "?a b", "a", 0, nil, errTarget},
		{"a fragment", "GET", "?a#b", "a", 0, nil, errTarget},
		{"no host", "GET", "", "", 0, nil, errHostMissing},
		{"a user", "GET", "", "u@a", 0, nil, errHost},
		{"a port that is none", "GET", "", "a:65536", 0, nil, errHost},
		{"white space before a value", "GET", "", "a", 0, []string{"X", " y"}, errWhiteSpace},
		{"white space behind a value", "GET", "", "a", 0, []string{"X", "y\t"}, errWhiteSpace},
		{"a length in disguise", "GET", "", "a", 0, []string{"content_length", "3"}, errFieldName},
		{"a coding in disguise", "GET", "", "a", 0, []string{"Transfer_Encoding", "chunked"}, errFieldName},
		{"another length", "POST", "", "a", 4, []string{"Content-Length", "3"}, errLength},
		{"a length without a body", "POST", "", "a", 0, []string{"Content-Length", "3"}, errLength},
		{"a length that is none", "POST", "", "a", 3, []string{"Content-Length", "+3"}, errLength},
		{"two lengths", "POST", "", "a", 3, []string{"Content-Length", "3", "Content-Length", "3"}, errLengthRepeated},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var header Header
			for i := 0; i < len(c.fields); i += 2 {
				header.Add(c.fields[i], c.fields[i+1])
			}
			if got := Check(c.method, c.query, c.host, c.length, &header); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// FuzzCheck shows that what passes is read by the parser as it was meant.
func FuzzCheck(f *testing.F) {
	f.Add("GET", "?a=b", "a.example:80", "X-Y", "z", int64(0))
	f.Add("POST", "", "[::1]", "Content-Length", "3", int64(3))
	f.Add("PUT", "?", "a", "transfer_encoding", "chunked", int64(-1))
	f.Add("G T", "? b", "u@a", "", " z", int64(5))
	f.Fuzz(func(t *testing.T, method, query, host, name, value string, length int64) {
		var header Header
		header.Add(name, value)
		id := identify(name)
		switch {
		case method == "CONNECT", query != "" && query[0] != '?', id != otherName && id != nameContentLength:
			return
		case Check(method, query, host, length, &header) != nil:
			return
		}
		fields, err := header.appendTo(nil, 0)
		if err != nil {
			return // nobody can send it
		}
		r, done, refused := parseRequest(method+" /"+query+" HTTP/1.1\r\nHost: "+host+"\r\n"+string(fields)+"\r\n", Limits{TargetBytes: 1 << 20, HeaderBytes: 1 << 20})
		if refused != nil || !done {
			t.Fatalf("%q %q %q %q: %q is refused: %v", method, query, host, name, value, refused)
		}
		if r.Method() != method || r.Path() != "/"+query || r.Host() != host || r.Header.Get(name) != value ||
			id == nameContentLength && r.ContentLength() != length {
			t.Errorf("read as %q %q %q %q %d", r.Method(), r.Path(), r.Host(), r.Header.Get(name), r.ContentLength())
		}
	})
}
