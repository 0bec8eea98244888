package rollout_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tidegate.dev/controlplane/rollout"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/evidence"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// endedRollout had two steps, of 10 % and of 50 %. In the first nothing was wrong; in the second the candidate had three times the
// control's 5xx.
func endedRollout(t *testing.T, state string) rollout.State {
	t.Helper()
	plan, err := rollout.PlanOf(rollout.Shipped(rollout.DefaultStrategy), false)
	if err != nil {
		t.Fatal(err)
	}
	return rollout.State{
		Plan: plan,
		Rollout: rollout.Rollout{
			ID: 1, FleetID: 1, Revision: 5, StableRevision: 4, State: state, Step: 1, JudgedAgents: 1, JudgedRoutes: 1,
			StartedAt: goldenNow.Add(-time.Minute), StepAt: goldenNow.Add(-30 * time.Second), EndAt: goldenNow,
		},
		Sums: []rollout.Sum{
			{Metric: "requests", SharePPM: 100_000, Candidate: 1_000, Control: 9_000, InStable: true},
			{Metric: "requests", SharePPM: 500_000, Candidate: 5_000, Control: 5_000, InStable: true},
			{Metric: "upstream_5xx", SharePPM: 100_000, Candidate: 5, Control: 45, InStable: true},
			{Metric: "upstream_5xx", SharePPM: 500_000, Candidate: 150, Control: 50, InStable: true},
		},
	}
}

// readingsOf keeps the sums of the rollout above at the end of its first step, and twice in its second.
func readingsOf(ended rollout.State) []rollout.Reading {
	reading := func(number, step int, age time.Duration, sums ...rollout.Sum) rollout.Reading {
		read := rollout.Reading{Number: number, Step: step, At: goldenNow.Add(-age)}
		for _, sum := range sums {
			read.Sums = append(read.Sums, rollout.ReadSum{Sum: sum})
		}
		return read
	}
	early := ended.Sums[3]
	early.Candidate, early.Control = 130, 44
	requests := ended.Sums[1]
	requests.Candidate, requests.Control = 2_000, 2_000
	return []rollout.Reading{
		reading(1, 0, 30*time.Second, ended.Sums[0], ended.Sums[2]),
		reading(2, 1, 20*time.Second, requests, early),
		reading(3, 1, 0, ended.Sums[1], ended.Sums[3]),
	}
}

func TestAGateIsTriedOnWhatWasKept(t *testing.T) {
	t.Parallel()
	strict, lax := rollout.Trial{Compares: true, Tolerance: 1.1}, rollout.Trial{Compares: true, Tolerance: 10}
	objective := rollout.Trial{Objectives: []rollout.Objective{{Metric: "errors", Share: 0.01, Minimum: 100}}}
	for name, c := range map[string]struct {
		trial      rollout.Trial
		state      string
		unread     bool
		verdict    evidence.Verdict
		difference string
		moment     string
		step       int
		after      time.Duration
		requests   int64
	}{
		"would have taken it back": {
			trial: strict, state: rollout.Completed, verdict: evidence.Fail, difference: "taken_back",
			moment: rollout.MomentReading, step: 1, after: 40 * time.Second, requests: 3_000,
		},
		"would have let it through": {trial: lax, state: rollout.Completed, verdict: evidence.Pass, difference: "none", requests: 6_000},
		"fails what was rolled back": {
			trial: strict, state: rollout.RolledBack, verdict: evidence.Fail, difference: "none",
			moment: rollout.MomentReading, step: 1, after: 40 * time.Second, requests: 3_000,
		},
		"keeps what was rolled back, as far as is known": {
			trial: lax, state: rollout.RolledBack, verdict: evidence.Inconclusive, difference: "kept", requests: 6_000,
		},
		"says nothing of what was aborted": {
			trial: lax, state: rollout.Aborted, verdict: evidence.Inconclusive, difference: "none", requests: 6_000,
		},
		"without readings only the step is known": {
			trial: strict, state: rollout.Completed, unread: true, verdict: evidence.Fail, difference: "taken_back",
			moment: rollout.MomentStep, step: 1, after: time.Minute, requests: 6_000,
		},
		"an objective": {
			trial: objective, state: rollout.Completed, verdict: evidence.Fail, difference: "taken_back",
			moment: rollout.MomentReading, step: 1, after: 40 * time.Second, requests: 3_000,
		},
		"another metric": {
			trial: rollout.Trial{Compares: true, Metrics: []string{"gateway.no_route"}}, state: rollout.Completed,
			verdict: evidence.Inconclusive, difference: "none", requests: 6_000,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := endedRollout(t, c.state)
			readings := readingsOf(ended)
			if c.unread {
				readings = nil
			}
			got := c.trial.Try(ended, readings)
			if got.Verdict != c.verdict || got.Difference != c.difference || got.Moment != c.moment || got.Step != c.step ||
				got.After != c.after || got.CandidateRequests != c.requests || got.Explanation == "" {
				t.Errorf("the outcome is %+v", got)
			}
		})
	}
}

