package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/dataplane/agent/journal"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// pin holds the agent to a revision, whatever the control plane wants: the way out for an operator when there is none. It
// stands in a file, so it outlives the process. The fast lane goes on.
type pin struct {
	Revision int64  `json:"revision"`
	Root     []byte `json:"root"`
}

func (a *Agent) pinPath() string { return filepath.Join(a.config.StateDir, "pin.json") }

// state is the desired state with the pinned revision alone.
func (p *pin) state(desired *agentv1.DesiredState) *agentv1.DesiredState {
	state := proto.CloneOf(desired)
	state.Stable = &agentv1.RevisionReference{Revision: p.Revision, Root: p.Root}
	state.Candidate, state.CandidateSharePpm, state.RolloutId = nil, 0, ""
	return state
}

// readPin takes up a pin that an operator left. One that cannot be read is loud, and none.
func (a *Agent) readPin(ctx context.Context) {
	content, err := os.ReadFile(a.pinPath())
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	read := new(pin)
	if err == nil {
		err = json.Unmarshal(content, read)
	}
	if err == nil {
		if _, held := a.journal.State().Content(read.Root); !held {
			err = fmt.Errorf("the content of revision %d is not held", read.Revision)
		}
	}
	if err != nil {
		a.log.ErrorContext(ctx, "pin not taken up", "error", err)
		return
	}
	a.pin = read
	a.log.WarnContext(ctx, "pinned by an operator", "revision", read.Revision)
}

// Pin holds the agent to the stable revision that it serves, and ends a candidate. It may be called from any goroutine while
// Run runs.
func (a *Agent) Pin(ctx context.Context, by Operator) error {
	return a.local(ctx, by, "pin", func(ctx context.Context) error {
		if a.serving.stable.snapshot == nil {
			return errors.New("nothing is served that the agent could be pinned to")
		}
		return a.pinTo(ctx, a.serving.stable.reference)
	})
}

// RollBack goes back to the stable revision before, and holds the agent to it. It may be called from any goroutine while Run
// runs.
func (a *Agent) RollBack(ctx context.Context, by Operator) error {
	return a.local(ctx, by, "rollback", func(ctx context.Context) error {
		before := a.journal.State().PreviousStable
		if before == nil {
			return errors.New("the agent holds no stable revision before the one it serves")
		}
		return a.pinTo(ctx, before)
	})
}

// pinTo compiles in the loop: it is rare, and nothing else may happen in between.
func (a *Agent) pinTo(ctx context.Context, reference *agentv1.RevisionReference) error {
	desired := a.journal.State().Desired
	if desired == nil {
		return errors.New("the agent has accepted no desired state yet")
	}
	next := &pin{Revision: reference.GetRevision(), Root: reference.GetRoot()}
	o := a.newJob(next.state(desired)).run(ctx, a)
	if o.errors != nil {
		o.release()
		return fmt.Errorf("revision %d cannot be served: %s", next.Revision, o.errors[0].GetMessage())
	}
	content, err := json.Marshal(next)
	if err == nil {
		err = journal.WriteFile(a.pinPath(), content)
	}
	if err != nil {
		o.release()
		return fmt.Errorf("keeping the pin: %w", err)
	}
	a.pin = next
	a.dropWaiting()
	a.install(ctx, o.serving(), o.desired)
	a.log.WarnContext(ctx, "pinned by an operator", "revision", next.Revision)
	return nil
}

// Unpin lets the control plane decide again. It may be called from any goroutine while Run runs.
func (a *Agent) Unpin(ctx context.Context, by Operator) error {
	return a.local(ctx, by, "unpin", func(ctx context.Context) error {
		if err := os.Remove(a.pinPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing the pin: %w", err)
		}
		if a.pin == nil {
			return nil
		}
		a.pin = nil
		a.log.WarnContext(ctx, "pin removed by an operator")
		if a.link != nil {
			a.link.cancel(errors.New("an operator removed the pin")) // the next stream brings the state again
		}
		return nil
	})
}
