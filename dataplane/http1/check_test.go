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
