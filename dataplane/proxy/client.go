package proxy

import (
	"io"
	"net"
	"time"

	"tidegate.dev/dataplane/http1"
)

// client is whoever asked: an exchange of HTTP/1.1, which *http1.Exchange is, or a stream of HTTP/2. Its methods are those of
// *http1.Exchange and mean the same. It belongs to the goroutine that serves it, but for what Severer returns.
type client interface {
	// Alive tells whether the client still waits, and Inform sends it an informational response.
	http1.Downstream
	// Respond writes the head of the final response; the body follows by Write, and Finish ends it. What was written is sent
	// by Flush at the latest.
	Respond(status int, header *http1.Header, length int64) error
	Write(p []byte) (int, error)
	Flush() error
	Finish(trailer *http1.Header) error
	// Written is how much content was written.
	Written() int64
	// Upgrade answers 101 and hands the connection over.
	Upgrade(header *http1.Header) (net.Conn, error)
	// CloseAfter makes the response the last of its connection, where that is for the server to say.
	CloseAfter()
	// Patience sets how long a piece of the response may wait for the client to take it.
	Patience(silence time.Duration)
	// Severer returns what ends the exchange early; any goroutine may call that at any time.
	Severer() func(cause error)
}

// question is what a client asked, whichever protocol it speaks.
type question struct {
	header *http1.Header
	method string
	host   string
	// asked is the path and the query as they were sent, or "*".
	asked string
	// protocol is as the access log shows it: "HTTP/1.1".
	protocol string
	// upgrade is the protocol that the client wants to switch to, as it was sent; empty for none.
	upgrade string
	http2   bool
	// length is that of the body, -1 if it is not known, and 0 if there is none; then body is nil.
	length int64
	body   requestBody
	// trailer is the trailer section of the body when that has ended; nil if the body knows it.
	trailer func() *http1.Header
}

// requestBody is the body of a request: *http1.Body or *streamBody.
type requestBody interface {
	// Keep lets the body be sent more than once, as long as it has at most limit bytes.
	Keep(limit int)
	// again is the body from its beginning, for one more try; of several the last one counts.
	again() (io.Reader, bool)
	// content is the whole body, if it was kept and is read to its end. It is valid as long as the exchange.
	content() ([]byte, bool)
	// Limit makes the body an error that is longer.
	Limit(most int64)
}

// ownBody is the body of a request of HTTP/1.1.
type ownBody http1.Body

// Keep implements requestBody.
func (b *ownBody) Keep(limit int) { (*http1.Body)(b).Keep(limit) }

func (b *ownBody) again() (io.Reader, bool) {
	body := (*http1.Body)(b)
	return body, body.Rewind()
}

func (b *ownBody) content() ([]byte, bool) { return (*http1.Body)(b).Content() }

// Limit implements requestBody.
func (b *ownBody) Limit(most int64) { (*http1.Body)(b).Limit(most) }
