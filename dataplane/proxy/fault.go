package proxy

import (
	"time"

	"tidegate.dev/dataplane/plugin"
)

// suffer makes the trouble that the route asks for. The service has no part in it.
func (x *exchange) suffer() plugin.Verdict {
	fault := x.route.Fault
	if fault == nil || fault.Header != "" && !x.header.Has(fault.Header) {
		return plugin.Continue()
	}
	delay, status := fault.Throw()
	if err := x.hold(delay); err != nil {
		return x.cutVerdict(err)
	}
	if status == 0 {
		return plugin.Continue()
	}
	return &plugin.Refusal{Reason: plugin.ReasonFaultInjected, Status: status}
}

// lookAfter is how often a long pause looks whether the client still waits.
const lookAfter = 200 * time.Millisecond

// hold waits, as long as the client does.
func (x *exchange) hold(left time.Duration) error {
	for left > 0 {
		part := min(left, lookAfter)
		timer := time.NewTimer(part)
		<-timer.C
		if err := x.client.Alive(); err != nil {
			return err
		}
		left -= part
		x.waited = time.Now()
	}
	return nil
}
