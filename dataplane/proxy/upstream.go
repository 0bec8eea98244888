package proxy

import (
	"time"

	"tidegate.dev/dataplane/http1"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/upstream"
)

// An exchange uses a service in this order: enter, and for each try pick and report, at the end leaveUpstream.

// enter asks the service for leave to use it.
func (x *exchange) enter() plugin.Verdict {
	permit, refusal, wait := x.route.Upstream.Enter(x.window())
	x.permit = permit
	switch refusal {
	case upstream.RefusalOpen:
		return plugin.Verdict{Reason: plugin.ReasonCircuitOpen, RetryAfter: wholeSeconds(wait)}
	case upstream.RefusalFull:
		return plugin.Verdict{Reason: plugin.ReasonOverloaded, RetryAfter: 1, Detail: "the service runs as many exchanges as it may"}
	case upstream.RefusalNone, upstream.RefusalPending:
	}
	return plugin.Continue()
}

// wholeSeconds rounds up, to one at least.
func wholeSeconds(d time.Duration) int { return max(1, int((d+time.Second-1)/time.Second)) }

var noTarget = plugin.Refuse(plugin.ReasonUpstreamUnreachable, "no target of the service is known yet")

// pick takes a target for the next try: another one than that of the last, if there is one. It tells whether there is any.
func (x *exchange) pick(now time.Time) bool {
	last := x.target
	x.leaveTarget()
	x.target = x.route.Upstream.Pick(upstream.Choice{Window: x.window(), Now: now, Avoid: last})
	x.running = x.target != nil
	return x.running
}

func (x *exchange) leaveTarget() {
	if x.running {
		x.running = false
		x.target.Done(x.window())
	}
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
func (x *exchange) report(failed *http1.Failure, failure upstream.Failure, took time.Duration) upstream.Failure {
	if failed != nil && (failed.Source != http1.Upstream || failed.Retry == http1.RetryReused) {
		failure = upstream.FailureUnknown
	}
	x.route.Upstream.Report(x.window(), x.target, failure, took)
	return failure
}
