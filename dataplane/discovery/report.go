package discovery

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// report is where a follower tells what it found.
type report struct {
	// Set once.
	source string
	update func([]Target)
	state  *state
	memory *Memory
	log    *slog.Logger

	// Guarded by mu.
	mu      sync.Mutex
	last    []Target
	known   bool // something was found, be it nothing
	failing bool
	success bool // since takeSuccess
	ended   bool
}

// found tells that the directory answered. A problem that did not keep it from answering may be told with it.
func (r *report) found(targets []Target, problem error) {
	arranged, cut := arrange(targets)
	if cut > 0 && problem == nil {
		problem = fmt.Errorf("%d targets beyond the first %d are left out", cut, MaxTargets)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	changed := !r.known || !slices.Equal(arranged, r.last)
	r.last, r.known, r.success = arranged, true, true
	r.state.succeeded(len(arranged), changed, problem)
	r.memory.keep(r.source, arranged, changed)
	r.tell(problem)
	if changed {
		r.log.Info("discovery found other targets", "targets", len(arranged))
		r.update(slices.Clone(arranged))
	}
}

// failed tells that there is no answer. What was found last stays.
func (r *report) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.state.failed(err)
	r.tell(err)
}

// recall uses what was found before the process began, or by another source that looked for the same, if nothing was found
// since.
func (r *report) recall() {
	r.mu.Lock()
	defer r.mu.Unlock()
	targets, when, ok := r.memory.recall(r.source)
	if r.known || r.ended || !ok {
		return
	}
	r.last, r.known = targets, true
	r.state.recalled(len(targets))
	r.log.Warn("discovery has no answer yet; the targets are those found before", "targets", len(targets), "found", when)
	r.update(slices.Clone(targets))
}

// end lets nothing be told any more.
func (r *report) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
}

// tell logs when trouble begins and when it ends, and not what is between. The caller holds mu.
func (r *report) tell(trouble error) {
	switch {
	case trouble != nil && !r.failing:
		r.log.Warn("discovery fails; the last targets stay", "targets", len(r.last), "error", trouble)
	case trouble == nil && r.failing:
		r.log.Info("discovery works again", "targets", len(r.last))
	}
	r.failing = trouble != nil
}

// takeSuccess tells whether something was found since it was asked last.
func (r *report) takeSuccess() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.success
	r.success = false
	return was
}

// state is what a board shows of a source.
type state struct {
	board  *Board
	status Status // guarded by board.mu
}

func (s *state) succeeded(targets int, changed bool, problem error) {
	s.change(func(status *Status) {
		now := time.Now()
		status.Targets, status.LastSuccess, status.LastError = targets, now, ""
		if changed {
			status.LastChange = now
		}
		if problem != nil {
			status.note(now, problem)
		}
	})
}

func (s *state) recalled(targets int) {
	s.change(func(status *Status) { status.Targets = targets })
}

func (s *state) failed(err error) {
	s.change(func(status *Status) { status.note(time.Now(), err) })
}

func (s *state) change(how func(*Status)) {
	s.board.mu.Lock()
	defer s.board.mu.Unlock()
	how(&s.status)
}

func (s *Status) note(now time.Time, err error) {
	s.LastError, s.LastFailure = err.Error(), now
	s.Failures++
}
