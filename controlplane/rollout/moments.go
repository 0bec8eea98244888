package rollout

import (
	"cmp"
	"slices"
	"strings"
)

// momentsOf are the moments at which a gate can be tried on a rollout: those at which its sums were kept, and its end, since the last
// reports come after it. Of a rollout of which no reading was kept it is known by the share of each sum to which step it belongs.
func momentsOf(ended State, readings []Reading) []moment {
	var moments []moment
	if len(readings) == 0 {
		moments = momentsByShare(ended)
	} else {
		moments = momentsByReading(ended, readings)
	}
	last := ended
	last.Rollout = atStep(ended.Rollout, ended.Rollout.Step)
	return append(moments, moment{state: last, at: ended.Rollout.EndAt, kind: MomentEnd})
}

// sumKey names a sum.
type sumKey struct {
	metric, route string
	share         int32
	units         bool
}

// momentsByReading puts each reading together from what had changed by then. Only routes are taken whose sums at the end are known,
// since those say whether the control could serve them.
func momentsByReading(ended State, readings []Reading) []moment {
	inStable := map[string]bool{}
	known := map[string]bool{}
	for _, sum := range ended.Sums {
		known[sum.Route], inStable[sum.Route] = true, sum.InStable
	}
	sums := map[sumKey]ReadSum{}
	moments := make([]moment, 0, len(readings)+1)
	for _, reading := range readings {
		routes := false
		for _, sum := range reading.Sums {
			if known[sum.Route] {
				sum.InStable = inStable[sum.Route]
				sums[sumKey{sum.Metric, sum.Route, sum.SharePPM, sum.Units}] = sum
			}
			routes = routes || sum.Route != "" && !ended.expects(sum.Route)
		}
		state := ended
		state.Rollout = atStep(ended.Rollout, reading.Step)
		state.Sums, state.NewRoutes = nil, nil
		for _, sum := range sums {
			if !routes && sum.Route != "" && !ended.expects(sum.Route) {
				continue // nothing is new of routes, so they need not be judged again
			}
			state.Sums = append(state.Sums, sum.Sum)
			if sum.NewCandidate != 0 || sum.NewControl != 0 {
				state.NewRoutes = append(state.NewRoutes, Sum{
					Metric: sum.Metric, SharePPM: sum.SharePPM, Candidate: sum.NewCandidate, Control: sum.NewControl, Units: sum.Units,
				})
			}
		}
		inOrder(state.Sums)
		moments = append(moments, moment{state: state, at: reading.At, kind: MomentReading})
	}
	return moments
}

// momentsByShare are the ends of steps, as far as each had a share of its own.
func momentsByShare(ended State) []moment {
	var moments []moment
	seen := map[int32]bool{}
	steps := ended.Plan.Steps[:min(ended.Rollout.Step+1, len(ended.Plan.Steps))]
	for i, step := range steps {
		seen[step.SharePPM] = true
		if ended.Plan.Sticky != "" {
			seen[ended.Plan.freshShare(step.SharePPM)] = true
		}
		if !step.compares() || step.ShadowPPM > 0 || i+1 < len(steps) && steps[i+1].SharePPM == step.SharePPM {
			continue
		}
		state := ended
		state.Rollout = atStep(ended.Rollout, i)
		of := func(sum Sum) bool { return !seen[sum.SharePPM] }
		state.Sums = slices.DeleteFunc(slices.Clone(ended.Sums), of)
		state.NewRoutes = slices.DeleteFunc(slices.Clone(ended.NewRoutes), of)
		moments = append(moments, moment{state: state, at: ended.Rollout.EndAt, kind: MomentStep})
	}
	return moments
}

// atStep is the rollout as it was in a step; its clock has run.
func atStep(r Rollout, step int) Rollout {
	r.Step, r.State = step, Running
	r.StepAt, r.ServingAt = r.StartedAt, r.StartedAt
	return r
}

func inOrder(sums []Sum) {
	slices.SortFunc(sums, func(a, b Sum) int {
		return cmp.Or(strings.Compare(a.Metric, b.Metric), strings.Compare(a.Route, b.Route), cmp.Compare(a.SharePPM, b.SharePPM), boolOrder(a.Units, b.Units))
	})
}

func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
