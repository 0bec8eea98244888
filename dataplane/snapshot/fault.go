package snapshot

import (
	"net/http"
	"time"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Fault is trouble on purpose.
type Fault struct {
	// Header is the field, in canonical form, that only requests with trouble carry; empty for all.
	Header string

	delay      time.Duration
	delayShare share
	abort      int
	abortShare share
}

// Throw decides about one request: how long it waits, 0 for not at all, and what it is answered, 0 for nothing.
func (f *Fault) Throw() (delay time.Duration, status int) {
	if f.delay > 0 && f.delayShare.throw() {
		delay = f.delay
	}
	if f.abort > 0 && f.abortShare.throw() {
		status = f.abort
	}
	return delay, status
}

func (c *compilation) readFault(resource string, spec *configv1.Fault) *Fault {
	if spec == nil {
		return nil
	}
	f := &Fault{Header: http.CanonicalHeaderKey(spec.GetHeader())}
	if delay := spec.GetDelay(); delay != nil {
		f.delay, f.delayShare = c.duration(resource, "fault.delay.duration", delay.GetDuration(), 0), percent(delay.Percent)
	}
	if abort := spec.GetAbort(); abort != nil {
		f.abort, f.abortShare = int(abort.GetStatus()), percent(abort.Percent)
		if f.abort < 400 || f.abort > 599 {
			c.fail(resource, "fault.abort.status", CodeCompile, "is not between 400 and 599")
		}
	}
	return f
}
