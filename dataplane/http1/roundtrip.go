package http1

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// Response is the response of an upstream. It is valid until Release.
type Response struct {
	// Status is the status code of the final response, or 101.
	Status int
	// Header are its fields, those of the connection included.
	Header *Header
	// Body is its content.
	Body Body
	// Arrived is when the head had arrived.
	Arrived time.Time

	// received is how much of the connection had arrived by then.
	received int64

	head    responseHead
	carrier *carrier
	upload  *upload
	toHead  bool
	taken   bool
}

// ContentLength is the length of the body as the head says it, also if there is none because of the method or the status; -1 if
// it does not say.
func (r *Response) ContentLength() int64 { return r.head.length }

// Minor is the minor version of the upstream: 1 for HTTP/1.1, 0 for HTTP/1.0.
func (r *Response) Minor() int { return int(r.head.minor) }

// Reused tells whether the connection had carried another exchange before.
func (r *Response) Reused() bool { return r.carrier.reused }

// Fault is why the request's body ended the exchange, nil if it did not: then the response breaks off because of the client.
func (r *Response) Fault() error {
	if cause := r.carrier.cause(); cause != nil && !errors.Is(cause, errHalted) {
		return cause
	}
	return nil
}

// Upgraded hands the connection over after 101 (Switching Protocols). The caller closes it.
func (r *Response) Upgraded() (net.Conn, error) {
	if r.Status != 101 || r.taken {
		return nil, ErrNotAllowed
	}
	r.taken = true
	r.carrier.pool.gone()
	return r.carrier.hijack(), nil
}

// Release ends the use of the response. If all of it was read, the connection is kept for another exchange.
func (r *Response) Release() {
	if r.taken {
		return
	}
	c := r.carrier
	sent := true
	if r.upload != nil {
		sent = r.upload.stop()
		r.upload = nil
	}
	// What follows a response that nobody asked for would be taken for the next one.
	reusable := sent && r.Body.done && r.head.persistent() && c.r == c.w && c.cause() == nil && !c.ended
	// What the connection keeps must not keep what belongs to the exchange.
	c.waiter, c.client, r.Body.waiter = nil, nil, nil
	if !reusable || r.contradicts() {
		c.close()
		return
	}
	c.shrink()
	c.pool.put(c, r.ended())
}

// ended is when the response did, to the time that passing it on took.
func (r *Response) ended() time.Time {
	if r.received == r.carrier.received {
		return r.Arrived // all of it arrived with the head
	}
	return instant()
}

// contradicts tells of a response that can have no body and announces one. Nobody knows whether it follows.
func (r *Response) contradicts() bool {
	return bodiless(r.Status) && r.Status != http.StatusNotModified && (r.head.chunked || r.head.length > 0)
}

// RoundTrip sends a request and waits for the head of the response. The caller's goroutine writes and reads; only a body that
// has not arrived yet is sent by another, since the answer may come before its end.
func (p *Pool) RoundTrip(call *Call) (*Response, *Failure) {
	now := call.Began
	if now.IsZero() {
		now = instant()
	}
	if !call.valid() {
		return nil, &Failure{Unsendable, Gateway, RetryNever, ErrInvalidField}
	}
	c, failure := p.take(call, now)
	if failure != nil {
		return nil, failure
	}
	response, failure := c.exchange(call, now)
	if failure != nil {
		c.close()
		return nil, failure
	}
	return response, nil
}

// exchange sends the request on the connection and reads the head of the response.
func (c *carrier) exchange(call *Call, now time.Time) (*Response, *Failure) {
	r := &c.response
	r.carrier, r.upload, r.taken, r.Status = c, nil, false, 0
	c.client = call.waiter()
	r.toHead = call.Method == http.MethodHead
	c.nextHead()
	rest, failure := c.compose(call)
	if failure != nil {
		return nil, failure
	}
	received := c.received
	waits := rest != nil && expects(rest)
	until := c.patienceFor(call, now)
	if failure = c.send(rest, now, until); failure == nil {
		if rest != nil && !waits {
			r.upload = c.startUpload(rest, call)
		}
		failure = c.await(call, until, waits, rest)
	}
	if failure == nil {
		r.Arrived, r.received = instant(), c.received
		c.openBody(call)
		return r, nil
	}
	if r.upload != nil {
		r.upload.stop()
		if err := r.upload.err; err != nil && failure.Source == Upstream {
			failure = &Failure{BadBody, Client, RetryNever, err}
		}
		r.upload = nil
	}
	if failure.Reason == Broken && c.reused && c.received == received && call.rewind() {
		failure.Retry = RetryReused
	}
	return nil, failure
}

