package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"time"

	"tidegate.dev/dataplane/upstream"
)

// try sends the request to the exchange's target once. A response that comes with a failure can still be passed on.
func (x *exchange) try(out *http.Request, tried int) (*http.Response, upstream.Failure, error) {
	request := out
	if tried > 1 {
		// What is left of the try before may still look at its request.
		request = new(http.Request)
		*request = *out
	}
	x.towards(request)
	if x.body != nil {
		body, ok := x.body.again()
		if !ok {
			return nil, upstream.FailureReset, errBodyClosed
		}
		request.Body = body
	}
	response, err := x.roundTrip(request)
	var dial *upstream.DialError
	switch {
	case err == nil:
		return response, upstream.FailureOf(response.StatusCode), nil
	case errors.As(err, &dial):
		return nil, upstream.FailureConnect, err
	case errors.Is(err, errTryTimeout):
		return nil, upstream.FailureTimeout, err
	}
	return nil, upstream.FailureReset, err
}

// roundTrip bounds a try, if it can be followed by another.
func (x *exchange) roundTrip(request *http.Request) (*http.Response, error) {
	service := x.route.Upstream
	attempts, perTry := service.Retries()
	if perTry == 0 || attempts < 2 || x.upgrade != "" || !x.mayRepeat() || request.ContentLength < 0 || request.ContentLength > longestRepeat {
		return service.RoundTrip(x.target, request)
	}
	// The end of the exchange's context ends this one.
	ctx, cancel := context.WithCancelCause(request.Context())
	timer := time.AfterFunc(perTry, func() { cancel(errTryTimeout) })
	response, err := service.RoundTrip(x.target, request.WithContext(ctx))
	intime := timer.Stop()
	switch {
	case err == nil && intime:
		return response, nil
	case err == nil:
		_ = response.Body.Close()
		return nil, errTryTimeout
	}
	if errors.Is(context.Cause(ctx), errTryTimeout) {
		err = errTryTimeout
	}
	cancel(err)
	return nil, err
}

// towards names the target. The path goes out byte for byte as it was matched, or rewritten.
func (x *exchange) towards(request *http.Request) {
	target := x.target
	request.URL = &url.URL{
		Scheme:     target.Scheme(),
		Host:       target.Host(),
		Opaque:     target.Prefix() + x.upstreamPath(),
		RawQuery:   x.request.URL.RawQuery,
		ForceQuery: x.request.URL.ForceQuery,
	}
	if x.route.HostOfTarget {
		request.Host = target.Host()
	}
	if rewrite := x.route.Rewrite; rewrite != nil && rewrite.Host != "" {
		request.Host = rewrite.Host
	}
}

// mayRepeat tells whether it does no harm if the upstream gets the request twice: its method is idempotent (RFC 9110, section
// 9.2.2), or the upstream is asked to tell repetitions by their key.
func (x *exchange) mayRepeat() bool {
	switch x.request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return len(x.request.Header["Idempotency-Key"]) > 0
}

// repeatable tells whether the request can be sent again after that failure.
func (x *exchange) repeatable(failure upstream.Failure, interim *interim) bool {
	if failure != upstream.FailureConnect && (!x.mayRepeat() || x.upgrade != "" || interim.passedAny()) {
		return false
	}
	if x.body == nil {
		return true
	}
	_, ok := x.body.again()
	return ok
}

// wait pauses. It tells whether the exchange goes on.
func (x *exchange) wait(pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.ctx.Done():
		return false
	}
}

// longestDiscard is how much of a response is read that nobody wants, so that its connection can be used again.
const longestDiscard = 4 << 10

func discard(response *http.Response) {
	if response == nil {
		return
	}
	if response.ContentLength >= 0 && response.ContentLength <= longestDiscard {
		_, _ = io.Copy(io.Discard, response.Body)
	}
	_ = response.Body.Close()
}
