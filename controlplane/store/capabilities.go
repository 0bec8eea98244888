package store

import (
	"context"
	"fmt"

	"tidegate.dev/controlplane/store/queries"
)

// AgentsWithout returns, by type of plugin, the names of connected agents that cannot run it; not more than a hundred in all.
func (tx *Tx) AgentsWithout(ctx context.Context, fleetID int64, pluginTypes []string) (map[string][]string, error) {
	rows, err := tx.queries.ListAgentsWithoutPluginType(ctx, queries.ListAgentsWithoutPluginTypeParams{
		FleetID: fleetID, PluginTypes: pluginTypes,
	})
	if err != nil {
		return nil, fmt.Errorf("looking for agents that cannot run a plugin: %w", translate(err))
	}
	agents := map[string][]string{}
	for _, row := range rows {
		agents[row.PluginType] = append(agents[row.PluginType], row.Name)
	}
	return agents, nil
}
