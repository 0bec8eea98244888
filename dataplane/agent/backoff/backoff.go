// Package backoff says how long an agent waits before it asks the control plane again, so that a fleet whose connections all
// broke at once does not come back all at once.
package backoff

import (
	"math/rand/v2"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/status"
)

const (
	first = 250 * time.Millisecond
	most  = 5 * time.Second
	// mostAsked bounds how long the control plane may ask to wait.
	mostAsked = time.Minute
)

// Pause is how long to wait before the next attempt: anything up to a limit that doubles with each attempt (0 is the first) to 5 s
// (full jitter), or, where the control plane refused with a time, that time and up to half as much again.
func Pause(attempt int, refusal error) time.Duration {
	if asked := askedFor(refusal); asked > 0 {
		return asked + rand.N(asked/2+1)
	}
	return rand.N(min(most, first<<min(max(attempt, 0), 10)))
}

// askedFor is how long the control plane asks to wait; 0: it does not say.
func askedFor(refusal error) time.Duration {
	for _, detail := range status.Convert(refusal).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return min(max(info.GetRetryDelay().AsDuration(), 0), mostAsked)
		}
	}
	return 0
}
