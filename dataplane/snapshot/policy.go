package snapshot

import (
	"errors"
	"fmt"

	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/plugin/builtin"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// boundPlugin is a plugin with where and for whom it applies.
type boundPlugin struct {
	name       string
	place      place
	consumer   string
	plan       string
	typeName   string
	phase      plugin.Phase
	cumulative bool
	// policy is nil if the plugin is off.
	policy *plugin.Policy
}

// plan is what enforces a plan.
type plan struct {
	policies []*plugin.Policy
}

func (c *compilation) readPlugin(resource revision.Resource) {
	var spec configv1.Plugin
	if !c.decode(resource, &spec) {
		return
	}
	bound, instance, ok := c.makePlugin(resource, &spec)
	if !ok {
		return
	}
	if before, existed := c.next.plugins[resource.Name]; existed {
		c.touched[before.value.place] = true
	}
	c.touched[bound.place] = true
	put(c.next.plugins, resource.Name, hold(bound, instance.Release))
}

func (c *compilation) makePlugin(resource revision.Resource, spec *configv1.Plugin) (*boundPlugin, builtin.Instance, bool) {
	name, scope := resource.Key.String(), spec.GetScope()
	info, known := configv1.LookupPluginType(spec.GetType())
	if !known {
		c.fail(name, "type", CodeCapability, "this agent has no plugin type %q", spec.GetType())
		return nil, builtin.Instance{}, false
	}
	bound := &boundPlugin{
		name:       resource.Name,
		place:      place{route: scope.GetRoute(), service: scope.GetService()},
		consumer:   scope.GetConsumer(),
		plan:       scope.GetPlan(),
		typeName:   spec.GetType(),
		phase:      plugin.Phase(info.GetPhase()),
		cumulative: info.GetCumulative(),
	}
	if bound.phase == plugin.Authentication && (bound.consumer != "" || bound.plan != "") {
		c.fail(name, "scope", CodeCompile, "%s finds out who calls, so it cannot be bound to a consumer or a plan", bound.typeName)
		return nil, builtin.Instance{}, false
	}
	if spec.GetMode() == "off" {
		return bound, builtin.Instance{Release: func() {}}, true
	}
	settings, err := spec.Settings()
	if err != nil {
		c.fail(name, "config", CodeCompile, "%v", err)
		return nil, builtin.Instance{}, false
	}
	instance, err := builtin.New(bound.typeName, settings, builtin.Environment{
		Name: resource.Name, Scope: scopeName(scope), Lane: c.Lane, State: c.State,
	})
	if err != nil {
		c.failPlugin(name, err)
		return nil, builtin.Instance{}, false
	}
	bound.policy = plugin.NewPolicy(resource.Name, bound.typeName, bound.phase, spec.GetMode() == "shadow", instance.Policy)
	return bound, instance, true
}

func (c *compilation) failPlugin(resource string, err error) {
	var wrong *builtin.FieldError
	if errors.As(err, &wrong) {
		c.fail(resource, "config."+wrong.Field, CodeCompile, "%s", wrong.Message)
		return
	}
	c.fail(resource, "type", CodeCapability, "%v", err)
}

func scopeName(s *configv1.Scope) string {
	return fmt.Sprintf("service=%s route=%s consumer=%s plan=%s", s.GetService(), s.GetRoute(), s.GetConsumer(), s.GetPlan())
}

func (c *compilation) readPlan(resource revision.Resource) {
	var spec configv1.Plan
	if !c.decode(resource, &spec) {
		return
	}
	made := &plan{}
	var releases []func()
	closeAll := func() {
		for _, release := range releases {
			release()
		}
	}
	for i, limit := range spec.GetLimits() {
		instance, err := builtin.PlanLimit(resource.Name, i, limit, builtin.Environment{State: c.State})
		if err != nil {
			var wrong *builtin.FieldError
			field := fmt.Sprintf("limits[%d]", i)
			if errors.As(err, &wrong) {
				field += "." + wrong.Field
			}
			c.fail(resource.Key.String(), field, CodeCompile, "%v", err)
			closeAll()
			return
		}
		releases = append(releases, instance.Release)
		made.policies = append(made.policies, plugin.NewPolicy(resource.Name, "plan", plugin.Limit, false, instance.Policy))
	}
	put(c.next.plans, resource.Name, hold(made, closeAll))
}
