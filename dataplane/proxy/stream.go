package proxy

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"tidegate.dev/dataplane/http1"
)

// stream is a client's stream of HTTP/2, as net/http serves it. It is a client.
type stream struct {
	// What keeps its memory when the stream is used again: the header of the request.
	header http1.Header

	streaming

	// Guarded by mu: why the stream ends early, and whether it has ended.
	mu    sync.Mutex
	cause error
	ended bool
}

// streaming is what is forgotten with each stream.
type streaming struct {
	// Set once.
	writer  http.ResponseWriter
	request *http.Request
	body    *streamBody
	trailer *http1.Header
	// closes says that the connection is to end.
	closes bool

	// Of the goroutine that serves.
	begun    bool
	bodiless bool
	left     int64 // of what Content-Length announced, -1 if nothing was
	written  int64
	patience time.Duration
	armed    time.Time
}

// streams are those that nobody uses.
var streams = sync.Pool{New: func() any { return new(stream) }}

// begin makes the stream ready.
func (s *stream) begin(w http.ResponseWriter, r *http.Request) {
	s.streaming = streaming{writer: w, request: r, patience: longestPatience}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cause, s.ended = nil, false
}

// giveBack makes the stream ready for another, unless somebody may still look at it: a transport at its body, or a tunnel.
func (s *stream) giveBack() {
	if s.body != nil || s.request.Method == http.MethodConnect {
		return
	}
	s.header.Reset()
	s.streaming = streaming{}
	streams.Put(s)
}

// ServeHTTP implements http.Handler for HTTP/2.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	growStack(0)
	s, _ := streams.Get().(*stream)
	s.begin(w, r)
	if !p.serveStream(s) {
		// A response that broke off must not look whole: the stream is reset.
		panic(http.ErrAbortHandler)
	}
	s.giveBack()
}

// growStack makes the stack of its goroutine as large as exchanges need. The library starts a goroutine for each stream, with a small
// stack that would grow again and again deep down in the exchange, where there is much to copy.
//
//go:noinline
func growStack(at uint) byte {
	var room [5 << 10]byte
	return room[at%uint(len(room))]
}

// serveStream tells whether the response is whole.
func (p *Proxy) serveStream(s *stream) (whole bool) {
	defer s.end()
	s.closes = p.http2.draining.Load()
	x := p.begin(s, connectionIn(s.request.Context()))
	defer x.giveBack()
	x.Started = time.Now()
	x.readStream(s)
	return x.serve()
}

// readStream takes what was asked.
func (x *exchange) readStream(s *stream) {
	r := s.request
	s.header.AddAll(r.Header)
	for name := range r.Trailer {
		s.header.Add("Trailer", name)
	}
	x.question = question{
		header: &s.header, method: r.Method, host: r.Host, asked: r.RequestURI, protocol: "HTTP/2.0", http2: true,
	}
	if x.readExtendedConnect(s) {
		return
	}
	if r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0 {
		s.body, s.trailer = newStreamBody(r.Body, &x.proxy.limits), &http1.Header{}
		x.body, x.length, x.trailer = s.body, r.ContentLength, s.requestTrailer
	}
}

func (s *stream) requestTrailer() *http1.Header {
	s.trailer.Reset()
	s.trailer.AddAll(s.request.Trailer)
	s.trailer.DelFunc(isForHeadersOnly)
	return s.trailer
}

// Alive implements client.
func (s *stream) Alive() error {
	s.mu.Lock()
	cause := s.cause
	s.mu.Unlock()
	ctx := s.request.Context()
	switch {
	case cause != nil:
		return cause
	case ctx.Err() == nil:
		return nil
	case errors.Is(context.Cause(ctx), errShutdown):
		return errShutdown
	}
	return http1.ErrClientGone
}

// Inform implements client. 100 (Continue) is the library's to send, when the body is first read.
func (s *stream) Inform(status int, header *http1.Header) error {
	if s.begun || status < 100 || status > 199 || status == http.StatusSwitchingProtocols {
		return http1.ErrNotAllowed
	}
	if status == http.StatusContinue {
		return nil
	}
	own := s.writer.Header()
	s.fill(own, header)
	s.writer.WriteHeader(status)
	clear(own)
	return nil
}

