package proxy

import (
	"errors"
	"time"

	"tidegate.dev/dataplane/http1"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/upstream"
)

// What ends an exchange early.
var (
	errResponseHeaderTimeout = errors.New("the upstream took too long to answer")
	errIdleTimeout           = errors.New("nothing was received for too long")
	errTotalTimeout          = errors.New("the exchange took longer than it may")
	errKeyExpired            = errors.New("the key expired")
	errKeyRevoked            = errors.New("the key was revoked")
	errBlocked               = errors.New("the caller is blocked")
	errShutdown              = errors.New("the gateway is shutting down")
)

// forward sends the request upstream, maybe more than once, until there is the head of a response.
func (x *exchange) forward() plugin.Verdict {
	service, window := x.route.Upstream, x.window()
	if verdict := x.enter(); verdict.Refused() {
		return verdict
	}
	x.prepare()
	if !x.pick(x.ready(), nil) {
		return noTarget
	}
	stale := 0
	for x.began, x.tried = x.ready(), 1; ; x.tried++ {
		failed, failure := x.try()
		known := x.report(failed, failure, endOf(&x.response))
		if failure == upstream.FailureNone {
			x.permit.Settle(known)
			return plugin.Continue()
		}
		pause, again, avoid := time.Duration(0), false, x.target
		switch {
		case x.client.Alive() != nil || x.late() || !x.repeatable(failure):
		case x.granted:
			pause, again, x.granted = x.pause, true, false
		case failed != nil && failed.Retry == http1.RetryReused && stale < mostStale:
			// The connection had ended before the request came. That is no failure of the target, and costs no budget. If it
			// happens again, the others may have ended too, and the request gets a new one.
			if stale++; stale == mostStale {
				x.target.Forget()
			}
			again, avoid = true, nil
			x.tried--
		default:
			pause, again = service.Retry(window, x.tried, failure)
		}
		if !again {
			x.permit.Settle(known)
			if failed == nil {
				return plugin.Continue()
			}
			return x.verdictOn(failed)
		}
		if failed == nil {
			x.response.Discard()
		}
		if err := x.wait(pause); err != nil {
			return x.cutVerdict(err)
		}
		if x.began = time.Now(); !x.pick(x.began, avoid) {
			x.permit.Settle(known)
			return noTarget
		}
	}
}

// mostStale is how often a request may meet a connection that has ended.
const mostStale = 2

// longestPatience is how long a client may read nothing.
const longestPatience = time.Minute

// prepare makes what is the same for every try.
func (x *exchange) prepare() {
	header, timeouts := x.header, &x.route.Timeouts
	if x.Caller.Consumer != "" {
		consumerName.Set(header, x.Caller.Consumer)
	}
	// Field by field, as in readHTTP1.
	call := &x.call
	call.Method, call.Host, call.Header, call.ContentLength = x.method, x.host, header, x.length
	call.Trailer, call.Trailers, call.Downstream = x.trailer, x.trailers, x
	call.ConnectTimeout, call.HeaderTimeout, call.Idle = timeouts.Connect, timeouts.ResponseHeader, timeouts.Idle
	x.call.Deadline, x.deadlineErr = x.deadline()
	x.heedDeadline()
	if x.protocolWanted != "" && x.route.Upstream.Upgrades() {
		x.call.Upgrade = x.protocolWanted
	}
	if rewrite := x.route.Rewrite; rewrite != nil && rewrite.Host != "" {
		x.call.Host = rewrite.Host
	}
	if timeouts.Idle > 0 {
		x.client.Patience(min(timeouts.Idle, longestPatience))
	}
	if x.length < 0 || x.call.Upgrade != "" {
		x.watchCaller()
	}
	if x.call.Upgrade != "" {
		x.watchAddress()
	}
	attempts, perTry := x.route.Upstream.Retries()
	if attempts < 2 || !x.mayRepeat() || x.call.Upgrade != "" {
		return
	}
	if x.body != nil && x.length <= longestRepeat {
		x.body.Keep(longestRepeat)
	}
	x.maySwitch = x.body == nil || x.length >= 0 && x.length <= longestRepeat
	if perTry > 0 && x.length >= 0 && x.length <= longestRepeat {
		x.call.HeaderTimeout = min(perTry, timeouts.ResponseHeader)
	}
}

