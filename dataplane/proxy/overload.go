package proxy

import (
	"math"
	"net/http"
	"time"

	"tidegate.dev/dataplane/overload"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/upstream"
)

// largeBody is what is not taken any more when memory is tight.
const largeBody = 64 << 10

// tarpit is how long whoever is refused for want of processors waits for the answer. Until then the connection asks for nothing
// more; without it, refusals would bring the next requests at once, and take the strength that they are to save.
const tarpit = time.Second

// admission is the room that an exchange has at its service, until the head of the response.
type admission struct {
	limiter *overload.Limiter
	ticket  overload.Ticket
}

// overloaded is the refusal of what there is no strength for. Who comes again after a second finds another state.
func overloaded(detail string) plugin.Verdict {
	return &plugin.Refusal{Reason: plugin.ReasonOverloaded, RetryAfter: 1, Detail: detail}
}

// bear tells whether the process has the strength for the exchange, and takes the body that it announces. It is asked before
// any policy, since refusing is only of use while it is cheap.
func (x *exchange) bear() plugin.Verdict {
	if x.length > x.route.MaxRequestBytes {
		x.client.CloseAfter()
		return plugin.Refuse(plugin.ReasonPayloadTooLarge, "")
	}
	if x.body != nil && x.length < 0 && x.route.MaxRequestBytes < math.MaxInt64 {
		x.body.Limit(x.route.MaxRequestBytes)
	}
	monitor := x.proxy.monitor
	switch monitor.Admit(x.route.Criticality) {
	case overload.RefusedForLag:
		if err := x.hold(tarpit); err != nil {
			return x.cutVerdict(err)
		}
		return overloaded("")
	case overload.RefusedForMemory:
		return overloaded("")
	case overload.RefusedNot:
	}
	if verdict := x.crowded(); verdict.Refused() {
		return verdict
	}
	if monitor.Memory() != overload.MemoryFree {
		x.client.CloseAfter()
		if (x.length < 0 || x.length > largeBody) && x.route.Criticality != overload.Critical {
			return overloaded("there is no memory for a large body")
		}
	}
	return plugin.Continue()
}

// limited is forward within the limit that the service was found to have.
func (x *exchange) limited() plugin.Verdict {
	limiter := x.route.Upstream.Limiter(x.window())
	if limiter == nil {
		return x.forward()
	}
	ticket, ok := limiter.Acquire(time.Now(), x.route.Criticality)
	if !ok {
		return overloaded("the service is asked for more than it can do")
	}
	x.admission, x.waited = admission{limiter, ticket}, time.Now()
	verdict := x.forward()
	x.leaveLimit(x.told(&x.response, verdict))
	return verdict
}

// leaveLimit gives the room back, if the exchange still has it.
func (x *exchange) leaveLimit(outcome overload.Outcome) {
	if a := &x.admission; a.limiter != nil {
		a.limiter.Release(a.ticket, time.Now(), outcome)
		*a = admission{}
	}
}

// told is what the exchange tells of its service's latency. Errors are quick, retries take long, and a body that the client was
// waited for is not the service's time.
func (x *exchange) told(response *upstream.Response, verdict plugin.Verdict) overload.Outcome {
	switch {
	case verdict.Why() == plugin.ReasonUpstreamTimeout:
		return overload.TimedOut
	case verdict.Refused() || x.tried > 1:
		return overload.Untold
	case response.Status >= 500 || response.Status == http.StatusTooManyRequests || response.Status == http.StatusSwitchingProtocols:
		return overload.Untold
	case x.length == 0:
		return overload.Answered
	}
	if from := response.HTTP1(); from != nil {
		sent, whole := from.Sent()
		if !whole {
			return overload.Untold
		}
		if !sent.IsZero() {
			x.admission.limiter.Restart(&x.admission.ticket, sent)
		}
		return overload.Answered
	}
	if x.length > 0 && x.length <= largeBody || isGRPC(x.header) {
		return overload.Answered
	}
	return overload.Untold
}
