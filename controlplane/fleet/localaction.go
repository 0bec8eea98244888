package fleet

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"tidegate.dev/controlplane/store"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

const (
	// localActionsLimit bounds what one message holds; agents keep less.
	localActionsLimit = 256
	// localActionsHourly bounds what an agent can write into the audit within an hour, should somebody have stolen its identity.
	localActionsHourly = 500
	// localActionsTimeout bounds the writing.
	localActionsTimeout = 10 * time.Second
)

// localCommand is what an action may be called.
var localCommand = regexp.MustCompile(`^[a-z][a-z_]{0,31}$`)

// localActions writes what operators had the agent do over its local socket into the audit, each once, and tells the agent what stands
// there. What could not be written it tells again.
func (s *session) localActions(ctx context.Context, told []*agentv1.LocalAction) error {
	if err := checkLocalActions(told); err != nil {
		return fmt.Errorf("%w: local actions: %w", errProtocol, err)
	}
	ctx, cancel := context.WithTimeout(ctx, localActionsTimeout)
	defer cancel()
	var stored []*agentv1.LocalActionReference
	err := s.store.InTx(ctx, func(tx *store.Tx) (err error) {
		stored, err = s.auditLocalActions(ctx, tx, told)
		return err
	})
	if err != nil {
		s.log.Warn("what an operator did to an agent is not in the audit yet", "actions", len(told), "error", err)
		return nil // the agent tells it again
	}
	if len(stored) < len(told) {
		s.log.Warn("an agent tells of more local actions than one believes", "actions", len(told), "stored", len(stored))
	}
	return s.send(&agentv1.ConnectResponse{Message: &agentv1.ConnectResponse_LocalActionsStored{
		LocalActionsStored: &agentv1.LocalActionsStored{Actions: stored},
	}})
}

func checkLocalActions(told []*agentv1.LocalAction) error {
	if len(told) > localActionsLimit {
		return fmt.Errorf("more than %d", localActionsLimit)
	}
	for _, action := range told {
		if !localCommand.MatchString(action.GetCommand()) || action.GetSequence() < 1 {
			return fmt.Errorf("%q with number %d", action.GetCommand(), action.GetSequence())
		}
		if err := checkTexts([]string{action.GetBootId(), action.GetError()}, nil); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) auditLocalActions(ctx context.Context, tx *store.Tx, told []*agentv1.LocalAction) (stored []*agentv1.LocalActionReference, err error) {
	lately, err := tx.LocalActionsLately(ctx, s.agent.ID)
	if err != nil {
		return nil, err
	}
	for _, action := range told {
		if lately >= localActionsHourly {
			break
		}
		fresh, err := tx.NoteLocalAction(ctx, store.LocalAction{AgentID: s.agent.ID, BootID: action.GetBootId(), Sequence: action.GetSequence()})
		if err != nil {
			return nil, err
		}
		if fresh {
			lately++
			if err := tx.Audit(ctx, s.localEvent(action)); err != nil {
				return nil, err
			}
		}
		stored = append(stored, &agentv1.LocalActionReference{BootId: action.GetBootId(), Sequence: action.GetSequence()})
	}
	return stored, nil
}

// localEvent is how an action stands in the audit: the agent is who says so, and the reason what it says.
func (s *session) localEvent(action *agentv1.LocalAction) store.AuditEvent {
	var said strings.Builder
	fmt.Fprintf(&said, "by %s at %s (the agent's clock), who found revision %d", localOperator(action),
		action.GetTime().AsTime().UTC().Format(time.RFC3339), action.GetStableRevision())
	if action.GetError() != "" {
		fmt.Fprintf(&said, "; not done: %s", action.GetError())
	}
	if action.GetForgotten() > 0 {
		fmt.Fprintf(&said, "; %d actions before it were forgotten", action.GetForgotten())
	}
	return store.AuditEvent{
		Actor: "agent " + s.agent.Name, Action: "agent.local." + action.GetCommand(), Fleet: s.agent.Fleet,
		Resource: "agents/" + s.agent.Name, Reason: said.String(),
	}
}

func localOperator(action *agentv1.LocalAction) string {
	switch {
	case action.Uid == nil:
		return "an unknown user"
	case action.LoginUid != nil && action.GetLoginUid() != action.GetUid():
		return fmt.Sprintf("uid %d, logged in as uid %d,", action.GetUid(), action.GetLoginUid())
	}
	return fmt.Sprintf("uid %d", action.GetUid())
}
