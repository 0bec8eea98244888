package upstream

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"tidegate.dev/dataplane/http1"
)

// stream is an exchange with a target over HTTP/2.
type stream struct {
	// Set once.
	cancel   context.CancelCauseFunc
	watch    *vigil
	body     *sentBody // nil if the request has none
	response *http.Response
	header   http1.Header
	trailer  http1.Header
	idle     time.Duration

	ended bool // the body was read to its end
}

// throughHTTP2 sends a request over HTTP/2.
func (t *transport) throughHTTP2(target *Target, call *http1.Call, into *Response) *http1.Failure {
	ctx, cancel := context.WithCancelCause(context.Background())
	if call.ConnectTimeout > 0 {
		ctx = WithConnectTimeout(ctx, call.ConnectTimeout)
	}
	s := &stream{cancel: cancel, idle: call.Idle}
	request := t.request(target, call)
	if call.Body != nil && call.ContentLength != 0 {
		s.body = newSentBody(call, request)
		request.Body = s.body
	}
	s.watch = newVigil(call, s.body, cancel)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got1xxResponse: s.watch.inform})
	s.watch.begin(call.HeaderTimeout, true)
	response, err := t.http2.Load().RoundTrip(request.WithContext(ctx)) //nolint:bodyclose // release closes it
	s.watch.end()
	if err != nil {
		cause := context.Cause(ctx)
		s.close()
		return s.failure(err, cause)
	}
	s.response = response
	s.header.AddAll(response.Header)
	for name := range response.Trailer {
		s.header.Add("Trailer", name)
	}
	length := response.ContentLength
	if response.StatusCode == http.StatusNotModified && response.Header.Get("Content-Length") == "" {
		length = -1
	}
	*into = Response{Status: response.StatusCode, Header: &s.header, ContentLength: length, http2: s}
	return nil
}

// request makes the request without its body. The target of the call goes out byte for byte.
func (t *transport) request(target *Target, call *http1.Call) *http.Request {
	header := make(http.Header, call.Header.Len()+1)
	call.Header.CopyTo(header)
	for _, name := range [...]string{
		"Host", "Connection", "Keep-Alive", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "Te", "Expect", "Content-Length", "Trailer",
	} {
		delete(header, name)
	}
	if call.Trailers {
		header["Te"] = []string{"trailers"}
	}
	if _, ok := header["User-Agent"]; !ok {
		// Or the transport would make one up.
		header["User-Agent"] = []string{""}
	}
	request := &http.Request{
		Method: call.Method, Host: call.Host, Header: header, ContentLength: call.ContentLength,
		URL:   &url.URL{Scheme: target.Scheme(), Host: target.Host(), Opaque: call.Target},
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if call.ContentLength < 0 {
		request.Trailer = announced(call.Header)
	}
	return request
}

// announced are the fields that the trailer section will have, without values.
func announced(header *http1.Header) http.Header {
	var trailer http.Header
	for _, list := range header.Values("Trailer") {
		for _, name := range strings.Split(list, ",") {
			if trailer == nil {
				trailer = make(http.Header)
			}
			if name = strings.TrimSpace(name); name != "" {
				trailer[textproto.CanonicalMIMEHeaderKey(name)] = nil
			}
		}
	}
	return trailer
}

// failure says why there is no response.
func (s *stream) failure(err, cause error) *http1.Failure {
	var dial *DialError
	var abandoned *abandonedError
	switch {
	case errors.Is(cause, http1.ErrTimeout):
		return &http1.Failure{Reason: http1.TimedOut, Source: http1.Upstream, Err: cause}
	case errors.As(cause, &abandoned):
		return &http1.Failure{Reason: http1.Abandoned, Source: http1.Client, Err: abandoned.cause}
	case s.body.fault() != nil:
		return &http1.Failure{Reason: http1.BadBody, Source: http1.Client, Err: s.body.fault()}
	case errors.As(err, &dial), errors.Is(err, errOtherProtocol):
		return &http1.Failure{Reason: http1.Unreachable, Source: http1.Upstream, Retry: http1.RetrySafe, Err: err}
	}
	return &http1.Failure{Reason: http1.Broken, Source: http1.Upstream, Err: err}
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	s.watch.begin(s.idle, false)
	n, err := s.response.Body.Read(p)
	s.watch.end()
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		s.ended = true
	default:
		if cause := s.watch.cause(); cause != nil {
			err = cause
		}
	}
	return n, err
}

func (s *stream) trailerSection() *http1.Header {
	if s.trailer.Len() == 0 {
		s.trailer.AddAll(s.response.Trailer)
	}
	return &s.trailer
}

func (s *stream) release() {
	if !s.ended {
		s.cancel(context.Canceled)
	}
	_ = s.response.Body.Close()
	s.close()
}

func (s *stream) close() {
	s.watch.stop()
	s.cancel(context.Canceled)
	if s.body != nil {
		s.body.reclaim()
	}
}

// sentBody is a request's body as the transport of HTTP/2 reads it, with a goroutine of its own.
type sentBody struct {
	// Set once. loan is nil if the body is not of HTTP/1.1.
	source  io.Reader
	loan    *http1.Loan
	trailer func() *http1.Header
	request *http.Request
	made    time.Time

	// Atomic: whether anybody began to read, whether the client is waited for, when that was last over in nanoseconds since
	// it was made, why it cannot be read, and whether nobody may read any more.
	began     atomic.Bool
	receiving atomic.Bool
	progress  atomic.Int64
	failed    atomic.Pointer[error]
	closed    atomic.Bool
}

