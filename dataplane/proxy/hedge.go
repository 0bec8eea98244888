package proxy

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"sync/atomic"
	"time"

	"tidegate.dev/dataplane/http1"
	"tidegate.dev/dataplane/upstream"
)

// errOutrun ends a try when another one was faster.
var errOutrun = errors.New("another target was faster")

// rider is one of two tries that run beside each other. It has a goroutine of its own, which outlives the exchange if the rider
// is outrun, so nothing of it belongs to the exchange's memory.
type rider struct {
	// Set once.
	service *upstream.Service
	window  upstream.Window
	target  *upstream.Target
	began   time.Time
	call    http1.Call

	// Set before it arrives.
	response upstream.Response
	failed   *http1.Failure
	failure  upstream.Failure
	took     time.Duration
	reserved bool
	heard    []interim

	// Atomic: one of the states, and who waits for the response's body.
	state atomic.Uint32
	owner atomic.Pointer[exchange]
}

const (
	riding uint32 = iota
	arrived
	outrun
)

// Alive implements http1.Downstream. The client is asked by the exchange's goroutine alone: until a rider has won by race, and
// then by way of the winner.
func (r *rider) Alive() error {
	if r.state.Load() == outrun {
		return errOutrun
	}
	if x := r.owner.Load(); x != nil {
		return x.client.Alive()
	}
	return nil
}

// interim is an informational response.
type interim struct {
	status int
	header http1.Header
}

// mostHeard bounds how many informational responses of a rider are kept.
const mostHeard = 8

// Inform implements http1.Downstream. Of two upstreams none is passed on before it has won, so what it says is kept until then.
func (r *rider) Inform(status int, header *http1.Header) error {
	if len(r.heard) == mostHeard {
		return nil
	}
	r.heard = append(r.heard, interim{status: status})
	kept := &r.heard[len(r.heard)-1].header
	header.Each(func(name, value string) bool {
		kept.Add(name, value)
		return true
	})
	return nil
}

// tell passes on what a rider that has won was told before its answer.
func (x *exchange) tell(heard []interim) {
	for i := range heard {
		if x.Inform(heard[i].status, &heard[i].header) != nil {
			return // the client is gone, as the answer will find out
		}
	}
}

// run sends the request. Whoever is outrun when it comes back leaves by itself.
func (r *rider) run(finish chan<- *rider) {
	if err := r.service.Reserve(r.window, r.target, r.call.ConnectTimeout); err != nil {
		r.failed = &http1.Failure{Reason: http1.Exhausted, Source: http1.Gateway, Retry: http1.RetrySafe, Err: err}
	} else {
		r.reserved = true
		r.failed = r.service.RoundTrip(r.target, &r.call, &r.response)
	}
	r.failure = failureOf(&r.response, r.failed)
	r.took = time.Since(r.began)
	if r.state.CompareAndSwap(riding, arrived) {
		finish <- r
		return
	}
	r.leave(upstream.FailureUnknown)
}

// known is what the rider's failure says of its target.
func (r *rider) known() upstream.Failure { return knownOf(r.failed, r.failure) }

// leave gives back what the rider held.
func (r *rider) leave(known upstream.Failure) {
	if r.failed == nil {
		r.response.Release()
	}
	r.service.Report(r.window, r.target, known, r.took, r.began.Add(r.took))
	if r.reserved {
		r.target.Free()
	}
	r.target.Done(r.window)
}

// mayHedge tells whether the first try may get a second beside it.
func (x *exchange) mayHedge() bool {
	return x.tried == 1 && x.maySwitch && x.service.HedgeAfter() > 0
}

