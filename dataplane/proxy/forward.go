package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"time"

	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/upstream"
)

// forward sends the request upstream, maybe more than once, and returns the head of the response.
func (x *exchange) forward() (*http.Response, plugin.Verdict) {
	service, window := x.route.Upstream, x.window()
	x.openBody()
	if verdict := x.enter(); verdict.Refused() {
		return nil, verdict
	}
	out, interim := x.outgoing()
	defer interim.close()
	if !x.pick(x.Started) {
		return nil, noTarget
	}
	for tried := 1; ; tried++ {
		began := time.Now()
		response, failure, err := x.try(out, tried)
		known := x.report(failure, time.Since(began))
		if failure == upstream.FailureNone {
			x.permit.Settle(known)
			return response, plugin.Continue()
		}
		pause, again := time.Duration(0), false
		if x.ctx.Err() == nil && x.repeatable(failure, interim) {
			pause, again = service.Retry(window, tried, failure)
		}
		if !again {
			x.permit.Settle(known)
			if response != nil {
				return response, plugin.Continue()
			}
			return nil, x.failure(err)
		}
		discard(response)
		if !x.wait(pause) {
			return nil, x.cut(context.Cause(x.ctx))
		}
		x.pick(time.Now())
	}
}

func (x *exchange) openBody() {
	if x.request.ContentLength == 0 || x.request.Body == nil || x.request.Body == http.NoBody {
		return
	}
	// The client may send while it receives (gRPC does), and an answer may come before the request is whole.
	// Not every connection needs to be told.
	_ = x.control.EnableFullDuplex()
	x.body = newRequestBody(x.request.Body, x.watchdog, x.mayRepeat(), x.request.ContentLength)
}

// outgoing makes the request that goes upstream, without its target.
func (x *exchange) outgoing() (*http.Request, *interim) {
	header := x.request.Header
	if x.Caller.Consumer != "" {
		header["X-Tidegate-Consumer"] = []string{x.Caller.Consumer}
	}
	if x.upgrade != "" && x.route.Upstream.Upgrades() {
		header["Connection"], header["Upgrade"] = []string{"Upgrade"}, []string{x.upgrade}
	}
	if _, ok := header["User-Agent"]; !ok {
		// Or the transport would make one up.
		header["User-Agent"] = []string{""}
	}
	interim := &interim{writer: x.writer, http10: !x.request.ProtoAtLeast(1, 1)}
	out := &http.Request{
		Method:        x.request.Method,
		Header:        header,
		Host:          x.request.Host,
		ContentLength: x.request.ContentLength,
		Trailer:       x.request.Trailer,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
	}
	return out.WithContext(httptrace.WithClientTrace(x.ctx, &httptrace.ClientTrace{Got1xxResponse: interim.forward})), interim
}

// interim passes informational responses (RFC 9110, section 15.2) on. The transport calls it on a goroutine of its own.
type interim struct {
	writer http.ResponseWriter
	http10 bool

	// Guarded by mu.
	mu     sync.Mutex
	closed bool
	passed bool
}

func (i *interim) forward(code int, header textproto.MIMEHeader) error {
	// 100 Continue is the server's to send, when the body is first read. Clients of HTTP/1.0 know none of them.
	if code == http.StatusContinue || i.http10 {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return nil
	}
	i.passed = true
	own := i.writer.Header()
	for name, values := range header {
		own[name] = values
	}
	removeHopByHop(own)
	i.writer.WriteHeader(code)
	clear(own)
	return nil
}

// close makes sure that the header is the exchange's alone from now on.
func (i *interim) close() {
	i.mu.Lock()
	i.closed = true
	i.mu.Unlock()
}

// passedAny tells whether the client has seen one.
func (i *interim) passedAny() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.passed
}

// failure says what became of an exchange that brought no response.
func (x *exchange) failure(err error) plugin.Verdict {
	if x.ctx.Err() != nil {
		return x.cut(context.Cause(x.ctx))
	}
	if x.body != nil && x.body.failed.Load() {
		return plugin.Refuse(plugin.ReasonBadRequest, "the request's body broke off or is not well formed")
	}
	var dial *upstream.DialError
	switch {
	case errors.Is(err, errTryTimeout):
		return plugin.Refuse(plugin.ReasonUpstreamTimeout, err.Error())
	case errors.As(err, &dial) && dial.Timeout():
		return plugin.Refuse(plugin.ReasonUpstreamTimeout, "no connection to the upstream in time")
	case errors.As(err, &dial):
		return plugin.Refuse(plugin.ReasonUpstreamUnreachable, "")
	}
	return plugin.Refuse(plugin.ReasonUpstreamProtocol, "")
}

// cut says what became of an exchange that was ended early.
func (x *exchange) cut(cause error) plugin.Verdict {
	switch {
	case errors.Is(cause, errResponseHeaderTimeout), errors.Is(cause, errIdleTimeout), errors.Is(cause, errTotalTimeout):
		return plugin.Refuse(plugin.ReasonUpstreamTimeout, cause.Error())
	case errors.Is(cause, errRequestTimeout):
		x.writer.Header().Set("Connection", "close")
		return plugin.Refuse(plugin.ReasonRequestTimeout, cause.Error())
	case errors.Is(cause, errKeyRevoked):
		return plugin.Refuse(plugin.ReasonKeyRevoked, "")
	case errors.Is(cause, errKeyExpired):
		return plugin.Refuse(plugin.ReasonKeyExpired, "")
	case errors.Is(cause, errShutdown):
		return plugin.Verdict{Reason: plugin.ReasonOverloaded, RetryAfter: 1, Detail: cause.Error()}
	}
	return plugin.Refuse(plugin.ReasonClientClosed, "")
}
