package fleet

import (
	"context"

	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/store"
)

// Directory is what operators see and change of fleets and their agents. Its methods join a transaction that their context
// carries, and are safe for concurrent use. A fleet or an agent that does not exist is store.ErrNotFound.
type Directory struct {
	store   *store.Store
	keyring *keyring.Keyring
}

// NewDirectory returns the directory of the store's fleets.
func NewDirectory(s *store.Store, k *keyring.Keyring) *Directory {
	return &Directory{store: s, keyring: k}
}

// Fleet is a fleet and where it stands.
type Fleet struct {
	store.Fleet
	Head store.Head
	// ActiveRollout is the rollout that runs or waits; 0: none.
	ActiveRollout int64
	// AgentsConnected are those that a replica holds a stream of and that were heard of within store.LostAfter.
	AgentsTotal, AgentsConnected int64
}

// Fleets returns up to limit fleets by name, beginning behind the name after.
func (d *Directory) Fleets(ctx context.Context, after string, limit int) (fleets []Fleet, err error) {
	err = d.store.View(ctx, func(tx *store.Tx) error {
		found, err := tx.Fleets(ctx, after, limit)
		if err != nil {
			return err
		}
		fleets = make([]Fleet, len(found))
		for i := range found {
			if fleets[i], err = describe(ctx, tx, found[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return fleets, err
}

// OpenEpoch has agents accept what the control plane wants though they hold newer states than it knows of: what an operator does after
// Postgres was restored from a backup. It returns the epoch.
func (d *Directory) OpenEpoch(ctx context.Context, name string) (epoch int64, err error) {
	err = d.store.InTx(ctx, func(tx *store.Tx) error {
		found, err := tx.FleetByName(ctx, name)
		if err != nil {
			return err
		}
		if _, err := tx.LockHead(ctx, found.ID); err != nil {
			return err
		}
		epoch, err = tx.RaiseEpoch(ctx, found.ID)
		return err
	})
	return epoch, err
}

// Fleet returns one fleet.
func (d *Directory) Fleet(ctx context.Context, name string) (fleet Fleet, err error) {
	err = d.store.View(ctx, func(tx *store.Tx) error {
		found, err := tx.FleetByName(ctx, name)
		if err != nil {
			return err
		}
		fleet, err = describe(ctx, tx, found)
		return err
	})
	return fleet, err
}

// CreateFleet makes a fleet with nothing in it. store.ErrExists: the name is taken. Whether the name is a good one is checked
// by the caller.
func (d *Directory) CreateFleet(ctx context.Context, name string) (fleet Fleet, err error) {
	err = d.store.InTx(ctx, func(tx *store.Tx) error {
		made, err := tx.CreateFleet(ctx, name)
		if err != nil {
			return err
		}
		fleet, err = describe(ctx, tx, made)
		return err
	})
	return fleet, err
}

func describe(ctx context.Context, tx *store.Tx, found store.Fleet) (fleet Fleet, err error) {
	fleet.Fleet = found
	if fleet.Head, err = tx.Head(ctx, found.ID); err != nil {
		return fleet, err
	}
	if fleet.ActiveRollout, err = tx.ActiveRollout(ctx, found.ID); err != nil {
		return fleet, err
	}
	fleet.AgentsTotal, fleet.AgentsConnected, err = tx.CountAgents(ctx, found.ID)
	return fleet, err
}

// Agents returns up to limit agents of the fleet by name, beginning behind the name after.
func (d *Directory) Agents(ctx context.Context, fleetName, after string, limit int) (agents []store.Agent, err error) {
	err = d.store.View(ctx, func(tx *store.Tx) error {
		found, err := tx.FleetByName(ctx, fleetName)
		if err != nil {
			return err
		}
		agents, err = tx.ListAgents(ctx, found.ID, after, limit)
		return err
	})
	return agents, err
}

// Agent returns one agent of the fleet.
func (d *Directory) Agent(ctx context.Context, fleetName, id string) (agent store.Agent, err error) {
	err = d.store.View(ctx, func(tx *store.Tx) error {
		found, err := tx.FleetByName(ctx, fleetName)
		if err != nil {
			return err
		}
		agent, err = tx.AgentByID(ctx, found.ID, id)
		return err
	})
	return agent, err
}

// Drain tells an agent to finish what it has and take nothing new, or with drain false to take requests again.
func (d *Directory) Drain(ctx context.Context, fleetName, id string, drain bool) (agent store.Agent, err error) {
	err = d.change(ctx, fleetName, id, func(tx *store.Tx, found store.Agent, fleetID int64) error {
		if err := tx.SetAgentDrain(ctx, fleetID, found.ID, drain); err != nil {
			return err
		}
		agent, err = tx.AgentByID(ctx, fleetID, found.ID)
		return err
	})
	return agent, err
}

// Delete forgets an agent. Its stream ends, and its certificate is not accepted any more.
func (d *Directory) Delete(ctx context.Context, fleetName, id string) error {
	return d.change(ctx, fleetName, id, func(tx *store.Tx, found store.Agent, fleetID int64) error {
		if err := tx.DeleteAgent(ctx, fleetID, found.ID); err != nil {
			return err
		}
		return tx.NotifyRollouts(ctx, fleetID)
	})
}

// change makes a change of what agents should serve: it holds the fleet's head and raises the generation.
func (d *Directory) change(ctx context.Context, fleetName, id string, effect func(tx *store.Tx, agent store.Agent, fleetID int64) error) error {
	return d.store.InTx(ctx, func(tx *store.Tx) error {
		found, err := tx.FleetByName(ctx, fleetName)
		if err != nil {
			return err
		}
		if _, err := tx.LockHead(ctx, found.ID); err != nil {
			return err
		}
		agent, err := tx.AgentByID(ctx, found.ID, id)
		if err != nil {
			return err
		}
		if err := effect(tx, agent, found.ID); err != nil {
			return err
		}
		_, err = tx.RaiseGeneration(ctx, found.ID)
		return err
	})
}

// AgentState is the one word for how an agent is: "connected", "draining" (connected, and told to drain), "lost" (its stream
// is open or was never closed, but it is silent) or "disconnected".
func AgentState(agent store.Agent) string {
	switch {
	case agent.Alive && agent.Drain:
		return "draining"
	case agent.Alive:
		return "connected"
	case agent.Connected:
		return "lost"
	default:
		return "disconnected"
	}
}
