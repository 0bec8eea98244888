package config

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// checkCapabilities: every connected agent can run the plugins. One that cannot would refuse the revision.
func (d *draft) checkCapabilities(ctx context.Context) error {
	byType := map[string][]*edit{}
	d.upserts(func(e *edit) {
		plugin, ok := e.spec.(*configv1.Plugin)
		if !ok || plugin.GetMode() == "off" {
			return
		}
		if _, known := configv1.LookupPluginType(plugin.GetType()); known {
			byType[plugin.GetType()] = append(byType[plugin.GetType()], e)
		}
	})
	if len(byType) == 0 {
		return nil
	}
	agents, err := d.tx.AgentsWithout(ctx, d.fleet.ID, slices.Sorted(maps.Keys(byType)))
	if err != nil {
		return err
	}
	for pluginType, names := range agents {
		for _, e := range byType[pluginType] {
			d.refuse(e.Key, "spec.type", ruleCapability, fmt.Sprintf("these connected agents cannot run %s: %s", pluginType, strings.Join(names, ", ")))
		}
	}
	return nil
}
