package upstream

import (
	"errors"
	"sync/atomic"
	"time"

	"tidegate.dev/dataplane/overload"
)

// state is what is known of a service beside its targets. It belongs to the service's name, whatever settings it has.
type state struct {
	// Atomic, or guarded by themselves.
	windows [Windows]stateWindow

	// holders is guarded by the registry's mu.
	holders int
}

// stateWindow is what one window knows of a service.
type stateWindow struct {
	budget  budget
	breaker breaker
	// limiter is set once, when settings first want one.
	limiter *overload.Limiter
	// running counts the exchanges of services that bound them, pending those that wait for a connection.
	running atomic.Int64
	pending atomic.Int64

	retries  atomic.Uint64
	hedges   atomic.Uint64
	refusals atomic.Uint64
}

func newState() *state {
	s := new(state)
	for i := range s.windows {
		s.windows[i].budget.tokens.Store(budgetReserve)
	}
	return s
}

// adopt takes over what another window knows; what runs is counted where it began.
func (w *stateWindow) adopt(from *stateWindow) {
	w.budget.tokens.Store(from.budget.tokens.Load())
	w.breaker.adopt(&from.breaker)
	w.limiter.Adopt(from.limiter)
}

// Refusal says why a request is not sent to a service.
type Refusal uint8

// The refusals: none, the circuit breaker is open, and as much runs as may.
const (
	RefusalNone Refusal = iota
	RefusalOpen
	RefusalFull
)

// Permit is a request's leave to use a service. It belongs to the exchange's goroutine. The zero value permits nothing and
// needs not be given back.
type Permit struct {
	service *Service
	window  Window
	counted bool
	settled bool
	round   uint32
}

// Enter asks for leave to send a request to the service, however often it will be tried. A refusal may say how long to stay
// away. A permit is given back by [Permit.Leave].
func (s *Service) Enter(window Window) (permit Permit, refusal Refusal, wait time.Duration) {
	return s.enter(window, s.registry.clock.now)
}

func (s *Service) enter(window Window, now func() int64) (permit Permit, refusal Refusal, wait time.Duration) {
	w, c := &s.state.windows[window], &s.config.Breaker
	permit = Permit{service: s, window: window}
	if c.MaxConcurrent > 0 {
		if w.running.Add(1) > int64(c.MaxConcurrent) {
			w.running.Add(-1)
			w.refusals.Add(1)
			return Permit{}, RefusalFull, 0
		}
		permit.counted = true
	}
	if c.opens() {
		ok := false
		if permit.round, wait, ok = w.breaker.admit(c, now()); !ok {
			permit.Leave()
			w.refusals.Add(1)
			return Permit{}, RefusalOpen, wait
		}
	}
	w.budget.earn(s.config.Retry.BudgetPercent)
	return permit, RefusalNone, 0
}

// Settle says how the request went in the end, once that is known; what is said later does not count.
func (p *Permit) Settle(failure Failure) {
	if p.service == nil || p.settled {
		return
	}
	p.settled = true
	if c := &p.service.config.Breaker; p.round != 0 || c.opens() {
		p.service.state.windows[p.window].breaker.settle(c, p.round, outcomeOf(failure), p.service.registry.clock.now())
	}
}

// Leave gives the permit back, when the exchange is over. It may be called again.
func (p *Permit) Leave() {
	if p.service == nil {
		return
	}
	if p.round != 0 {
		p.Settle(FailureUnknown)
	}
	if p.counted {
		p.service.state.windows[p.window].running.Add(-1)
	}
	*p = Permit{}
}

// ErrNoSlot says that a target has as many connections in use as it may, and that no more may wait for one, or one has waited
// for too long.
var ErrNoSlot = errors.New("all connections that the service may have to the target are in use")

// Reserve waits until the target may have one more connection in use, at most so long; 0 takes the service's connect timeout.
// It takes the place in which the exchange is until [Target.Free]. A target whose connections are not bounded has room always.
func (s *Service) Reserve(window Window, t *Target, timeout time.Duration) error {
	if t.slots == nil {
		return nil
	}
	select {
	case t.slots <- struct{}{}:
		return nil
	default:
	}
	w := &s.state.windows[window]
	defer w.pending.Add(-1)
	if w.pending.Add(1) > int64(s.config.Breaker.MaxPending) {
		w.refusals.Add(1)
		return ErrNoSlot
	}
	if timeout <= 0 {
		timeout = s.config.ConnectTimeout
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case t.slots <- struct{}{}:
		return nil
	case <-timer.C:
		w.refusals.Add(1)
		return ErrNoSlot
	}
}

// Go runs f with a goroutine of its own. [Registry.Close] waits for it.
func (s *Service) Go(f func()) { s.registry.running.Go(f) }

// Bounded tells whether the connections to the target are, so that Reserve may wait.
func (t *Target) Bounded() bool { return t.slots != nil }

// Free gives back what Reserve took.
func (t *Target) Free() {
	if t.slots != nil {
		<-t.slots
	}
}
