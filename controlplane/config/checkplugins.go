package config

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// checkPlugin finds what the rules of the schema cannot say.
func checkPlugin(plugin *configv1.Plugin) []configv1.FieldViolation {
	info, known := configv1.LookupPluginType(plugin.GetType())
	if known && info.GetPhase() == configv1.Phase_PHASE_AUTHENTICATION && whoRank(plugin.GetScope()) > 0 {
		return []configv1.FieldViolation{{
			Field: "scope", Rule: "plugin.scope",
			Message: plugin.GetType() + " finds out who calls, so it cannot be bound to a consumer or a plan",
		}}
	}
	return nil
}

// place is what may hold one plugin of a type only, unless the type is cumulative.
type place struct{ kind, service, route, consumer, plan string }

func placeOf(plugin *configv1.Plugin) place {
	scope := plugin.GetScope()
	return place{plugin.GetType(), scope.GetService(), scope.GetRoute(), scope.GetConsumer(), scope.GetPlan()}
}

// checkPlaces: no two plugins of a type have the same scope, where only one could apply.
func (d *draft) checkPlaces(ctx context.Context) error {
	taken := map[place]string{}
	var changed []*edit
	everywhere := false
	scopes := map[revision.Key]bool{}
	d.upserts(func(e *edit) {
		plugin, ok := e.spec.(*configv1.Plugin)
		if !ok || !exclusive(plugin) {
			return
		}
		changed = append(changed, e)
		references := configv1.References(&configv1.Plugin{Scope: plugin.GetScope()})
		everywhere = everywhere || len(references) == 0
		for _, reference := range references {
			scopes[revision.Key{Kind: reference.Kind, Name: reference.Name}] = true
		}
	})
	if len(changed) == 0 {
		return nil
	}
	present, err := d.presentPlugins(ctx, everywhere, slices.Collect(maps.Keys(scopes)))
	if err != nil {
		return err
	}
	for _, version := range present {
		spec, err := d.service.decode(d.fleet.ID, version.Key, version.Body)
		if err != nil {
			return err
		}
		if plugin, ok := spec.(*configv1.Plugin); ok && exclusive(plugin) && d.byKey[version.Key] == nil {
			taken[placeOf(plugin)] = version.Name
		}
	}
	for _, e := range changed {
		plugin, _ := e.spec.(*configv1.Plugin)
		if other, ok := taken[placeOf(plugin)]; ok {
			d.refuse(e.Key, "spec.scope", "plugin.duplicate", fmt.Sprintf(
				"plugins/%s is a %s plugin of the same scope, and only one of them can apply", other, plugin.GetType()))
		}
		taken[placeOf(plugin)] = e.Name
	}
	return nil
}

// exclusive is true of a plugin that does not share its place.
func exclusive(plugin *configv1.Plugin) bool {
	info, known := configv1.LookupPluginType(plugin.GetType())
	return known && !info.GetCumulative() && plugin.GetMode() != "off"
}

// presentPlugins are the plugins at head with one of the scopes; everywhere those of the whole fleet too, which no index knows.
func (d *draft) presentPlugins(ctx context.Context, everywhere bool, scopes []revision.Key) ([]store.Version, error) {
	if everywhere {
		return d.tx.ListHead(ctx, d.fleet.ID, configv1.Kind_KIND_PLUGIN, store.Filter{Limit: maxServedPlugins})
	}
	references, err := d.tx.ReferencesTo(ctx, d.fleet.ID, scopes)
	if err != nil {
		return nil, err
	}
	keys := map[revision.Key]bool{}
	for _, reference := range references {
		if reference.From.Kind == configv1.Kind_KIND_PLUGIN {
			keys[reference.From] = true
		}
	}
	versions, err := d.tx.AtHead(ctx, d.fleet.ID, slices.Collect(maps.Keys(keys)))
	return slices.Collect(maps.Values(versions)), err
}
