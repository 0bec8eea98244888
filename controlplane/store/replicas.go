package store

import (
	"context"
	"fmt"
	"time"
)

// SeeReplica says that a replica of the control plane lives, and counts the connected agents of each that said so within a while.
func (tx *Tx) SeeReplica(ctx context.Context, name string, within time.Duration) (agents map[string]int, err error) {
	if err := tx.queries.SeeReplica(ctx, name); err != nil {
		return nil, fmt.Errorf("noting that replica %s lives: %w", name, translate(err))
	}
	if err := tx.queries.ForgetOldReplicas(ctx); err != nil {
		return nil, fmt.Errorf("forgetting old replicas: %w", translate(err))
	}
	rows, err := tx.queries.CountAgentsByReplica(ctx, within.Seconds())
	if err != nil {
		return nil, fmt.Errorf("counting agents by replica: %w", translate(err))
	}
	agents = make(map[string]int, len(rows))
	for _, row := range rows {
		agents[row.Name] = int(row.Agents)
	}
	return agents, nil
}

// ForgetReplica says that a replica stops, so that no agents are sent to it.
func (tx *Tx) ForgetReplica(ctx context.Context, name string) error {
	if err := tx.queries.ForgetReplica(ctx, name); err != nil {
		return fmt.Errorf("forgetting replica %s: %w", name, translate(err))
	}
	return nil
}
