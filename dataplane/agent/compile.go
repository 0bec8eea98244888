package agent

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// part is one revision of a job. The job holds a reference to the snapshot, if it is served already.
type part struct {
	reference *agentv1.RevisionReference
	content   *revision.Content
	snapshot  *snapshot.Snapshot
}

// job is a state to compile.
type job struct {
	desired   *agentv1.DesiredState
	stable    part
	candidate *part
	previous  *snapshot.Snapshot
}

// outcome is a compiled state, which holds its snapshots, or what is wrong with it.
type outcome struct {
	job
	errors []*agentv1.ResourceError
}

// begin gives a state that was admitted to the compiler.
func (a *Agent) begin(desired *agentv1.DesiredState) {
	a.dropWaiting()
	a.working = true
	a.jobs <- a.newJob(desired) // has room: one job at a time
}

func (a *Agent) newJob(desired *agentv1.DesiredState) job {
	j := job{desired: desired, stable: a.newPart(stableOf(desired)), previous: a.serving.stable.snapshot}
	if desired.GetCandidate() != nil {
		candidate := a.newPart(desired.GetCandidate())
		j.candidate = &candidate
	}
	if j.previous != nil {
		j.previous.Retain()
	}
	return j
}

func (a *Agent) newPart(reference *agentv1.RevisionReference) part {
	content, _ := a.journal.State().Content(reference.GetRoot())
	p := part{reference: reference, content: content, snapshot: a.serving.find(reference)}
	if p.snapshot != nil {
		p.snapshot.Retain()
	}
	return p
}

// compileAll is the compiler's goroutine.
func (a *Agent) compileAll(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case j := <-a.jobs:
			o := j.run(ctx, a)
			select {
			case a.done <- o:
			case <-ctx.Done():
				o.release()
			}
		}
	}
}

// run compiles what is not served already.
func (j job) run(ctx context.Context, a *Agent) outcome {
	defer j.releasePrevious()
	o := outcome{job: j}
	if err := a.compilePart(ctx, &o.stable, j.previous); err != nil {
		o.errors = resourceErrors(err)
		return o
	}
	if o.candidate == nil {
		return o
	}
	isServed := o.candidate.snapshot != nil
	err := a.compilePart(ctx, o.candidate, o.stable.snapshot)
	if err == nil && !isServed {
		err = a.testPart(ctx, o.candidate)
	}
	if err != nil {
		o.errors = resourceErrors(err)
	}
	return o
}

// panicError is a panic of the compiler.
type panicError struct{ value any }

func (p *panicError) Error() string { return fmt.Sprintf("compiling it panicked: %v", p.value) }

func (a *Agent) compilePart(ctx context.Context, p *part, previous *snapshot.Snapshot) (err error) {
	if p.snapshot != nil {
		return nil
	}
	defer func() {
		if value := recover(); value != nil {
			a.log.ErrorContext(ctx, "compiling panicked", "revision", p.reference.GetRevision(), "panic", value, "stack", string(debug.Stack()))
			err = &panicError{value}
		}
	}()
	p.snapshot, err = a.config.Compile(snapshot.Input{
		Revision: p.reference.GetRevision(), Root: p.content.Root(), Content: p.content, Previous: previous,
	})
	if err != nil {
		p.snapshot = nil
	}
	return err
}

// testPart runs the tests that a candidate carries, once for each. Stable is not tested: it has proved itself, and an agent that
// starts without a control plane must serve it.
func (a *Agent) testPart(ctx context.Context, p *part) (err error) {
	defer func() {
		if value := recover(); value != nil {
			a.log.ErrorContext(ctx, "testing panicked", "revision", p.reference.GetRevision(), "panic", value, "stack", string(debug.Stack()))
			err = &panicError{value}
		}
	}()
	return p.snapshot.Test()
}

func resourceErrors(err error) []*agentv1.ResourceError {
	var compile *snapshot.Error
	var panicked *panicError
	switch {
	case errors.As(err, &compile) && len(compile.Errors) > 0:
		var messages []*agentv1.ResourceError
		for _, e := range compile.Errors {
			messages = append(messages, &agentv1.ResourceError{Resource: e.Resource, Field: e.Field, Code: e.Code, Message: e.Message})
		}
		return messages
	case errors.As(err, &panicked):
		return problem("panic", err)
	default:
		return problem("compile", err)
	}
}

// serving hands the outcome's references over.
func (o outcome) serving() serving {
	s := serving{stable: arm{o.stable.reference, o.stable.snapshot}}
	if o.candidate != nil {
		s.candidate = &arm{o.candidate.reference, o.candidate.snapshot}
		s.sharePPM, s.rolloutID = o.desired.GetCandidateSharePpm(), o.desired.GetRolloutId()
		s.shadowPPM, s.sticky = o.desired.GetShadowPpm(), stickinessOf(o.desired.GetSticky())
	}
	return s
}

// releaseParts gives back the references of a state that is not served.
func (j job) releaseParts() {
	if j.stable.snapshot != nil {
		j.stable.snapshot.Release()
	}
	if j.candidate != nil && j.candidate.snapshot != nil {
		j.candidate.snapshot.Release()
	}
}

func (j job) releasePrevious() {
	if j.previous != nil {
		j.previous.Release()
	}
}

// release gives back the references of a job that did not run.
func (j job) release() {
	j.releaseParts()
	j.releasePrevious()
}

// release gives back the references of an outcome that is not served.
func (o outcome) release() { o.releaseParts() }
