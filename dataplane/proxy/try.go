package proxy

import (
	"errors"
	"net/http"
	"time"

	"tidegate.dev/dataplane/http1"
	"tidegate.dev/dataplane/upstream"
)

// longestRepeat is how much of a body is kept, so that it can be sent again.
const longestRepeat = 64 << 10

// try sends the request to the exchange's target once. A response can come with a failure too, of an upstream that answers so, and be
// passed on; there is none if the try failed.
func (x *exchange) try() (failed *http1.Failure, failure upstream.Failure) {
	x.response = upstream.Response{}
	if !x.tellDeadline(x.began) {
		failed := &http1.Failure{Reason: http1.TimedOut, Source: http1.Client, Err: x.deadlineErr}
		return failed, upstream.FailureTimeout
	}
	if x.mayHedge() {
		return x.hedged()
	}
	x.call.Target = x.upstreamTarget()
	if x.namesTarget() {
		x.call.Host = x.target.Authority()
	}
	if x.body != nil {
		body, ok := x.body.again()
		if !ok {
			failed := &http1.Failure{Reason: http1.BadBody, Source: http1.Client, Err: errBodyClosed}
			return failed, upstream.FailureReset
		}
		x.call.Body = body
	}
	if failed := x.reserve(); failed != nil {
		return failed, upstream.FailureConnect
	}
	x.impatient = x.maySwitch
	failed = x.service.RoundTrip(x.target, &x.call, &x.response)
	x.impatient = false
	if failed != nil && errors.Is(failed.Err, errTargetSilent) {
		failed = &http1.Failure{Reason: http1.TimedOut, Source: http1.Upstream, Err: errTargetSilent}
	}
	return failed, failureOf(&x.response, failed)
}

// failureOf is what a try means for its target.
func failureOf(response *upstream.Response, failed *http1.Failure) upstream.Failure {
	if failed == nil {
		return upstream.FailureOf(response.Status)
	}
	switch failed.Reason {
	case http1.Unreachable, http1.Exhausted:
		return upstream.FailureConnect
	case http1.TimedOut:
		return upstream.FailureTimeout
	default:
		return upstream.FailureReset
	}
}

// namesTarget tells whether the upstream sees its own host instead of the client's.
func (x *exchange) namesTarget() bool {
	return x.route.HostOfTarget && (x.route.Rewrite == nil || x.route.Rewrite.Host == "")
}

// upstreamTarget is the request target for the exchange's target of the service. The path goes out byte for byte as it was
// matched, or rewritten.
func (x *exchange) upstreamTarget() string {
	prefix, path := x.target.Prefix(), x.upstreamPath()
	if prefix == "" && len(path)+len(x.query) == len(x.asked) && x.asked[:len(path)] == path {
		// The usual case costs nothing.
		return x.asked
	}
	return prefix + path + x.query
}

// mayRepeat tells whether it does no harm if the upstream gets the request twice: its method is idempotent (RFC 9110, section
// 9.2.2), or the upstream is asked to tell repetitions by their key.
func (x *exchange) mayRepeat() bool {
	switch x.method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
		return true
	}
	return x.header.Has("Idempotency-Key")
}

// repeatable tells whether the request can be sent again after that failure.
func (x *exchange) repeatable(failure upstream.Failure) bool {
	if failure != upstream.FailureConnect && (!x.mayRepeat() || x.call.Upgrade != "" || x.informed) {
		return false
	}
	if x.body == nil {
		return true
	}
	_, ok := x.body.again()
	return ok
}

// wait pauses, unless the client goes away meanwhile.
func (x *exchange) wait(pause time.Duration) error {
	if pause > 0 {
		timer := time.NewTimer(pause)
		<-timer.C
	}
	return x.client.Alive()
}