// Of a route it is known in which step it failed, and no more.
func TestAGateIsTriedOnARoute(t *testing.T) {
	t.Parallel()
	ended := endedRollout(t, rollout.Completed)
	readings := readingsOf(ended)
	for _, sum := range []rollout.Sum{ended.Sums[1], ended.Sums[3]} {
		sum.Route = "orders"
		ended.Sums = append(ended.Sums, sum)
		readings[2].Sums = append(readings[2].Sums, rollout.ReadSum{Sum: sum})
	}
	trial := rollout.Trial{Objectives: []rollout.Objective{{Metric: "upstream_5xx", Route: "orders", Share: 0.01, Minimum: 100}}}
	if got := trial.Try(ended, readings); got.Verdict != evidence.Fail || got.Route != "orders" || got.Moment != rollout.MomentStep || got.Step != 1 {
		t.Errorf("the outcome is %+v", got)
	}
}

func TestAGateIsNotTriedWithoutAControl(t *testing.T) {
	t.Parallel()
	first := endedRollout(t, rollout.Completed)
	first.Rollout.StableRevision = 0
	unsplit := endedRollout(t, rollout.Completed)
	unsplit.Sums = nil
	for name, ended := range map[string]rollout.State{"the first revision": first, "no coin": unsplit} {
		got := rollout.Trial{Compares: true}.Try(ended, nil)
		if got.Verdict != evidence.Inconclusive || got.Difference != "none" || got.Explanation == "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// What the leader kept of real rollouts is enough to say in which step another gate would have failed.
func TestAGateIsTriedOnTheLastRollouts(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.goes(f.controller("a").Run)
	f.join("edge-1", "edge-2")
	f.ends(f.publish("orders", "/orders", quick()), rollout.Completed)

	lax := quick()
	tolerance := 10.0
	lax.Tolerance = &tolerance
	f.alter(func(a *playedAgent) { a.candidateBad, a.controlBad = 40, 10 })
	worse := f.publish("orders", "/v2/orders", lax)
	f.ends(worse, rollout.Completed)
	f.alter(func(a *playedAgent) { a.candidateBad, a.controlBad = 900, 10 })
	bad := f.publish("orders", "/v3/orders", quick())
	f.ends(bad, rollout.RolledBack)

	try := func(trial rollout.Trial) map[int64]rollout.Tried {
		t.Helper()
		page, next, err := f.service.TryGate(t.Context(), f.Name, trial, rollout.TryOptions{Within: time.Hour})
		if err != nil || next != 0 || len(page) != 3 {
			t.Fatalf("tried on %d rollouts, next %d: %v", len(page), next, err)
		}
		tried := map[int64]rollout.Tried{}
		for _, one := range page {
			tried[one.Rollout.ID] = one
		}
		return tried
	}
	strict := try(rollout.Trial{Compares: true, Tolerance: 1.1})
	if got := strict[worse].Outcome; got.Difference != "taken_back" || got.Metric != "upstream_5xx" || got.Moment != rollout.MomentReading {
		t.Errorf("of a candidate that is four times as bad a strict gate says %+v", got)
	}
	if got := strict[bad].Outcome; got.Verdict != evidence.Fail || got.Difference != "none" {
		t.Errorf("of a candidate that fails a strict gate says %+v", got)
	}
	generous := try(rollout.Trial{Compares: true, Tolerance: 100, Alpha: 1e-9})
	if got := generous[worse].Outcome; got.Verdict != evidence.Pass || got.Difference != "none" {
		t.Errorf("of a candidate that is four times as bad a generous gate says %+v", got)
	}
	if got := generous[bad].Outcome; got.Difference != "kept" {
		t.Errorf("of a candidate that fails a generous gate says %+v", got)
	}
	if page, next, err := f.service.TryGate(t.Context(), f.Name, rollout.Trial{Compares: true}, rollout.TryOptions{Within: time.Hour, Limit: 1}); err != nil || len(page) != 1 || next != bad {
		t.Errorf("a page of one has %d, next %d: %v", len(page), next, err)
	}
}

// Even a rollout of a week is read some hundred times, and the moments lie close together where much happens.
func TestReadingsGrowFurtherApart(t *testing.T) {
	t.Parallel()
	state := endedRollout(t, rollout.Running)
	state.Rollout.Step, state.Rollout.Version = 0, 1
	state.Rollout.StartedAt, state.Rollout.StepAt, state.Rollout.ServingAt = goldenNow, goldenNow, goldenNow
	readings, inFirstMinute := 0, 0
	for second := 0; second < 7*24*3600; second += 1 + second/1000 {
		now := goldenNow.Add(time.Duration(second) * time.Second)
		state.Sums[0].Candidate++
		change, err := state.Fold(now, []rollout.Action{rollout.RecordVerdicts{}})
		if err != nil {
			t.Fatal(err)
		}
		if change.Reading == nil {
			continue
		}
		if change.Reading.Number != readings+1 {
			t.Fatalf("reading %d has the number %d", readings+1, change.Reading.Number)
		}
		readings++
		if second < 60 {
			inFirstMinute++
		}
		state.Read = rollout.Reading{Number: change.Reading.Number, At: change.Reading.At, Counted: change.Reading.Counted}
	}
	if readings < 300 || readings > 700 || inFirstMinute < 59 {
		t.Errorf("%d readings in a week, %d of them in the first minute", readings, inFirstMinute)
	}
}

// Single routes are kept at the end of a step alone, and only what changed is written.
func TestReadingsKeepWhatChanged(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	f.publish("orders", "/orders", quick())
	id := f.publish("users", "/users", quick())
	save := func(reading store.Reading) {
		f.change(func(ctx context.Context, tx *store.Tx) error {
			return tx.SaveRolloutParts(ctx, id, store.RolloutParts{Reading: &reading})
		})
	}
	sum := func(metric string, candidate int64) store.ReadingSum {
		return store.ReadingSum{Metric: metric, SharePpm: 100_000, Candidate: candidate, Control: 9}
	}
	save(store.Reading{Number: 1, At: goldenNow, Counted: 10, Sums: []store.ReadingSum{sum("requests", 1), sum("upstream_5xx", 0)}})
	save(store.Reading{Number: 2, At: goldenNow, Step: 1, Counted: 11, Sums: []store.ReadingSum{sum("requests", 2), sum("upstream_5xx", 0)}})
	f.change(func(ctx context.Context, tx *store.Tx) error {
		readings, err := tx.Readings(ctx, id)
		if err != nil {
			return err
		}
		if got, want := fmt.Sprint(len(readings), len(readings[0].Sums), len(readings[1].Sums), readings[1].Sums[0].Candidate, readings[1].Step), "2 2 1 2 1"; got != want {
			t.Errorf("kept is %s, want %s", got, want)
		}
		last, err := tx.LastReading(ctx, id)
		if err == nil && (last.Number != 2 || last.Counted != 11) {
			t.Errorf("the last reading is %+v", last)
		}
		return err
	})
}

func TestObjectivesOfATrialAreThoseOfAStrategy(t *testing.T) {
	t.Parallel()
	minimum := uint32(5)
	got := rollout.ObjectivesOf([]*configv1.ObjectiveGate{{Metric: "errors", MaxPercent: 2}, {Metric: "slower.p99", Route: "r", MinimumRequests: &minimum}})
	if len(got) != 2 || got[0] != (rollout.Objective{Metric: "errors", Share: 0.02, Minimum: 100}) || got[1].Minimum != 5 || got[1].Route != "r" {
		t.Errorf("objectives are %+v", got)
	}
}

// A rollout of a week with a hundred routes on which something went wrong.
func BenchmarkTry(b *testing.B) {
	plan, err := rollout.PlanOf(rollout.Shipped(rollout.DefaultStrategy), false)
	if err != nil {
		b.Fatal(err)
	}
	ended := rollout.State{Plan: plan, Rollout: rollout.Rollout{
		ID: 1, Revision: 5, StableRevision: 4, State: rollout.Completed, Step: 1, JudgedAgents: 10, JudgedRoutes: 100, StartedAt: goldenNow, EndAt: goldenNow.Add(time.Hour),
	}}
	metrics := []string{"requests", "upstream_5xx", "gateway.no_route", "slower.p50", "slower.p95", "slower.p99"}
	for route := range 101 {
		name := ""
		if route > 0 {
			name = fmt.Sprint("route-", route)
		}
		for _, metric := range metrics {
			ended.Sums = append(ended.Sums, rollout.Sum{Metric: metric, Route: name, SharePPM: 500_000, Candidate: 100_000, Control: 100_000, InStable: true})
		}
	}
	var readings []rollout.Reading
	for number := range 650 {
		reading := rollout.Reading{Number: number + 1, Step: 1, At: goldenNow.Add(time.Duration(number) * time.Second)}
		for _, sum := range ended.Sums {
			if sum.Route == "" || number%300 == 0 {
				sum.Candidate, sum.Control = int64(100*number), int64(100*number)
				reading.Sums = append(reading.Sums, rollout.ReadSum{Sum: sum})
			}
		}
		readings = append(readings, reading)
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := (rollout.Trial{Compares: true}).Try(ended, readings); got.Verdict != evidence.Pass {
			b.Fatalf("%+v", got)
		}
	}
}
