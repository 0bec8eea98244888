package config

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// RiskClass is how much can go wrong with a change. A higher one is a larger number.
type RiskClass int

// The classes.
const (
	// RiskLow only adds.
	RiskLow RiskClass = iota
	// RiskMedium changes what is there.
	RiskMedium
	// RiskHigh deletes, touches authentication, or reaches much of the traffic.
	RiskHigh
)

var riskNames = [...]string{"low", "medium", "high"}

// String is the class as the API names it.
func (c RiskClass) String() string { return riskNames[c] }

// Risk is a class, and why.
type Risk struct {
	Class   RiskClass
	Reasons []string
}

// maxReasons bounds how many reasons are told.
const maxReasons = 20

func (r *Risk) raise(class RiskClass, format string, arguments ...any) {
	r.Class = max(r.Class, class)
	if len(r.Reasons) < maxReasons {
		r.Reasons = append(r.Reasons, fmt.Sprintf(format, arguments...))
	}
}

// Where a change counts as one that reaches much.
const (
	muchOfTheRoutes  = 0.20
	muchOfTheTraffic = 0.10
	// fewRoutes is how many routes may change before their share counts.
	fewRoutes = 5
)

// lastDay is how far back traffic is looked at.
const lastDay = 24 * time.Hour

// risk says how much can go wrong with the staged part of the draft. The fast lane does not wait, so it is not weighed.
func (d *draft) risk(ctx context.Context) (Risk, error) {
	var risk Risk
	for _, e := range d.edits {
		if e.Kind.Staged() {
			d.weigh(&risk, e)
		}
	}
	routes := len(d.formerRoutes())
	if routes <= fewRoutes {
		return risk, nil
	}
	all, err := d.tx.CountAtHead(ctx, d.fleet.ID, configv1.Kind_KIND_ROUTE, routes*int(1/muchOfTheRoutes)+1)
	if err != nil {
		return Risk{}, err
	}
	if share := float64(routes) / float64(max(all, 1)); share > muchOfTheRoutes {
		risk.raise(RiskHigh, "changes or deletes %d of %d routes", routes, all)
	}
	return risk, nil
}

// formerRoutes are the names of the routes that the draft changes or deletes.
func (d *draft) formerRoutes() []string {
	var routes []string
	for _, e := range d.edits {
		if e.Kind == configv1.Kind_KIND_ROUTE && d.former[e.Key] != nil {
			routes = append(routes, e.Name)
		}
	}
	return routes
}

func (d *draft) weigh(risk *Risk, e *edit) {
	former := d.former[e.Key]
	switch {
	case e.delete:
		risk.raise(RiskHigh, "deletes %s", e.Key)
	case touchesAuthentication(e.spec, former):
		risk.raise(RiskHigh, "changes who may call: %s", e.Key)
	case holdsEverywhere(e.spec) || former != nil && holdsEverywhere(former):
		risk.raise(RiskHigh, "%s holds for the whole fleet", e.Key)
	case former != nil && !proto.Equal(e.spec, former):
		risk.raise(RiskMedium, "changes %s", e.Key)
	}
}

// touchesAuthentication says whether a plugin that decides who may call comes, changes or ends.
func touchesAuthentication(spec, former proto.Message) bool {
	return decidesWhoCalls(spec) || decidesWhoCalls(former)
}

func decidesWhoCalls(spec proto.Message) bool {
	plugin, ok := spec.(*configv1.Plugin)
	if !ok {
		return false
	}
	info, known := configv1.LookupPluginType(plugin.GetType())
	return known && (info.GetPhase() == configv1.Phase_PHASE_AUTHENTICATION || info.GetPhase() == configv1.Phase_PHASE_AUTHORIZATION)
}

// holdsEverywhere says whether a resource is about every request: a plugin without a scope, or a route of all paths and hosts.
func holdsEverywhere(spec proto.Message) bool {
	switch s := spec.(type) {
	case *configv1.Plugin:
		scope := s.GetScope()
		return scope.GetService() == "" && scope.GetRoute() == "" && scope.GetConsumer() == "" && scope.GetPlan() == ""
	case *configv1.Route:
		return len(s.GetMatch().GetHosts()) == 0 && slices.ContainsFunc(s.GetMatch().GetPaths(), func(path string) bool {
			return path == "/**" || strings.HasPrefix(path, "~") && strings.Contains(path, ".*") && len(path) < 8
		})
	}
	return false
}

