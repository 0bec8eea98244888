package proxy

import "tidegate.dev/proto/pattern"

// fields is an exchange as the conditions of routes see it: the header without what the client has no right to say, and the
// query as it was sent.
type fields exchange

// Header implements pattern.Fields.
func (f *fields) Header(name string) (value string, present bool) { return f.header.Lookup(name) }

// Query implements pattern.Fields.
func (f *fields) Query(name string) (value string, present bool) {
	if f.query == "" {
		return "", false
	}
	return pattern.QueryValue(f.query[1:], name)
}
