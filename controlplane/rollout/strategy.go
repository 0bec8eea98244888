package rollout

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// DefaultStrategy is what a new fleet uses.
const DefaultStrategy = "canary-then-all"

// What a strategy is taken to say where it says nothing.
const (
	defaultHoldbackPercent = 5.0
	defaultTolerance       = 1.1
	defaultAlpha           = 0.01
	defaultMinimumSamples  = 200
	defaultSamplePercent   = 10.0
	defaultShadowBake      = "15s"
)

// What happens to a step in which too few requests were seen by the end of its time.
const (
	onInconclusiveContinue = "continue"
	onInconclusiveHold     = "hold"
	onInconclusiveExtend   = "extend"
	onInconclusiveFail     = "fail"
)

type shippedStrategy struct {
	name  string
	steps []*configv1.Step
}

// shipped are the strategies that every fleet has. The last step of each is all agents and all of their traffic.
var shipped = []shippedStrategy{
	{"canary-then-all", []*configv1.Step{
		{Agents: 1, TrafficPercent: 10, Bake: "15s"},
		{AgentsPercent: 100, TrafficPercent: 50, Bake: "15s"},
		{AgentsPercent: 100, TrafficPercent: 100},
	}},
	{"exponential", []*configv1.Step{
		{Agents: 1, TrafficPercent: 5, Bake: "30s"},
		{AgentsPercent: 10, TrafficPercent: 10, Bake: "30s"},
		{AgentsPercent: 25, TrafficPercent: 20, Bake: "30s"},
		{AgentsPercent: 50, TrafficPercent: 40, Bake: "30s"},
		{AgentsPercent: 100, TrafficPercent: 80, Bake: "30s"},
		{AgentsPercent: 100, TrafficPercent: 100},
	}},
	{"immediate", []*configv1.Step{
		{AgentsPercent: 100, TrafficPercent: 100},
	}},
	{"linear", []*configv1.Step{
		{AgentsPercent: 20, TrafficPercent: 50, Bake: "30s"},
		{AgentsPercent: 40, TrafficPercent: 50, Bake: "30s"},
		{AgentsPercent: 60, TrafficPercent: 50, Bake: "30s"},
		{AgentsPercent: 80, TrafficPercent: 50, Bake: "30s"},
		{AgentsPercent: 100, TrafficPercent: 50, Bake: "30s"},
		{AgentsPercent: 100, TrafficPercent: 100},
	}},
	{"one-agent-first", []*configv1.Step{
		{Agents: 1, TrafficPercent: 100, Bake: "1m"},
		{AgentsPercent: 100, TrafficPercent: 100},
	}},
}

// Shipped returns a strategy that ships with Tidegate, with its defaults applied; nil if there is none of that name.
func Shipped(name string) *configv1.Strategy {
	for _, strategy := range shipped {
		if strategy.name == name {
			return WithDefaults(&configv1.Strategy{Steps: strategy.steps})
		}
	}
	return nil
}

// ShippedNames are the names of the strategies that ship, sorted.
func ShippedNames() []string {
	names := make([]string, 0, len(shipped))
	for _, strategy := range shipped {
		names = append(names, strategy.name)
	}
	slices.Sort(names)
	return names
}

// WithDefaults returns a copy of the strategy that says everything.
func WithDefaults(strategy *configv1.Strategy) *configv1.Strategy {
	full := proto.CloneOf(strategy)
	full.HoldbackPercent = orDefault(full.HoldbackPercent, defaultHoldbackPercent)
	full.Tolerance = orDefault(full.Tolerance, defaultTolerance)
	full.Alpha = orDefault(full.Alpha, defaultAlpha)
	if shadow := full.GetShadow(); shadow != nil {
		shadow.SamplePercent = orDefault(shadow.SamplePercent, defaultSamplePercent)
		shadow.MinimumSamples = orDefault(shadow.MinimumSamples, defaultMinimumSamples)
		if shadow.GetBake() == "" {
			shadow.Bake = defaultShadowBake
		}
		if shadow.GetMaximumDuration() == "" {
			shadow.MaximumDuration = shadow.GetBake()
		}
		if shadow.GetOnDifference() == "" {
			shadow.OnDifference = onInconclusiveContinue
		}
	}
	for _, step := range full.GetSteps() {
		step.MinimumSamples = orDefault(step.MinimumSamples, defaultMinimumSamples)
		if step.GetBake() == "" {
			step.Bake = "0s"
		}
		if step.GetMaximumDuration() == "" {
			step.MaximumDuration = step.GetBake()
		}
		if step.GetOnInconclusive() == "" {
			step.OnInconclusive = onInconclusiveContinue
		}
	}
	return full
}

