package rollout_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"tidegate.dev/controlplane/rollout"
	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

func TestShippedStrategiesAreValidAndEndWithEverything(t *testing.T) {
	t.Parallel()
	names := rollout.ShippedNames()
	if got := strings.Join(names, " "); got != "canary-then-all exponential immediate linear one-agent-first" {
		t.Errorf("shipped are %s", got)
	}
	for _, name := range names {
		spec := rollout.Shipped(name)
		if violations, err := rollout.Validate(spec); err != nil || len(violations) > 0 {
			t.Errorf("%s: %v, %v", name, violations, err)
		}
		plan, err := rollout.PlanOf(spec, false)
		if err != nil {
			t.Fatal(err)
		}
		if len(plan.Steps) != len(spec.GetSteps()) {
			t.Errorf("%s: %d steps are taken of %d", name, len(plan.Steps), len(spec.GetSteps()))
		}
		for i, step := range plan.Steps[:len(plan.Steps)-1] {
			if step.SharePPM > 950_000 {
				t.Errorf("%s: step %d leaves no holdback", name, i)
			}
		}
	}
	if rollout.Shipped("no-such") != nil {
		t.Error("a strategy that does not ship was found")
	}
}

func TestStrategiesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	step := func(change func(*configv1.Step)) *configv1.Strategy {
		step := &configv1.Step{Agents: 1, TrafficPercent: 10, Bake: "10s"}
		change(step)
		return &configv1.Strategy{Steps: []*configv1.Step{step}}
	}
	holdback := step(func(*configv1.Step) {})
	holdback.HoldbackPercent = new(float64)
	*holdback.HoldbackPercent = 60
	for name, test := range map[string]struct {
		spec  *configv1.Strategy
		field string
	}{
		"no steps":               {&configv1.Strategy{}, "steps"},
		"both counts":            {step(func(s *configv1.Step) { s.AgentsPercent = 10 }), "steps[0]"},
		"no traffic":             {step(func(s *configv1.Step) { s.TrafficPercent = 0 }), "steps[0].traffic_percent"},
		"not a duration":         {step(func(s *configv1.Step) { s.Bake = "soon" }), "steps[0].bake"},
		"longer than for ever":   {step(func(s *configv1.Step) { s.Bake = "999999999h" }), "steps[0].bake"},
		"maximum below the bake": {step(func(s *configv1.Step) { s.MaximumDuration = "9s" }), "steps[0].maximum_duration"},
		"unknown outcome":        {step(func(s *configv1.Step) { s.OnInconclusive = "shrug" }), "steps[0].on_inconclusive"},
		"too much held back":     {holdback, "holdback_percent"},
		"nothing to pass by":     {&configv1.Strategy{Steps: []*configv1.Step{{AgentsPercent: 100, TrafficPercent: 100, EarlyPass: true}}}, "steps[0].early_pass"},
	} {
		violations, err := rollout.Validate(test.spec)
		if err != nil || len(violations) == 0 || violations[0].Field != test.field {
			t.Errorf("%s: %+v, %v; want a violation of %s", name, violations, err, test.field)
		}
	}
}

func TestStrategyThatEndsEarlyGetsALastStep(t *testing.T) {
	t.Parallel()
	spec := &configv1.Strategy{Steps: []*configv1.Step{{Agents: 1, TrafficPercent: 100, Bake: "10s"}}}
	plan, err := rollout.PlanOf(spec, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Steps) != 2 || plan.Steps[0].SharePPM != 950_000 || plan.Steps[1].SharePPM != 1_000_000 || plan.Steps[1].AgentsPercent != 100 {
		t.Errorf("plan %+v", plan)
	}
}

func TestStrategiesOfAFleet(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	ctx := t.Context()
	mine := &configv1.Strategy{Steps: []*configv1.Step{{AgentsPercent: 100, TrafficPercent: 5, Bake: "1m"}}}
	made, err := f.service.PutStrategy(ctx, f.Name, "slow", mine, true, 0)
	if err != nil || !made.Default || made.BuiltIn || made.Version != 1 || made.Spec.GetAlpha() != 0.01 {
		t.Fatalf("made %+v, %v", made, err)
	}
	mine.Steps[0].TrafficPercent = 6
	if _, err := f.service.PutStrategy(ctx, f.Name, "slow", mine, false, 7); !errors.Is(err, store.ErrStale) {
		t.Errorf("changing a version that is not there: %v", err)
	}
	if changed, err := f.service.PutStrategy(ctx, f.Name, "slow", mine, false, 1); err != nil || changed.Version != 2 || !changed.Default {
		t.Errorf("changed %+v, %v", changed, err)
	}
	if _, err := f.service.PutStrategy(ctx, f.Name, "immediate", mine, false, 0); !errors.Is(err, rollout.ErrBuiltIn) {
		t.Errorf("changing one that ships: %v", err)
	}
	var invalid *rollout.InvalidStrategy
	if _, err := f.service.PutStrategy(ctx, f.Name, "empty", nil, false, 0); !errors.As(err, &invalid) {
		t.Errorf("an empty one: %v", err)
	}
	if err := f.service.DeleteStrategy(ctx, f.Name, "slow", 0); !errors.Is(err, rollout.ErrInUse) {
		t.Errorf("deleting the default: %v", err)
	}
	f.looksUp("", mine.Steps[0].TrafficPercent)
	if made, err := f.service.PutStrategy(ctx, f.Name, "immediate", nil, true, 0); err != nil || !made.Default || !made.BuiltIn {
		t.Errorf("making a shipped one the default: %+v, %v", made, err)
	}
	f.looksUp("", 100)
	if err := f.service.DeleteStrategy(ctx, f.Name, "slow", 2); err != nil {
		t.Error(err)
	}
	if err := f.service.DeleteStrategy(ctx, f.Name, "slow", 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("deleting it again: %v", err)
	}
	all, err := f.service.Strategies(ctx, f.Name)
	if err != nil || len(all) != 5 {
		t.Errorf("%d strategies, %v", len(all), err)
	}
}

// looksUp checks the first step of what a publish would take.
func (f *fleet) looksUp(name string, traffic float64) {
	f.t.Helper()
	f.change(func(ctx context.Context, tx *store.Tx) error {
		fleet, err := tx.FleetByName(ctx, f.Name)
		if err != nil {
			return err
		}
		spec, err := rollout.Lookup(ctx, tx, fleet, name)
		if err == nil && spec.GetSteps()[0].GetTrafficPercent() != traffic {
			f.t.Errorf("strategy %q begins with %g %%, want %g %%", name, spec.GetSteps()[0].GetTrafficPercent(), traffic)
		}
		return err
	})
}

const guide = "../../docs/rollouts.md"

// The chart in the guide is the table of transitions; -update draws it anew.
func TestChartInTheGuideIsTheTable(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(content), "```mermaid\n")
	drawn, after, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("the guide has no chart")
	}
	if *update {
		if err := os.WriteFile(guide, []byte(before+"```mermaid\n"+rollout.Chart()+"```"+after), 0o644); err != nil { //nolint:gosec // a file of the sources
			t.Fatal(err)
		}
		return
	}
	if drawn != rollout.Chart() {
		t.Errorf("the chart is\n%s\nbut the table says\n%s", drawn, rollout.Chart())
	}
}
