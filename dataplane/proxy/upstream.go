package proxy

import (
	"errors"
	"time"

	"tidegate.dev/dataplane/http1"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/upstream"
)

// An exchange uses a service in this order: enter, and for each try pick and report, at the end leaveUpstream.

// enter asks the service for leave to use it.
func (x *exchange) enter() plugin.Verdict {
	x.service = x.route.Upstream
	permit, refusal, wait := x.service.Enter(x.window())
	x.permit = permit
	switch refusal {
	case upstream.RefusalOpen:
		return &plugin.Refusal{Reason: plugin.ReasonCircuitOpen, RetryAfter: wholeSeconds(wait)}
	case upstream.RefusalFull:
		return &plugin.Refusal{Reason: plugin.ReasonOverloaded, RetryAfter: 1, Detail: "the service runs as many exchanges as it may"}
	case upstream.RefusalNone:
	}
	return plugin.Continue()
}

// wholeSeconds rounds up, to one at least.
func wholeSeconds(d time.Duration) int { return max(1, int((d+time.Second-1)/time.Second)) }

var noTarget = plugin.Refuse(plugin.ReasonUpstreamUnreachable, "no target of the service is known yet")

// pick takes a target for the next try, another one than the one to avoid if there is one. It tells whether there is any.
func (x *exchange) pick(now time.Time, avoid *upstream.Target) bool {
	x.leaveTarget()
	x.target = x.service.Pick(upstream.Choice{Window: x.window(), Now: now, Avoid: avoid, Hash: x.hash()})
	x.running, x.waiting = x.target != nil, x.target != nil
	return x.running
}

// hash stands for the part of the request that decides its target, if one does.
func (x *exchange) hash() uint64 {
	switch on := x.service.HashOn(); on.Kind {
	case upstream.HashHeader:
		return upstream.Hash(x.header.Get(on.Name))
	case upstream.HashCookie:
		return upstream.Hash(x.cookie(on.Name))
	case upstream.HashConsumer:
		return upstream.Hash(x.Caller.Consumer)
	case upstream.HashAddress:
		address := x.Client.As16()
		return upstream.HashBytes(address[:])
	case upstream.HashNothing:
	}
	return 0
}

// reserve waits for a place among the connections to the target, where those are bounded.
func (x *exchange) reserve() *http1.Failure {
	if err := x.service.Reserve(x.window(), x.target, x.call.ConnectTimeout); err != nil {
		return &http1.Failure{Reason: http1.Exhausted, Source: http1.Gateway, Retry: http1.RetrySafe, Err: err}
	}
	x.reserved = true
	if !x.target.Bounded() {
		// Nothing was waited for since.
		x.call.Began = x.began
	}
	return nil
}

func (x *exchange) leaveTarget() {
	if x.reserved {
		x.reserved = false
		x.target.Free()
	}
	if x.waiting {
		// It panicked, or nobody wanted to know.
		x.waiting = false
		x.service.Report(x.window(), x.target, upstream.FailureUnknown, 0, time.Now())
	}
	if x.running {
		x.running = false
		x.target.Done(x.window())
	}
}

// errTargetSilent ends the wait for a target that is silent while others answer.
var errTargetSilent = errors.New("the target is silent while others answer")

// patience ends the wait for the head of a response, if the target is silent and the request can go to another. The retry is
// taken out of the budget here, for without one the wait goes on.
func (x *exchange) patience() error {
	if !x.impatient || !x.service.GiveUp(x.window(), x.target, time.Since(x.began)) {
		return nil
	}
	if x.pause, x.granted = x.service.Retry(x.window(), x.tried, upstream.FailureTimeout); !x.granted {
		return nil
	}
	return errTargetSilent
}

// leaveUpstream says that the exchange is over.
func (x *exchange) leaveUpstream() {
	x.leaveTarget()
	x.permit.Leave()
}

// window is where the exchange's failures are counted.
func (x *exchange) window() upstream.Window {
	if x.arm == nil {
		return 0
	}
	return upstream.Window(x.arm.Arm.Arm)
}

// report tells how the target did, and returns it. What the client brought about is not its fault.
func (x *exchange) report(failed *http1.Failure, failure upstream.Failure, ended time.Time) upstream.Failure {
	known := knownOf(failed, failure)
	if x.waiting {
		x.waiting = false
		x.service.Report(x.window(), x.target, known, ended.Sub(x.began), ended)
	}
	return known
}

// knownOf is what a failure says of the target.
func knownOf(failed *http1.Failure, failure upstream.Failure) upstream.Failure {
	if failed != nil && (failed.Source != http1.Upstream || failed.Retry == http1.RetryReused) {
		return upstream.FailureUnknown
	}
	return failure
}