// expects tells whether the body is that of a client who waits for 100 (Continue).
func expects(body io.Reader) bool {
	b, ok := body.(*Body)
	return ok && b.before != nil
}

// compose writes the request into the buffer, and returns the body if there is more of it.
func (c *carrier) compose(call *Call) (rest io.Reader, failure *Failure) {
	out := c.out[:0]
	out = append(out, call.Method...)
	out = append(out, ' ')
	out = append(out, call.Target...)
	out = append(out, " HTTP/1.1\r\nHost: "...)
	out = append(out, call.Host...)
	out = append(out, "\r\n"...)
	without := framingNames | 1<<nameHost | 1<<nameExpect | 1<<nameTE
	body := call.Body
	switch {
	case body == nil || call.ContentLength == 0:
		body = nil
		if call.Method == http.MethodPost || call.Method == http.MethodPut || call.Method == http.MethodPatch {
			out = appendLength(out, 0)
		}
	case call.ContentLength > 0:
		out = appendLength(out, call.ContentLength)
	default:
		out = append(out, codingLine...)
	}
	if body == nil || call.ContentLength >= 0 {
		without |= 1 << nameTrailer
	}
	out, err := call.Header.appendTo(out, without)
	if err != nil {
		return nil, &Failure{Unsendable, Gateway, RetryNever, err}
	}
	switch {
	case call.Upgrade != "" && call.Trailers:
		out = append(out, "Connection: Upgrade, TE\r\n"...)
	case call.Upgrade != "":
		out = append(out, "Connection: Upgrade\r\n"...)
	case call.Trailers:
		out = append(out, "Connection: TE\r\n"...)
	}
	if call.Upgrade != "" {
		out = append(out, "Upgrade: "...)
		out = append(out, call.Upgrade...)
		out = append(out, "\r\n"...)
	}
	if call.Trailers {
		out = append(out, "TE: trailers\r\n"...)
	}
	if body != nil && expects(body) {
		out = append(out, "Expect: 100-continue\r\n"...)
	}
	out = append(out, "\r\n"...)
	c.out, c.sent = out, 0
	if body == nil {
		return nil, nil
	}
	return c.composeBody(call, body)
}

// composeBody adds what has arrived of the body, so that a small one goes out with the head.
func (c *carrier) composeBody(call *Call, body io.Reader) (rest io.Reader, failure *Failure) {
	arrived, ok := body.(*Body)
	if !ok || expects(body) {
		return body, nil
	}
	chunked := call.ContentLength < 0
	for len(c.out) < smallBody {
		piece, err := arrived.next(false)
		if c.sent += int64(len(piece)); !chunked && (c.sent > call.ContentLength || errors.Is(err, io.EOF) && c.sent < call.ContentLength) {
			return nil, &Failure{Unsendable, Gateway, RetryNever, ErrBodyLength}
		}
		if chunked {
			c.out = appendChunk(c.out, piece)
		} else {
			c.out = append(c.out, piece...)
		}
		switch {
		case errors.Is(err, errNotBuffered):
			return body, nil
		case errors.Is(err, io.EOF):
			if chunked {
				if c.out, err = appendLastChunk(c.out, &arrived.Trailer); err != nil {
					return nil, &Failure{Unsendable, Gateway, RetryNever, err}
				}
			}
			return nil, nil
		case err != nil:
			return nil, &Failure{BadBody, Client, RetryNever, err}
		}
	}
	return body, nil
}

// patienceFor is when the wait for the head of the response is over.
func (c *carrier) patienceFor(call *Call, now time.Time) time.Time {
	until := call.Deadline
	if call.HeaderTimeout > 0 {
		if end := now.Add(call.HeaderTimeout); until.IsZero() || end.Before(until) {
			until = end
		}
	}
	return until
}

// send writes the head, and the body as far as it is there. If that is all, the first bytes of the answer may be there then.
func (c *carrier) send(rest io.Reader, now, until time.Time) *Failure {
	if rest == nil {
		c.expect(until, ErrTimeout, c.client)
		done, err := c.sendAndFill(now)
		if err != nil {
			return c.failure(err)
		}
		if done {
			return nil
		}
	}
	// Even if writing fails there may be a response, and reading says whether anything came.
	if err := c.flush(nil); err != nil && (rest != nil || c.cause() != nil) {
		return &Failure{Broken, Upstream, RetryNever, err}
	}
	return nil
}

