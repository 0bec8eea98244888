package fleet

import (
	"context"
	"time"

	"tidegate.dev/controlplane/store"
)

const (
	// balanceInterval is the time between two looks at how agents are spread, by default.
	balanceInterval = 5 * time.Second
	// balanceTimeout bounds one look, and replicaLostAfter is how long a replica may be silent.
	balanceTimeout   = 5 * time.Second
	replicaLostAfter = 3 * balanceInterval
)

// balance keeps agents spread over the replicas until ctx ends: one that holds more than its share asks a few of its agents to go to
// another. Agents spread themselves by chance when they connect; what is left to do is when a replica came back, and there is no hurry.
func (s *Server) balance(ctx context.Context) {
	ticker := time.NewTicker(s.balanceInterval)
	defer ticker.Stop()
	for {
		switch asked, err := s.rebalance(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.log.Warn("looking at how agents are spread over replicas failed", "error", err)
		case asked > 0:
			s.log.Info("agents were asked to go to another replica", "agents", asked)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// rebalance looks once, and says how many agents were asked to go.
func (s *Server) rebalance(ctx context.Context) (asked int, err error) {
	ctx, cancel := context.WithTimeout(ctx, balanceTimeout)
	defer cancel()
	var agents map[string]int
	err = s.store.InTx(ctx, func(tx *store.Tx) (err error) {
		agents, err = tx.SeeReplica(ctx, s.replica, replicaLostAfter)
		return err
	})
	if err != nil {
		return 0, err
	}
	return s.streams.askToMove(surplus(agents, s.replica), time.Now()), nil
}

// surplus is how many of its agents a replica should part with now: what it has over its share and a twentieth, but no more than a
// twentieth of its agents at a time, so that nothing swings and nobody is flooded.
func surplus(agents map[string]int, replica string) int {
	total := 0
	for _, count := range agents {
		total += count
	}
	mine := agents[replica]
	if len(agents) < 2 || total == 0 {
		return 0
	}
	share := (total + len(agents) - 1) / len(agents)
	if mine <= share+share/20 {
		return 0
	}
	return min(mine-share, max(1, mine/20))
}
