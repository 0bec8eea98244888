package config

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// boundPlugin is a plugin whose scope lets it bear on a route.
type boundPlugin struct {
	name string
	spec *configv1.Plugin
	info configv1.PluginTypeInfo
}

// plugins explains those that bear on a route of one or several services. Of one type the most specific applies (route, service, fleet; then
// consumer, plan, none); of cumulative types all do. Who calls is not known here, so those for a consumer or a plan say "for".
func (e explainer) plugins(ctx context.Context, route string, services []string) ([]ExplainedPlugin, error) {
	names, err := e.tx.BearingPlugins(ctx, e.fleet.ID, route, services, maxExplained)
	if err != nil {
		return nil, err
	}
	found, err := e.specs(ctx, configv1.Kind_KIND_PLUGIN, names)
	if err != nil {
		return nil, err
	}
	var bound []boundPlugin
	for _, one := range found {
		plugin, ok := one.Spec.(*configv1.Plugin)
		if !ok || !bears(plugin.GetScope(), route, services) {
			continue
		}
		info, known := configv1.LookupPluginType(plugin.GetType())
		if known {
			bound = append(bound, boundPlugin{name: one.Name, spec: plugin, info: info})
		}
	}
	slices.SortStableFunc(bound, comparePlugins)
	explained := make([]ExplainedPlugin, len(bound))
	winners := map[string]string{}
	for i, plugin := range bound {
		explained[i] = ExplainedPlugin{
			Name: plugin.name, Type: plugin.spec.GetType(), Phase: plugin.info.PhaseName(), Reason: reasonOf(plugin, winners, len(services)),
		}
	}
	return explained, nil
}

func bears(scope *configv1.Scope, route string, services []string) bool {
	return (scope.GetRoute() == "" || scope.GetRoute() == route) &&
		(scope.GetService() == "" || slices.Contains(services, scope.GetService()))
}

// comparePlugins puts what runs first in front, and within a type the more specific.
func comparePlugins(a, b boundPlugin) int {
	return cmp.Or(
		cmp.Compare(a.info.GetPhase(), b.info.GetPhase()),
		cmp.Compare(a.spec.GetType(), b.spec.GetType()),
		cmp.Compare(whereRank(b.spec.GetScope()), whereRank(a.spec.GetScope())),
		cmp.Compare(whoRank(b.spec.GetScope()), whoRank(a.spec.GetScope())),
		cmp.Compare(a.name, b.name),
	)
}

func whereRank(scope *configv1.Scope) int {
	switch {
	case scope.GetRoute() != "":
		return 2
	case scope.GetService() != "":
		return 1
	}
	return 0
}

func whoRank(scope *configv1.Scope) int {
	switch {
	case scope.GetConsumer() != "":
		return 2
	case scope.GetPlan() != "":
		return 1
	}
	return 0
}

// reasonOf says whether a plugin applies. winners remembers by type which one already applies to every caller; one that is
// bound to one of several services leaves the others open.
func reasonOf(plugin boundPlugin, winners map[string]string, services int) string {
	if plugin.spec.GetMode() == "off" {
		return "does not apply: its mode is off"
	}
	scope := plugin.spec.GetScope()
	if winner := winners[plugin.spec.GetType()]; winner != "" && !plugin.info.GetCumulative() {
		return fmt.Sprintf("does not apply: %s is more specific", winner)
	}
	if whoRank(scope) == 0 && (services < 2 || scope.GetService() == "") {
		winners[plugin.spec.GetType()] = plugin.name
	}
	reason := "applies to " + whereText(scope)
	if scope.GetConsumer() != "" {
		reason += fmt.Sprintf(", for consumer %s", scope.GetConsumer())
	}
	if scope.GetPlan() != "" {
		reason += fmt.Sprintf(", for consumers of plan %s", scope.GetPlan())
	}
	if plugin.spec.GetMode() == "shadow" {
		reason += "; in shadow mode it decides and changes nothing"
	}
	if settings, err := plugin.spec.Settings(); err == nil {
		if _, ok := settings.(*configv1.RateLimit); ok {
			reason += "; each agent counts for itself (sync: local)"
		}
	}
	return reason
}

func whereText(scope *configv1.Scope) string {
	switch {
	case scope.GetRoute() != "":
		return "route " + scope.GetRoute()
	case scope.GetService() != "":
		return "service " + scope.GetService()
	}
	return "the whole fleet"
}
