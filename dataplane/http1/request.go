package http1

import (
	"bytes"
	"net/http"
)

// Request is the head of a request. It belongs to its exchange and is used again afterwards; strings of it may be kept.
type Request struct {
	head

	method, target span
	// authority is the host that the request is for, and path what is asked there, query included.
	authority, path span
	form            form
	// expect says that the client waits for 100 (Continue).
	expect bool
	// blank says that an empty line stood before the request line.
	blank bool
}

// Method is the method, as it was sent: methods have a case.
func (r *Request) Method() string {
	method := r.Header.bytes(r.method)
	switch string(method) {
	case "GET":
		return "GET"
	case "POST":
		return "POST"
	case "PUT":
		return "PUT"
	case "HEAD":
		return "HEAD"
	case "DELETE":
		return "DELETE"
	case "PATCH":
		return "PATCH"
	case "OPTIONS":
		return "OPTIONS"
	}
	return r.Header.string(r.method)
}

// Target is the request target, as it was sent.
func (r *Request) Target() string { return r.Header.string(r.target) }

// Host is who the request is for, port included, as it was sent: the authority of the target if it has one, or else the field
// Host (RFC 9112, section 3.3). It is empty only for HTTP/1.0.
func (r *Request) Host() string { return r.Header.string(r.authority) }

// Path is the path and query of the target, as they were sent. It is empty for CONNECT, and "*" for the asterisk form. An
// absolute form without a path has the path "/", or "*" if the method is OPTIONS (RFC 9112, section 3.2.4).
func (r *Request) Path() string {
	path := r.Header.string(r.path)
	if r.form != absoluteForm || path != "" && path[0] == '/' {
		return path
	}
	if path == "" && r.Method() == http.MethodOptions {
		return "*"
	}
	return "/" + path
}

// ContentLength is the length of the body: 0 if there is none, -1 if it is chunked.
func (r *Request) ContentLength() int64 {
	if r.chunked {
		return -1
	}
	return max(r.length, 0)
}

// Minor is the minor version: 1 for HTTP/1.1, 0 for HTTP/1.0.
func (r *Request) Minor() int { return int(r.minor) }

// Upgrade is the value of Upgrade if the client asks to switch protocols in a way that HTTP/1.1 allows, else empty.
func (r *Request) Upgrade() string {
	if !r.wantUpgrade || r.minor == 0 {
		return ""
	}
	return r.Header.Get("Upgrade")
}

// ExpectsContinue tells whether the client waits for 100 (Continue) before it sends the body.
func (r *Request) ExpectsContinue() bool { return r.expect }

// IsConnect tells whether the method is CONNECT.
func (r *Request) IsConnect() bool { return r.form == authorityForm }

func (r *Request) reset() {
	r.head.reset()
	r.method, r.target, r.authority, r.path, r.form = span{}, span{}, span{}, span{}, originForm
	r.expect, r.blank = false, false
}

// parse reads the head from the beginning of the buffer, as far as it has arrived. It is called again when more has arrived.
func (r *Request) parse(buffer []byte, limits *Limits) (done bool, err *Error) {
	r.Header.head = buffer
	for {
		line, ok, err := r.nextLine(buffer)
		if err != nil {
			return false, err
		}
		if !ok {
			return false, r.incomplete(buffer, limits)
		}
		switch {
		case !r.started && line.start == line.end && !r.blank:
			// RFC 9112, section 2.2: an empty line before a request line is ignored. One is enough.
			r.blank = true
		case !r.started:
			if err := r.requestLine(buffer, line, limits); err != nil {
				return false, err
			}
			r.started = true
		case line.start == line.end:
			r.Header.head = buffer[:r.line:r.line]
			err := r.finish()
			return err == nil, err
		default:
			if r.line > limits.HeaderBytes+int(r.target.end) {
				return false, errHeaderTooLarge
			}
			if err := r.field(buffer, line, limits); err != nil {
				return false, err
			}
			if last := &r.Header.fields[len(r.Header.fields)-1]; last.id == otherName && disguised(r.Header.bytes(last.name)) {
				return false, errFieldName
			}
		}
	}
}

// incomplete refuses early what can only become too long.
func (r *Request) incomplete(buffer []byte, limits *Limits) *Error {
	rest := buffer[r.line:]
	if r.started {
		if len(buffer) > limits.HeaderBytes+int(r.target.end) {
			return errHeaderTooLarge
		}
		return nil
	}
	if len(rest) > 0 && rest[0] != '\r' && classes[rest[0]]&tokenByte == 0 {
		return errNotHTTP
	}
	if len(rest) > limits.TargetBytes+longestMethod+len("  HTTP/1.1\r") {
		return errTargetTooLong
	}
	return nil
}

// longestMethod is more than any registered method has.
const longestMethod = 32

// requestLine reads the request line (RFC 9112, section 3): single spaces, nothing around.
func (r *Request) requestLine(buffer []byte, line span, limits *Limits) *Error {
	text := buffer[line.start:line.end]
	first := bytes.IndexByte(text, ' ')
	last := bytes.LastIndexByte(text, ' ')
	if first <= 0 || last == first {
		return errRequestLine
	}
	if first > longestMethod || !all(text[:first], tokenByte) {
		return errMethod
	}
	r.method = span{line.start, line.start + uint32(first)}
	r.target = span{line.start + uint32(first) + 1, line.start + uint32(last)}
	if err := r.version(text[last+1:]); err != nil {
		return err
	}
	if last-first-1 > limits.TargetBytes {
		return errTargetTooLong
	}
	if err := r.parseTarget(buffer); err != nil {
		return err
	}
	if r.form == authorityForm && !limits.Connect {
		return errConnect
	}
	return nil
}

// finish checks the head as a whole.
func (r *Request) finish() *Error {
	if err := r.framed(); err != nil {
		return err
	}
	switch {
	case r.hosts > 1:
		return errHostRepeated
	case r.hosts == 0 && r.minor > 0:
		return errHostMissing
	case r.hosts == 1 && !validHost(r.Header.bytes(r.host)):
		return errHost
	}
	if r.authority == (span{}) {
		r.authority = r.host
	}
	return r.expectation()
}

func (r *Request) expectation() *Error {
	if !r.Header.present.has(nameExpect) {
		return nil
	}
	for i := range r.Header.fields {
		f := &r.Header.fields[i]
		if f.id == nameExpect && !equalFold(r.Header.bytes(f.value), "100-continue") {
			return errExpectation
		}
	}
	// A client of HTTP/1.0 cannot mean it, and without a body there is nothing to wait for (RFC 9110, section 10.1.1).
	r.expect = r.minor > 0 && (r.chunked || r.length > 0)
	return nil
}
