package upstream

import (
	"errors"
	"io"
	"net"

	"tidegate.dev/dataplane/http1"
)

// Response is the head of a target's response and the way to its body, whichever protocol is spoken. It is released by whoever
// got it, and belongs to one goroutine.
type Response struct {
	Status int
	Header *http1.Header
	// ContentLength is what the head says, also if there is no body because of the method or the status; -1 if it does not.
	ContentLength int64

	http1 *http1.Response
	http2 *stream
}

// HTTP1 is the response as the engine of HTTP/1.1 knows it, nil if HTTP/2 is spoken.
func (r *Response) HTTP1() *http1.Response { return r.http1 }

// Read implements io.Reader: it reads the body.
func (r *Response) Read(p []byte) (int, error) {
	if r.http1 != nil {
		return r.http1.Body.Read(p)
	}
	return r.http2.Read(p)
}

// Arrived tells whether the whole body can be read without waiting for the target. A body of HTTP/2 may have arrived without that
// being known.
func (r *Response) Arrived() bool { return r.http1 != nil && r.http1.Body.Arrived() }

// Trailer is the trailer section, complete when Read has returned io.EOF.
func (r *Response) Trailer() *http1.Header {
	if r.http1 != nil {
		return &r.http1.Body.Trailer
	}
	return r.http2.trailerSection()
}

// Upgraded hands the connection over after 101 (Switching Protocols). The caller closes it.
func (r *Response) Upgraded() (net.Conn, error) {
	if r.http1 != nil {
		return r.http1.Upgraded()
	}
	return nil, errors.New("HTTP/2 does not switch protocols")
}

// Fault is why the request's body ended the exchange, nil if it did not: then the response breaks off because of the client.
func (r *Response) Fault() error {
	if r.http1 != nil {
		return r.http1.Fault()
	}
	return r.http2.body.fault()
}

// Release ends the use of the response.
func (r *Response) Release() {
	if r.http1 != nil {
		r.http1.Release()
	} else if r.http2 != nil {
		r.http2.release()
	}
}

// longestDiscard is how much of a response is read that nobody wants, so that its connection can be used again.
const longestDiscard = 4 << 10

// Discard releases a response that nobody wants.
func (r *Response) Discard() {
	if r.ContentLength >= 0 && r.ContentLength <= longestDiscard {
		_, _ = io.Copy(io.Discard, r)
	}
	r.Release()
}
