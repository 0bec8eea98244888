package http1

import (
	"io"
	"net/http"
	"time"
)

// Downstream is whoever a response is for. An Exchange is one.
type Downstream interface {
	Waiter
	// Inform passes an informational response on.
	Inform(status int, header *Header) error
}

// Call is a request to an upstream. It may be used again when its response was released.
type Call struct {
	Method string
	// Target is the request target: in origin form, percent-encoded, or "*".
	Target string
	Host   string
	// Header is sent, but for the fields that frame the message or belong to a connection.
	Header *Header
	// Body is the request's body; nil for none. A *Body is sent together with the head as far as it has arrived.
	Body io.Reader
	// ContentLength is the length of the body, -1 if it is not known.
	ContentLength int64
	// Trailer is asked for the trailer section once a body without a known length has ended; nil for none. If the body is a
	// *Body, its trailer section is passed on without that.
	Trailer func() *Header
	// Upgrade asks to switch to a protocol.
	Upgrade string
	// Trailers says that trailers are welcome in the response (RFC 9110, section 10.1.4).
	Trailers bool

	// Began is when the call did, for a caller who has just looked at the clock; zero for one who has not.
	Began time.Time
	// ConnectTimeout bounds opening a connection, if one is opened. 0 means the pool's.
	ConnectTimeout time.Duration
	// HeaderTimeout bounds the wait for the head of the response, from when the request was written; as long as the client
	// is waited for to send its body, nothing counts. 0 means no bound.
	HeaderTimeout time.Duration
	// Idle bounds the silence within the response's body. 0 means no bound.
	Idle time.Duration
	// Deadline bounds the whole. Zero means no bound.
	Deadline time.Time
	// Downstream is whom the response is for; nil for nobody who could go away.
	Downstream Downstream
}

// valid tells whether the request line and the fields that this package writes will be valid.
func (call *Call) valid() bool {
	origin := call.Target != "" && call.Target[0] == '/' || call.Target == "*"
	return call.Method != "" && all(call.Method, tokenByte) && origin && validTarget(call.Target) &&
		validValue(call.Host) && validValue(call.Upgrade)
}

// rewind makes the body ready to be sent again, if that can be done.
func (call *Call) rewind() bool {
	if call.Body == nil || call.ContentLength == 0 {
		return true
	}
	own, ok := call.Body.(*Body)
	return ok && own.Rewind()
}

// waiter is who waits for the response, nil if nobody does who could go away.
func (call *Call) waiter() Waiter {
	if call.Downstream == nil {
		return nil
	}
	return call.Downstream
}

// idempotent tells whether the method does no harm if it is done twice (RFC 9110, section 9.2.2).
func (call *Call) idempotent() bool {
	switch call.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete, http.MethodTrace:
		return true
	}
	return false
}
