package evidence_test

import (
	"math"
	"testing"

	"tidegate.dev/proto/evidence"
)

func TestSpendingSpendsAlphaOnce(t *testing.T) {
	t.Parallel()
	for _, s := range []evidence.Spending{
		{Alpha: 0.01, Agents: 1, Metrics: 1},
		{Alpha: 0.01, Agents: 1000, Metrics: 10, Routes: 0},
		{Alpha: 0.05, Agents: 3, Metrics: 8, Routes: 10_000},
	} {
		spent := func(l evidence.Levels) float64 {
			return float64(s.Metrics) * (l.Total + float64(s.Routes)*l.Route)
		}
		fleet, agents := spent(s.Fleet()), float64(s.Agents)*spent(s.Agent())
		if math.Abs(fleet-s.Alpha/2) > 1e-12 || math.Abs(agents-s.Alpha/2) > 1e-12 {
			t.Errorf("%+v: the fleet's judge spends %v, the agents %v", s, fleet, agents)
		}
	}
}

func TestSpendingWithoutRoutesNeverFailsARoute(t *testing.T) {
	t.Parallel()
	levels := evidence.Spending{Alpha: 0.01, Agents: 3, Metrics: 2}.Fleet()
	if levels.Total != 0.0025 || levels.Route != 0 {
		t.Errorf("levels are %+v", levels)
	}
	if !math.IsInf(evidence.LogThreshold(levels.Route), 1) {
		t.Error("a level of 0 can be reached")
	}
}

func TestInvalidSpendingFailsNothing(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]evidence.Spending{
		"zero":           {},
		"alpha of one":   {Alpha: 1, Agents: 1, Metrics: 1},
		"alpha NaN":      {Alpha: math.NaN(), Agents: 1, Metrics: 1},
		"no agents":      {Alpha: 0.01, Metrics: 1},
		"no metrics":     {Alpha: 0.01, Agents: 1},
		"routes below 0": {Alpha: 0.01, Agents: 1, Metrics: 1, Routes: -1},
	} {
		if s.Validate() == nil {
			t.Errorf("%s: valid", name)
		}
		if s.Fleet() != (evidence.Levels{}) || s.Agent() != (evidence.Levels{}) {
			t.Errorf("%s: levels are %+v and %+v", name, s.Fleet(), s.Agent())
		}
	}
}
