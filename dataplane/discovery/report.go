package discovery

import (
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// report is where a follower tells what it found. It belongs to the goroutine of one source.
type report struct {
	update func([]Target)
	state  *state
	log    *slog.Logger

	last    []Target
	known   bool // something was found, be it nothing
	failing bool
	success bool // since takeSuccess
}

// found tells that the directory answered. A problem that did not keep it from answering may be told with it.
func (r *report) found(targets []Target, problem error) {
	arranged, cut := arrange(targets)
	if cut > 0 && problem == nil {
		problem = fmt.Errorf("%d targets beyond the first %d are left out", cut, MaxTargets)
	}
	changed := !r.known || !slices.Equal(arranged, r.last)
	r.last, r.known, r.success = arranged, true, true
	r.state.succeeded(len(arranged), changed, problem)
	r.tell(problem)
	if changed {
		r.log.Info("discovery found other targets", "targets", len(arranged))
		r.update(slices.Clone(arranged))
	}
}

// failed tells that there is no answer. What was found last stays.
func (r *report) failed(err error) {
	r.state.failed(err)
	r.tell(err)
}

// tell logs when trouble begins and when it ends, and not what is between.
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
