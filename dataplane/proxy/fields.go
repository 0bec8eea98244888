package proxy

import (
	"net/http"

	"tidegate.dev/proto/pattern"
)

// fields is an exchange as the conditions of routes see it: the header without what the client has no right to say, and the
// query as it was sent.
type fields exchange

// longestFieldName is that of the schema; longer names only cost an allocation.
const longestFieldName = 128

// Header implements pattern.Fields. It finds the canonical form of the name, under which the server keeps fields, without
// allocating.
func (f *fields) Header(name string) (value string, present bool) {
	if len(name) > longestFieldName {
		return firstOf(f.request.Header[http.CanonicalHeaderKey(name)])
	}
	var buffer [longestFieldName]byte
	canonical := buffer[:len(name)]
	upper := true
	for i := range len(name) {
		c := name[i]
		if upper && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		canonical[i] = c
		upper = c == '-'
	}
	return firstOf(f.request.Header[string(canonical)])
}

// Query implements pattern.Fields.
func (f *fields) Query(name string) (value string, present bool) {
	return pattern.QueryValue(f.request.URL.RawQuery, name)
}

func firstOf(values []string) (value string, present bool) {
	if len(values) == 0 {
		return "", false
	}
	return values[0], true
}