// hedged sends the request to the exchange's target and, if that takes long, to another one beside it. The first answer that is
// none of a failing server counts, and the connection of the other is closed.
func (x *exchange) hedged() (*http1.Failure, upstream.Failure) {
	body, failed := x.wholeBody()
	if failed != nil {
		return failed, upstream.FailureReset
	}
	finish := make(chan *rider, 2)
	first := x.ride(body, x.began, finish)
	riders := []*rider{first}
	var fallen *rider
	timer := time.NewTimer(x.service.HedgeAfter())
	defer timer.Stop()
	tick := time.NewTicker(aliveTick)
	defer tick.Stop()
	for {
		select {
		case r := <-finish:
			riders = slices.DeleteFunc(riders, func(other *rider) bool { return other == r })
			if r.failure != upstream.FailureNone && len(riders) > 0 {
				fallen = r
				continue
			}
			scatter(riders, finish)
			return x.crown(r, fallen)
		case now := <-timer.C:
			if second := x.secondTarget(first.target, now); second != nil {
				x.target = second
				riders = append(riders, x.ride(body, now, finish))
				x.tried++
			}
		case <-tick.C:
			if cause := x.client.Alive(); cause != nil {
				scatter(riders, finish)
				if fallen != nil {
					fallen.leave(fallen.known())
				}
				return &http1.Failure{Reason: http1.Abandoned, Source: http1.Client, Err: cause}, upstream.FailureReset
			}
		}
	}
}

// aliveTick is how often the client is asked whether it still waits.
const aliveTick = 200 * time.Millisecond

// wholeBody reads the body before it is sent, so that two can send it.
func (x *exchange) wholeBody() ([]byte, *http1.Failure) {
	if x.body == nil {
		return nil, nil
	}
	source, ok := x.body.again()
	if !ok {
		return nil, &http1.Failure{Reason: http1.BadBody, Source: http1.Client, Err: errBodyClosed}
	}
	body, err := io.ReadAll(source)
	if err != nil {
		return nil, &http1.Failure{Reason: http1.BadBody, Source: http1.Client, Err: err}
	}
	return body, nil
}

// ride begins a try with the exchange's target, which is the rider's from now on.
func (x *exchange) ride(body []byte, now time.Time, finish chan<- *rider) *rider {
	r := &rider{service: x.service, window: x.window(), target: x.target, began: now, call: x.call}
	x.running, x.waiting = false, false
	header := new(http1.Header)
	x.tellDeadline(now)
	x.header.Each(func(name, value string) bool {
		header.Add(name, value)
		return true
	})
	r.call.Header, r.call.Downstream, r.call.Trailer = header, r, nil
	r.call.Target = x.upstreamTarget()
	if x.namesTarget() {
		r.call.Host = x.target.Authority()
	}
	if body != nil {
		r.call.Body = bytes.NewReader(body)
	}
	r.service.Go(func() { r.run(finish) })
	return r
}

// secondTarget is another target, if there is one and the budget has room for it.
func (x *exchange) secondTarget(first *upstream.Target, now time.Time) *upstream.Target {
	service, window := x.service, x.window()
	second := service.Pick(upstream.Choice{Window: window, Now: now, Avoid: first, Hash: x.hash()})
	switch {
	case second == nil:
		return nil
	case second != first && service.Hedge(window):
		return second
	}
	service.Report(window, second, upstream.FailureUnknown, 0, now)
	second.Done(window)
	return nil
}

// crown makes the try of the winner, or of the last that fell, the exchange's. If both fell, that is one that has an answer at
// least.
func (x *exchange) crown(winner, fallen *rider) (*http1.Failure, upstream.Failure) {
	if fallen != nil {
		if winner.failed != nil && fallen.failed == nil {
			winner, fallen = fallen, winner
		}
		fallen.leave(fallen.known())
	}
	if winner.failure == upstream.FailureNone {
		x.tell(winner.heard)
	}
	winner.owner.Store(x)
	x.target, x.began, x.running, x.waiting, x.reserved = winner.target, winner.began, true, true, winner.reserved
	x.response = winner.response
	return winner.failed, winner.failure
}

// scatter ends the tries that still run. One that has arrived meanwhile is let go of here.
func scatter(riders []*rider, finish <-chan *rider) {
	for _, r := range riders {
		if !r.state.CompareAndSwap(riding, outrun) {
			late := <-finish
			late.leave(upstream.FailureUnknown)
		}
	}
}
