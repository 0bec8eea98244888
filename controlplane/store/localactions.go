package store

import (
	"context"
	"fmt"

	"tidegate.dev/controlplane/store/queries"
)

// LocalAction names what an operator had an agent do over its local socket.
type LocalAction struct {
	AgentID, BootID string
	Sequence        int64
}

// NoteLocalAction notes that an action is in the audit, which this transaction writes. fresh is false if it was noted before.
func (tx *Tx) NoteLocalAction(ctx context.Context, action LocalAction) (fresh bool, err error) {
	inserted, err := tx.queries.InsertLocalAction(ctx, queries.InsertLocalActionParams{
		AgentID: action.AgentID, BootID: action.BootID, Sequence: action.Sequence,
	})
	if err != nil {
		return false, fmt.Errorf("noting a local action of agent %s: %w", action.AgentID, translate(err))
	}
	return inserted > 0, nil
}

// LocalActionsLately counts those of an agent that were noted within the last hour.
func (tx *Tx) LocalActionsLately(ctx context.Context, agentID string) (int64, error) {
	count, err := tx.queries.CountLocalActions(ctx, agentID)
	if err != nil {
		return 0, fmt.Errorf("counting the local actions of agent %s: %w", agentID, translate(err))
	}
	return count, nil
}