// await reads heads until that of the final response, passing the informational ones on.
func (c *carrier) await(call *Call, until time.Time, waits bool, rest io.Reader) *Failure {
	r := &c.response
	var continued time.Time
	if waits {
		continued = instant().Add(c.pool.config.ContinueTimeout)
	}
	for interim := 0; ; {
		c.expect(until, ErrTimeout, c.client)
		if waits && (until.IsZero() || continued.Before(until)) {
			c.expect(continued, errProceed, c.client)
		}
		err := c.readHead(&r.head)
		if errors.Is(err, errProceed) {
			waits = false
			if err := c.proceed(call, rest); err != nil {
				return &Failure{Abandoned, Client, RetryNever, err}
			}
			until = c.patienceFor(call, instant())
			continue
		}
		if errors.Is(err, ErrTimeout) && r.upload != nil {
			if later := r.upload.extend(call, instant()); later.After(until) {
				until = later
				continue
			}
		}
		if err != nil {
			return c.failure(err)
		}
		if r.head.status >= 200 || r.head.status == 101 {
			return c.final(call)
		}
		if interim++; interim > maxInterim {
			return &Failure{Malformed, Upstream, RetryNever, errTooManyInterim}
		}
		switch {
		case r.head.status == 100 && waits:
			waits = false
			err = c.proceed(call, rest)
			until = c.patienceFor(call, instant())
		case r.head.status == 100 || call.Downstream == nil:
		default:
			r.head.Header.RemoveHopByHop()
			err = call.Downstream.Inform(r.head.status, &r.head.Header)
		}
		if err != nil {
			return &Failure{Abandoned, Client, RetryNever, err}
		}
		c.nextHead()
	}
}

var errProceed = errors.New("100 (Continue) did not come")

// proceed tells the client to send its body, and sends it.
func (c *carrier) proceed(call *Call, rest io.Reader) error {
	if body, ok := rest.(*Body); ok && body.before != nil {
		before := body.before
		body.before = nil
		if err := before(); err != nil {
			return err
		}
	}
	c.response.upload = c.startUpload(rest, call)
	return nil
}

// nextHead makes ready for another head.
func (c *carrier) nextHead() {
	c.begin()
	c.response.head.reset()
}

// final checks the head of the final response.
func (c *carrier) final(call *Call) *Failure {
	r := &c.response
	if r.head.status == 101 && (call.Upgrade == "" || !listHas(r.head.Header.Get("Upgrade"), call.Upgrade)) {
		return &Failure{Malformed, Upstream, RetryNever, errUnexpectedSwitch}
	}
	r.Status, r.Header = r.head.status, &r.head.Header
	return nil
}

// failure says why there is no response.
func (c *carrier) failure(err error) *Failure {
	var refused *Error
	var gone *abandonedError
	switch {
	case errors.As(err, &refused) && c.cause() == nil:
		return &Failure{Malformed, Upstream, RetryNever, err}
	case errors.Is(err, ErrTimeout):
		return &Failure{TimedOut, Upstream, RetryNever, err}
	case errors.As(err, &gone):
		return &Failure{Abandoned, Client, RetryNever, gone.cause}
	case c.cause() != nil:
		return &Failure{BadBody, Client, RetryNever, err}
	}
	return &Failure{Broken, Upstream, RetryNever, unexpected(err)}
}

// readHead reads the head of a response, going on where it was interrupted.
func (c *carrier) readHead(head *responseHead) error {
	for {
		done, refused := head.parse(c.in[:c.w], &c.pool.limits)
		switch {
		case refused != nil:
			return refused
		case done:
			head.Header.head = c.takeHead(head.line)
			return nil
		}
		if err := c.fill(); err != nil {
			return err
		}
	}
}

func (c *carrier) openBody(call *Call) {
	r := &c.response
	kind, length := r.head.bodyFraming(r.toHead)
	r.Body.reset(&c.stream, &c.pool.limits, kind, length)
	r.Body.idle, r.Body.idleErr, r.Body.total = call.Idle, ErrTimeout, call.Deadline
	r.Body.waiter = c.client
}
