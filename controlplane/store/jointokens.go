package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"tidegate.dev/controlplane/store/queries"
)

// AddJoinToken stores the hash of a join token of the fleet, which is good for lifetime from now by Postgres's clock. author
// is who made it.
func (tx *Tx) AddJoinToken(ctx context.Context, fleetID int64, hash []byte, author string, lifetime time.Duration) (expiresAt time.Time, err error) {
	expiresAt, err = tx.queries.InsertJoinToken(ctx, queries.InsertJoinTokenParams{
		Hash: hash, FleetID: fleetID, Author: author, LifetimeSeconds: lifetime.Seconds(),
	})
	if err != nil {
		return time.Time{}, fmt.Errorf("adding a join token: %w", translate(err))
	}
	return expiresAt, nil
}

// UseJoinToken uses a join token up for the agent, and says which fleet it joins. Of many who try at the same moment one
// succeeds. ErrNotFound: there is none of that hash, it was used, or it has expired.
func (tx *Tx) UseJoinToken(ctx context.Context, hash []byte, agentID string) (fleetID int64, err error) {
	var usedBy pgtype.UUID
	if err := usedBy.Scan(agentID); err != nil {
		return 0, fmt.Errorf("reading the agent's id: %w", err)
	}
	fleetID, err = tx.queries.UseJoinToken(ctx, queries.UseJoinTokenParams{Hash: hash, AgentID: usedBy})
	if err != nil {
		return 0, fmt.Errorf("using a join token: %w", translate(err))
	}
	return fleetID, nil
}

// DeleteOldJoinTokens forgets the tokens that expired a week ago.
func (tx *Tx) DeleteOldJoinTokens(ctx context.Context) (deleted int64, err error) {
	deleted, err = tx.queries.DeleteOldJoinTokens(ctx)
	if err != nil {
		return 0, fmt.Errorf("deleting old join tokens: %w", translate(err))
	}
	return deleted, nil
}
