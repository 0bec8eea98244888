package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"tidegate.dev/dataplane/agent/journal"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// Operator is who steers the agent over its local socket, as far as the system tells: nil is not known.
type Operator struct {
	// UID is the user at the other end, and LoginUID the one who had logged in there, before sudo.
	UID, LoginUID *uint32
}

const (
	// actionsKept bounds what is kept for the audit. The oldest give way, and how many did is told.
	actionsKept = 200
	// tellAgain is how long the control plane has to say that it has them.
	tellAgain = 30 * time.Second
	// actionTextLimit bounds the reason of a command that failed, in bytes.
	actionTextLimit = 200
)

// localActions are what operators had the agent do and the control plane has not yet in its audit. They stand in a file, so that what
// was done without a control plane is told when there is one, whatever became of the process.
type localActions struct {
	path    string
	list    []*agentv1.LocalAction
	last    int64 // the sequence of this boot's last one
	toldAt  time.Time
	changed bool // since they were told
}

func newLocalActions(stateDir string) *localActions {
	return &localActions{path: filepath.Join(stateDir, "local-actions.json")}
}

// read takes up what an earlier process left.
func (l *localActions) read() error {
	content, err := os.ReadFile(l.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var left agentv1.LocalActions
	if err == nil {
		err = protojson.Unmarshal(content, &left)
	}
	if err != nil {
		return err
	}
	l.list = left.GetActions()
	return nil
}

func (l *localActions) write() error {
	content, err := protojson.Marshal(&agentv1.LocalActions{Actions: l.list})
	if err != nil {
		return err
	}
	return journal.WriteFile(l.path, content)
}

func (l *localActions) add(action *agentv1.LocalAction) error {
	l.last++
	action.Sequence = l.last
	l.list = append(l.list, action)
	if over := len(l.list) - actionsKept; over > 0 {
		forgotten := uint32(over)
		for _, gone := range l.list[:over] {
			forgotten += gone.GetForgotten()
		}
		l.list = slices.Delete(l.list, 0, over)
		l.list[0].Forgotten += forgotten
	}
	l.changed = true
	return l.write()
}

// forget lets go of those that stand in the audit.
func (l *localActions) forget(stored []*agentv1.LocalActionReference) error {
	known := map[string]bool{}
	key := func(boot string, sequence int64) string { return fmt.Sprint(boot, "/", sequence) }
	for _, one := range stored {
		known[key(one.GetBootId(), one.GetSequence())] = true
	}
	before := len(l.list)
	l.list = slices.DeleteFunc(l.list, func(a *agentv1.LocalAction) bool { return known[key(a.GetBootId(), a.GetSequence())] })
	if len(l.list) == before {
		return nil
	}
	return l.write()
}

// local does what an operator asks for, in the loop. It is kept before it is done, so that nothing is done that is not told.
func (a *Agent) local(ctx context.Context, by Operator, command string, do func(context.Context) error) error {
	return a.inLoop(ctx, func(ctx context.Context) error {
		action := &agentv1.LocalAction{
			BootId: a.bootID, Time: timestamppb.Now(), Command: command, StableRevision: a.serving.stable.reference.GetRevision(),
			Uid: by.UID, LoginUid: by.LoginUID,
		}
		if err := a.actions.add(action); err != nil {
			a.log.ErrorContext(ctx, "local command not kept for the audit", "command", command, "error", err)
		}
		err := do(ctx)
		if err != nil {
			text := err.Error()
			action.Error = text[:min(len(text), actionTextLimit)]
			if err := a.actions.write(); err != nil {
				a.log.ErrorContext(ctx, "outcome of a local command not kept for the audit", "command", command, "error", err)
			}
		}
		a.tellActions(time.Now())
		return err
	})
}

// NoteUpgrade keeps for the audit that an operator has the agent start its successor. It may be called from any goroutine while Run
// runs.
func (a *Agent) NoteUpgrade(ctx context.Context, by Operator) error {
	return a.local(ctx, by, "upgrade", func(context.Context) error { return nil })
}

// tellActions tells the control plane what it has not said to have, at once when there is something new and else now and then.
func (a *Agent) tellActions(now time.Time) {
	l := a.actions
	if !a.welcomed || len(l.list) == 0 || !l.changed && now.Sub(l.toldAt) < tellAgain {
		return
	}
	l.toldAt, l.changed = now, false
	told := proto.CloneOf(&agentv1.LocalActions{Actions: l.list})
	a.link.send(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_LocalActions{LocalActions: told}})
}

func (a *Agent) onActionsStored(ctx context.Context, stored *agentv1.LocalActionsStored) {
	if err := a.actions.forget(stored.GetActions()); err != nil {
		a.log.ErrorContext(ctx, "local commands that stand in the audit not forgotten", "error", err)
	}
}

// String names the operator, for the log.
func (o Operator) String() string {
	if o.UID == nil {
		return "an unknown user"
	}
	text := fmt.Sprint("uid ", *o.UID)
	if o.LoginUID != nil && *o.LoginUID != *o.UID {
		text += fmt.Sprint(", logged in as uid ", *o.LoginUID)
	}
	return text
}