func newSentBody(call *http1.Call, request *http.Request) *sentBody {
	b := &sentBody{source: call.Body, trailer: call.Trailer, request: request, made: time.Now()}
	if own, ok := call.Body.(*http1.Body); ok {
		b.loan = own.Lend()
		b.source = b.loan
		b.trailer = func() *http1.Header { return &own.Trailer }
	}
	return b
}

// Read implements io.Reader.
func (b *sentBody) Read(p []byte) (int, error) {
	if b.began.Store(true); b.closed.Load() {
		return 0, errBodyClosed
	}
	b.receiving.Store(true)
	n, err := b.source.Read(p)
	b.receiving.Store(false)
	b.progress.Store(int64(time.Since(b.made)))
	switch {
	case err == nil:
	case !errors.Is(err, io.EOF):
		if !b.closed.Load() {
			b.failed.Store(&err)
		}
	case b.request.Trailer != nil && b.trailer != nil:
		// The transport sends those that were announced.
		trailer := b.trailer()
		for name := range b.request.Trailer {
			b.request.Trailer[name] = trailer.Values(name)
		}
	}
	return n, err
}

// Close implements io.Closer: nobody reads any more. A body of which nothing was read can still be sent otherwise.
func (b *sentBody) Close() error {
	if b.closed.Store(true); !b.began.Load() {
		return nil
	}
	if closer, ok := b.source.(io.Closer); ok {
		return closer.Close()
	}
	return nil
}

// reclaim takes the body back from the transport.
func (b *sentBody) reclaim() {
	_ = b.Close()
	if b.loan != nil {
		_ = b.loan.Reclaim()
	}
}

var errBodyClosed = errors.New("the request's body was closed")

// fault is why the body could not be read, nil if it could.
func (b *sentBody) fault() error {
	if b == nil {
		return nil
	}
	if failed := b.failed.Load(); failed != nil {
		return *failed
	}
	return nil
}

// abandonedError says that nobody waits for the response any more.
type abandonedError struct{ cause error }

func (e *abandonedError) Error() string { return e.cause.Error() }

// Unwrap returns why.
func (e *abandonedError) Unwrap() error { return e.cause }

// vigil ends waits for HTTP/2 that last too long, or that nobody waits for: its library knows contexts alone.
type vigil struct {
	// Set once.
	downstream http1.Downstream
	body       *sentBody
	cancel     context.CancelCauseFunc
	deadline   time.Time

	// Guarded by mu, which is held while the client is asked or told something.
	mu      sync.Mutex
	timer   *time.Timer
	waiting bool
	forHead bool          // then the time in which the client is waited for does not count
	silence time.Duration // how long this wait may take, 0 for any time
	since   time.Time
	why     error
	stopped bool
}

// watchTick is how often somebody looks.
const watchTick = 200 * time.Millisecond

func newVigil(call *http1.Call, body *sentBody, cancel context.CancelCauseFunc) *vigil {
	return &vigil{downstream: call.Downstream, body: body, cancel: cancel, deadline: call.Deadline}
}

// begin begins a wait.
func (w *vigil) begin(silence time.Duration, forHead bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting, w.forHead, w.silence, w.since = true, forHead, silence, time.Now()
	next := w.next(w.since)
	if w.timer == nil {
		w.timer = time.AfterFunc(next, w.check)
	} else if next < watchTick {
		w.timer.Reset(next)
	}
}

func (w *vigil) end() {
	w.mu.Lock()
	w.waiting = false
	w.mu.Unlock()
}

func (w *vigil) stop() {
	w.mu.Lock()
	w.stopped = true
	if w.timer != nil {
		w.timer.Stop()
	}
	w.mu.Unlock()
}

// next is after how long to look again. The caller holds mu.
func (w *vigil) next(now time.Time) time.Duration {
	next := watchTick
	if !w.waiting {
		return next
	}
	if w.silence > 0 {
		next = min(next, w.since.Add(w.silence).Sub(now))
	}
	if !w.deadline.IsZero() {
		next = min(next, w.deadline.Sub(now))
	}
	return max(next, time.Millisecond)
}

func (w *vigil) check() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped {
		return
	}
	now := time.Now()
	if w.waiting {
		if err := w.judge(now); err != nil {
			w.why, w.stopped = err, true
			w.cancel(err)
			return
		}
	}
	w.timer.Reset(w.next(now))
}

// judge tells why the wait ends, nil if it goes on. The caller holds mu.
func (w *vigil) judge(now time.Time) error {
	if w.downstream != nil {
		if err := w.downstream.Alive(); err != nil {
			return &abandonedError{err}
		}
	}
	if !w.deadline.IsZero() && !now.Before(w.deadline) {
		return http1.ErrTimeout
	}
	if w.body != nil {
		if w.forHead && w.body.receiving.Load() {
			w.since = now
		} else if progress := w.body.made.Add(time.Duration(w.body.progress.Load())); progress.After(w.since) {
			w.since = progress
		}
	}
	if w.silence > 0 && now.Sub(w.since) >= w.silence {
		return http1.ErrTimeout
	}
	return nil
}

// cause is why the wait ended early, nil if it did not.
func (w *vigil) cause() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why
}

// inform passes an informational response on. The transport calls it with a goroutine of its own.
func (w *vigil) inform(status int, fields textproto.MIMEHeader) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.waiting || w.downstream == nil || status == http.StatusContinue {
		return nil
	}
	var header http1.Header
	header.AddAll(fields)
	return w.downstream.Inform(status, &header)
}