func orDefault[T any](value *T, fallback T) *T {
	if value == nil {
		return &fallback
	}
	return value
}

// Validate checks a strategy against the rules of the schema and those that no single field can state. The violations are in
// the order of the fields.
func Validate(strategy *configv1.Strategy) ([]configv1.FieldViolation, error) {
	violations, err := configv1.Validate(strategy)
	if err != nil || len(violations) > 0 {
		return violations, err
	}
	full := WithDefaults(strategy)
	if shadow := full.GetShadow(); shadow != nil {
		violations = append(violations, checkTimes("shadow.", shadow.GetBake(), shadow.GetMaximumDuration())...)
	}
	violations = append(violations, checkGates(full.GetGates())...)
	violations = append(violations, checkSticky(full)...)
	for i, step := range full.GetSteps() {
		violations = append(violations, checkTimes(fmt.Sprintf("steps[%d].", i), step.GetBake(), step.GetMaximumDuration())...)
	}
	return append(violations, checkEarlyPass(full)...), nil
}

// checkEarlyPass finds steps that could never pass early, because the candidate gets everything and nothing is left to compare with.
func checkEarlyPass(full *configv1.Strategy) []configv1.FieldViolation {
	var violations []configv1.FieldViolation
	last := len(AsTaken(full, false).GetSteps()) - 1
	for i, step := range full.GetSteps() {
		if step.GetEarlyPass() && (i == last || step.GetTrafficPercent() == 100 && full.GetHoldbackPercent() == 0) {
			violations = append(violations, configv1.FieldViolation{
				Field: fmt.Sprintf("steps[%d].early_pass", i), Rule: "step.early_pass",
				Message: "is for steps that leave some traffic on stable: without a control nothing can be shown",
			})
		}
	}
	return violations
}

// checkSticky refuses shares that fall: who has had the candidate keeps it, so that no coin would be thrown anew.
func checkSticky(strategy *configv1.Strategy) (violations []configv1.FieldViolation) {
	before := 0.0
	for i, step := range strategy.GetSteps() {
		if strategy.GetSticky() != nil && step.GetTrafficPercent() < before {
			violations = append(violations, configv1.FieldViolation{
				Field: fmt.Sprintf("steps[%d].traffic_percent", i), Rule: "strategy.sticky",
				Message: "must not be below that of the step before, since the strategy is sticky",
			})
		}
		before = step.GetTrafficPercent()
	}
	return violations
}

func checkGates(gates []*configv1.Gate) []configv1.FieldViolation {
	var violations []configv1.FieldViolation
	seen := map[string]bool{}
	for i, gate := range gates {
		at := fmt.Sprintf("gates[%d].", i)
		if seen[gate.GetName()] {
			violations = append(violations, configv1.FieldViolation{Field: at + "name", Rule: "gate.name", Message: "is the name of another gate too"})
		}
		seen[gate.GetName()] = true
		if gate.GetRequired() && gate.GetObjective() != nil {
			violations = append(violations, configv1.FieldViolation{
				Field: at + "required", Rule: "gate.required", Message: "is for gates that may have no answer: prometheus and webhook",
			})
		}
	}
	return violations
}

func checkTimes(at, bakeText, longestText string) []configv1.FieldViolation {
	bake, err := time.ParseDuration(bakeText)
	if err != nil {
		return []configv1.FieldViolation{tooLong(at + "bake")}
	}
	longest, err := time.ParseDuration(longestText)
	switch {
	case err != nil:
		return []configv1.FieldViolation{tooLong(at + "maximum_duration")}
	case longest < bake:
		return []configv1.FieldViolation{{
			Field: at + "maximum_duration", Rule: "step.maximum_duration", Message: "must not be shorter than bake",
		}}
	}
	return nil
}

func tooLong(field string) configv1.FieldViolation {
	return configv1.FieldViolation{Field: field, Rule: "string.duration", Message: "is longer than 290 years"}
}