// ready is when the exchange could go upstream: as soon as it had arrived, but for what it waited for. Policies do not wait.
func (x *exchange) ready() time.Time {
	if x.waited.IsZero() {
		return x.Started
	}
	return x.waited
}

// endOf is when a try ended: now, if there is no response that knows better.
func endOf(response *upstream.Response) time.Time {
	if own := response.HTTP1(); own != nil {
		return own.Arrived
	}
	return time.Now()
}

// Alive implements http1.Downstream for the exchange's client.
func (x *exchange) Alive() error {
	if err := x.client.Alive(); err != nil {
		return err
	}
	return x.patience()
}

// Inform implements http1.Downstream: it passes an informational response on, without what is not the upstream's to say.
func (x *exchange) Inform(status int, header *http1.Header) error {
	header.RemoveHopByHop()
	header.DelFunc(isIdentity)
	x.informed = true
	return x.client.Inform(status, header)
}

// verdictOn says what becomes of an exchange that brought no response.
func (x *exchange) verdictOn(failed *http1.Failure) plugin.Verdict {
	var dial *upstream.DialError
	if cause := x.client.Alive(); cause != nil {
		return x.cutVerdict(cause)
	}
	switch {
	case x.isCut(failed):
		return x.cutVerdict(failed)
	case failed.Reason == http1.TimedOut, errors.Is(failed, http1.ErrTimeout):
		return x.timeoutVerdict(errResponseHeaderTimeout)
	case failed.Reason == http1.BadBody:
		return bodyVerdict(failed.Err)
	case failed.Reason == http1.Abandoned:
		return plugin.Refuse(plugin.ReasonClientClosed, "")
	case failed.Reason == http1.Exhausted:
		return &plugin.Refusal{Reason: plugin.ReasonOverloaded, RetryAfter: 1, Detail: "the upstream has as many connections as it may"}
	case failed.Reason == http1.Unsendable:
		return plugin.Refuse(plugin.ReasonInternal, "the request cannot be passed on as valid HTTP")
	case errors.As(failed, &dial) && dial.Timeout():
		return plugin.Refuse(plugin.ReasonUpstreamTimeout, "no connection to the upstream in time")
	case failed.Reason == http1.Unreachable:
		return plugin.Refuse(plugin.ReasonUpstreamUnreachable, "")
	}
	return plugin.Refuse(plugin.ReasonUpstreamProtocol, "")
}

// timeoutVerdict tells the timeout of a part from that of the whole.
func (x *exchange) timeoutVerdict(part error) plugin.Verdict {
	if x.late() {
		if errors.Is(x.deadlineErr, errKeyExpired) {
			return plugin.Refuse(plugin.ReasonKeyExpired, "")
		}
		part = x.deadlineErr
	}
	return plugin.Refuse(plugin.ReasonUpstreamTimeout, part.Error())
}

// bodyVerdict says what is wrong with the request's body.
func bodyVerdict(err error) plugin.Verdict {
	var refused *http1.Error
	if errors.As(err, &refused) && refused.Status < 500 {
		return refusalOf(refused)
	}
	return plugin.Refuse(plugin.ReasonBadRequest, "the request's body broke off or is not well formed")
}

// isCut tells whether somebody ended the exchange from outside.
func (x *exchange) isCut(err error) bool {
	return errors.Is(err, errKeyRevoked) || errors.Is(err, errBlocked) || errors.Is(err, errShutdown) || errors.Is(err, http1.ErrClientGone)
}

// cutVerdict says what became of an exchange that was ended from outside.
func (x *exchange) cutVerdict(cause error) plugin.Verdict {
	switch {
	case errors.Is(cause, errKeyRevoked):
		return plugin.Refuse(plugin.ReasonKeyRevoked, "")
	case errors.Is(cause, errBlocked):
		return plugin.Refuse(plugin.ReasonBlocked, "")
	case errors.Is(cause, errShutdown):
		return &plugin.Refusal{Reason: plugin.ReasonOverloaded, RetryAfter: 1, Detail: errShutdown.Error()}
	}
	return plugin.Refuse(plugin.ReasonClientClosed, "")
}