// weighTraffic looks at what the routes that change or go had to do in the last day. It reads much, so a publish, which holds
// the head, does it only when the answer decides something.
func (d *draft) weighTraffic(ctx context.Context, risk *Risk) error {
	routes := d.formerRoutes()
	if len(routes) == 0 {
		return nil
	}
	of, all, err := d.tx.TrafficOf(ctx, d.fleet.ID, routes, lastDay)
	if err != nil || all == 0 {
		return err
	}
	var together int64
	for route, requests := range of {
		together += requests
		if e := d.byKey[routeKey(route)]; e != nil && e.delete && requests > 0 {
			d.warn(e.Key, fmt.Sprintf("had %d requests in the last day", requests))
		}
	}
	if share := float64(together) / float64(all); share > muchOfTheTraffic {
		risk.raise(RiskHigh, "%.0f %% of the last day's requests took routes that it changes or deletes", share*100)
	}
	return nil
}

// required is how many people must have approved a change of that risk.
func required(policy *configv1.FleetPolicy, class RiskClass) int {
	switch class {
	case RiskLow:
		return int(policy.GetApprovals().GetLow())
	case RiskMedium:
		return int(policy.GetApprovals().GetMedium())
	case RiskHigh:
	}
	return int(policy.GetApprovals().GetHigh())
}

// hasStaged says whether anything of the draft waits for a rollout.
func (d *draft) hasStaged() bool {
	return slices.ContainsFunc(d.edits, func(e *edit) bool { return e.Kind.Staged() })
}

// permit refuses a publish that the fleet's policy, which it returns, does not let pass. Going back is always let pass: it makes
// things better.
func (d *draft) permit(ctx context.Context, p publication) (*configv1.FleetPolicy, error) {
	policy, err := Policy(d.fleet)
	if err != nil || !d.hasStaged() || p.origin != store.OriginPublish {
		return policy, err
	}
	if err := d.permitDeletes(ctx, policy, p.options); err != nil || p.options.Emergency {
		return policy, err
	}
	now, err := d.tx.Now(ctx)
	if err != nil {
		return nil, err
	}
	if closed := frozen(policy, now); closed != nil && !p.options.OverrideFreeze {
		return nil, closed
	}
	if policy.GetApprovals() == nil {
		return policy, nil
	}
	return policy, d.permitUnapproved(ctx, policy, p)
}

func (d *draft) permitUnapproved(ctx context.Context, policy *configv1.FleetPolicy, p publication) error {
	risk, err := d.risk(ctx)
	if err != nil {
		return err
	}
	if most := required(policy, RiskHigh); required(policy, risk.Class) < most && len(p.approvals) < most {
		if err := d.weighTraffic(ctx, &risk); err != nil {
			return err
		}
	}
	if needed := required(policy, risk.Class); len(p.approvals) < needed {
		return &NotApproved{ChangeSet: p.changeSet, Risk: risk, Required: needed, Approvals: len(p.approvals)}
	}
	return nil
}

func (d *draft) permitDeletes(ctx context.Context, policy *configv1.FleetPolicy, options PublishOptions) error {
	if options.AllowDeletes {
		return nil
	}
	many, err := d.manyDeletes(ctx, policy)
	if err != nil || many == "" {
		return err
	}
	return refusedField("options.allow_deletes", ruleManyDeletes,
		many+", more than the fleet's policy lets pass unsaid; give allow_deletes (--allow-deletes) if that is meant")
}

// warnOfManyDeletes tells of a draft that takes many routes away: often a file that was cut short.
func (d *draft) warnOfManyDeletes(ctx context.Context) error {
	policy, err := Policy(d.fleet)
	if err != nil {
		return err
	}
	many, err := d.manyDeletes(ctx, policy)
	if many != "" {
		d.warnings = append(d.warnings, Warning{Resource: "routes", Message: many})
	}
	return err
}

// manyDeletes says how many routes the draft deletes, if that is more than the policy lets pass unsaid.
func (d *draft) manyDeletes(ctx context.Context, policy *configv1.FleetPolicy) (string, error) {
	deleted := 0
	for _, key := range d.deletes() {
		if key.Kind == configv1.Kind_KIND_ROUTE {
			deleted++
		}
	}
	if deleted < manyRoutes {
		return "", nil
	}
	percent := int(policy.GetMaxDeletePercent())
	if percent == 0 {
		percent = defaultMaxDeletePercent
	}
	all, err := d.tx.CountAtHead(ctx, d.fleet.ID, configv1.Kind_KIND_ROUTE, deleted*100/percent+1)
	if err != nil || int64(deleted)*100 <= all*int64(percent) {
		return "", err
	}
	return fmt.Sprintf("deletes %d of the %d routes", deleted, all), nil
}
