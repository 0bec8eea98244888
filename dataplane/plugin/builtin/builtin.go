// Package builtin is the table of the policies that come with the gateway.
package builtin

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/plugin/headertransform"
	"tidegate.dev/dataplane/plugin/keyauth"
	"tidegate.dev/dataplane/plugin/ratelimit"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Environment is what policies may use beside their settings.
type Environment struct {
	// Name is the plugin's name.
	Name string
	// Scope is where it applies, in words that no other scope has.
	Scope string
	Lane  *lane.Table
	State *plugin.State
}

// Instance is a policy that was made: a value with some of the phases of package plugin, and what to call when it is not
// used any more.
type Instance struct {
	Policy  any
	Release func()
}

type factory func(settings proto.Message, env Environment) (Instance, error)

// factories is the one table: the name of a type and how it is made.
var factories = map[string]factory{
	"key-auth": func(settings proto.Message, env Environment) (Instance, error) {
		return stateless(keyauth.New(settings.(*configv1.KeyAuth), env.Lane))
	},
	"rate-limit": func(settings proto.Message, env Environment) (Instance, error) {
		return rateLimit(settings.(*configv1.RateLimit), env)
	},
	"header-transform": func(settings proto.Message, env Environment) (Instance, error) {
		return stateless(headertransform.New(settings.(*configv1.HeaderTransform), env.Lane))
	},
}

// New makes a policy of a type. Settings are the message that the type's mark in the schema names.
func New(typeName string, settings proto.Message, env Environment) (Instance, error) {
	make, ok := factories[typeName]
	if !ok {
		return Instance{}, fmt.Errorf("this agent has no plugin type %q", typeName)
	}
	return make(settings, env)
}

// Types lists the types that can be made, in no order.
func Types() []string {
	names := make([]string, 0, len(factories))
	for name := range factories {
		names = append(names, name)
	}
	return names
}

func stateless(policy any) (Instance, error) {
	return Instance{Policy: policy, Release: func() {}}, nil
}

func rateLimit(settings *configv1.RateLimit, env Environment) (Instance, error) {
	period, err := time.ParseDuration(settings.GetPer())
	if err != nil || period <= 0 {
		return Instance{}, &FieldError{Field: "per", Message: fmt.Sprintf("%q is no period", settings.GetPer())}
	}
	if settings.GetRequests() == 0 {
		return Instance{}, &FieldError{Field: "requests", Message: "must be at least 1"}
	}
	by := ratelimit.By(settings.GetBy())
	if by == "" {
		by = ratelimit.ByConsumer
	}
	usages := env.State.Usages("plugin " + env.Name + " " + env.Scope + " by " + string(by))
	policy := ratelimit.New(ratelimit.Settings{
		Name: env.Name, Requests: settings.GetRequests(), Period: period, Burst: settings.GetBurst(), By: by,
	}, usages)
	return Instance{Policy: policy, Release: usages.Release}, nil
}

// PlanLimit makes the policy of one limit of a plan: it counts for each consumer, over all routes.
func PlanLimit(plan string, number int, limit *configv1.Limit, env Environment) (Instance, error) {
	return rateLimit(
		&configv1.RateLimit{Requests: limit.GetRequests(), Per: limit.GetPer(), Burst: limit.GetBurst(), By: string(ratelimit.ByConsumer)},
		Environment{Name: plan + "-" + limit.GetPer(), Scope: fmt.Sprintf("limit %d of plan %s", number, plan), State: env.State},
	)
}

// FieldError says which setting a policy cannot be made of.
type FieldError struct {
	Field, Message string
}

func (e *FieldError) Error() string { return e.Field + ": " + e.Message }