// fill puts the fields of a message in, without those that belong to a connection of HTTP/1.1. Values share one piece of memory, which
// is not used again: the library may look at it when the exchange is over.
func (s *stream) fill(own http.Header, header *http1.Header) {
	if header == nil {
		return
	}
	values := make([]string, 0, header.Len())
	header.Each(func(name, value string) bool {
		name = http.CanonicalHeaderKey(name)
		switch name {
		case "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "Content-Length", "Te":
			return true
		}
		if before, ok := own[name]; ok {
			own[name] = append(before, value)
			return true
		}
		values = append(values, value)
		own[name] = values[len(values)-1 : len(values) : len(values)]
		return true
	})
}

// Respond implements client.
func (s *stream) Respond(status int, header *http1.Header, length int64) error {
	if s.begun || status < 200 || status > 999 {
		return http1.ErrNotAllowed
	}
	own := s.writer.Header()
	s.fill(own, header)
	if s.closes {
		own["Connection"] = []string{"close"} // which the library knows to be the end of the connection
	}
	if _, ok := own["Content-Type"]; !ok {
		// Or the library would guess one.
		own["Content-Type"] = nil
	}
	s.begun, s.left = true, length
	s.bodiless = s.request.Method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified
	if length >= 0 && status != http.StatusNoContent {
		own["Content-Length"] = []string{formatInt(length)}
	}
	s.writer.WriteHeader(status)
	return nil
}

// Write implements client.
func (s *stream) Write(p []byte) (int, error) {
	switch {
	case !s.begun:
		return 0, http1.ErrNotAllowed
	case s.bodiless || len(p) == 0:
		return len(p), nil
	case s.left >= 0 && int64(len(p)) > s.left:
		return 0, http1.ErrBodyLength
	}
	if err := s.Alive(); err != nil {
		return 0, err
	}
	s.arm()
	n, err := s.writer.Write(p)
	s.written += int64(n)
	if s.left >= 0 {
		s.left -= int64(n)
	}
	return n, s.sent(err)
}

// arm gives a write the time it may take. The deadline is approximate, so that it is seldom set.
func (s *stream) arm() {
	now := time.Now()
	if left := s.armed.Sub(now); left >= s.patience/2 && left <= s.patience {
		return
	}
	s.armed = now.Add(s.patience)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		// Not every connection can do this, and then pings find out. It holds for what the library sends after the exchange too.
		_ = s.control().SetWriteDeadline(s.armed)
	}
}

func (s *stream) control() *http.ResponseController { return http.NewResponseController(s.writer) }

func (s *stream) sent(err error) error {
	if err == nil {
		return nil
	}
	if cause := s.Alive(); cause != nil {
		return cause
	}
	return errors.Join(http1.ErrClientGone, err)
}

// Flush implements client.
func (s *stream) Flush() error {
	s.arm()
	return s.sent(s.control().Flush())
}

// Finish implements client.
func (s *stream) Finish(trailer *http1.Header) error {
	switch {
	case !s.begun:
		return http1.ErrNotAllowed
	case s.left > 0 && !s.bodiless:
		return http1.ErrBodyLength
	}
	if trailer == nil {
		return nil
	}
	own := s.writer.Header()
	trailer.Each(func(name, value string) bool {
		if name = http.CanonicalHeaderKey(name); !isFraming(name) {
			own[http.TrailerPrefix+name] = append(own[http.TrailerPrefix+name], value)
		}
		return true
	})
	return nil
}

// isFraming tells of fields that no trailer section may hold, since they decide how a message is read.
func isFraming(name string) bool {
	switch name {
	case "Content-Length", "Transfer-Encoding", "Trailer", "Host", "Connection", "Te", "Upgrade":
		return true
	}
	return false
}

// Written implements client.
func (s *stream) Written() int64 { return s.written }

// CloseAfter implements client. A connection of HTTP/2 is of many exchanges.
func (s *stream) CloseAfter() {}

// Patience implements client.
func (s *stream) Patience(silence time.Duration) { s.patience = silence }

// Severer implements client.
func (s *stream) Severer() func(cause error) { return s.sever }

func (s *stream) sever(cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.cause != nil {
		return
	}
	s.cause = cause
	// Whoever waits for the client is woken; what is on its way may still arrive, so that the end can be told in the stream.
	if s.body != nil {
		s.body.interrupt()
	}
	_ = s.control().SetWriteDeadline(time.Now().Add(lastWords))
}

// lastWords is how long a write to the client may take when its exchange has been cut.
const lastWords = 250 * time.Millisecond

// end says that the writer is not to be used any more.
func (s *stream) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}
