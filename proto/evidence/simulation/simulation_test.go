package simulation_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"tidegate.dev/proto/evidence"
	"tidegate.dev/proto/evidence/simulation"
)

func newTest(t *testing.T, tolerance float64) *evidence.Test {
	t.Helper()
	test, err := evidence.NewTest(evidence.Config{Tolerance: tolerance})
	if err != nil {
		t.Fatal(err)
	}
	return test
}

// Medians at a level of 1 % shared by 40 comparisons, 2,000 requests/s, a look
// every 0.1 s. The bounds are medians of 12,000 runs (the command simulate) plus
// what 500 runs can stray.
func TestCandidateRequestsUntilTheFail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name               string
		sharePPM           uint32
		control, candidate float64
		atMost             int
	}{
		{"everything fails, 1 % share", 10_000, 0.001, 1, 4},
		{"5 % bad, 1 % share", 10_000, 0.001, 0.05, 85},               // 75
		{"2 % bad, 10 % share", 100_000, 0.001, 0.02, 400},            // 358
		{"1 % bad, 1 % share", 10_000, 0.001, 0.01, 840},              // 740
		{"slow from 5 % to 20 %, 1 % share", 10_000, 0.05, 0.20, 100}, // 89
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			const runs = 500
			test := newTest(t, 1.1)
			regression := simulation.Regression{
				SharePPM: c.sharePPM, RequestsPerSecond: 2000, LooksPerSecond: 10,
				ControlBad: c.control, CandidateBad: c.candidate, Alpha: 0.01 / 40, Seconds: 600,
			}
			var requests []int
			for run := range runs {
				o := regression.Run(test, rand.New(rand.NewPCG(11, uint64(run))))
				if !o.Failed {
					t.Fatalf("run %d did not find it in %v s", run, o.Seconds)
				}
				requests = append(requests, o.CandidateRequests)
			}
			slices.Sort(requests)
			if median := requests[runs/2]; median > c.atMost {
				t.Errorf("the median is %d candidate requests, want at most %d", median, c.atMost)
			}
		})
	}
}

func TestTotalFailureCostsAGuardOfAThousandSixRequests(t *testing.T) {
	t.Parallel()
	const runs = 500
	test := newTest(t, 1.1)
	regression := simulation.Regression{
		SharePPM: 10_000, RequestsPerSecond: 2000, LooksPerSecond: 10,
		ControlBad: 0.001, CandidateBad: 1, Seconds: 60,
		Alpha: evidence.Spending{Alpha: 0.01, Agents: 1000, Metrics: 40}.Agent().Total,
	}
	var requests []int
	for run := range runs {
		requests = append(requests, regression.Run(test, rand.New(rand.NewPCG(12, uint64(run)))).CandidateRequests)
	}
	slices.Sort(requests)
	if median, most := requests[runs/2], requests[runs-1]; median > 6 || most > 20 {
		t.Errorf("the median is %d and the most %d candidate requests, want 6 and at most 20", median, most)
	}
}

// Rollouts of a harmless candidate: busy clients that break, agents of unequal
// health, four steps, guards and judge.
func harmless() simulation.Fleet {
	fleet := simulation.Fleet{
		Steps: []simulation.Step{
			{Seconds: 30, HoldingAgents: 1, SharePPM: 10_000},
			{Seconds: 60, HoldingAgents: 2, SharePPM: 250_000},
			{Seconds: 60, HoldingAgents: 5, SharePPM: 950_000},
		},
		Clients:        simulation.Clients{Number: 500, BreaksPerSecond: 0.02, BrokenSeconds: 10},
		Spending:       evidence.Spending{Alpha: 0.01, Agents: 5, Metrics: 2, Routes: 5},
		LooksPerSecond: 5, ReportsPerSecond: 1, Ratio: 1,
	}
	for i := range 5 {
		fleet.Agents = append(fleet.Agents, simulation.Agent{RequestsPerSecond: 200, BadShare: 0.0002 * float64(1+i*i)})
	}
	return fleet
}

func falseAlarms(t *testing.T, fleet simulation.Fleet, tolerance float64, runs int) int {
	t.Helper()
	test := newTest(t, tolerance)
	alarms := 0
	for run := range runs {
		if fleet.Run(test, rand.New(rand.NewPCG(13, uint64(run)))).Failed {
			alarms++
		}
	}
	return alarms
}

func TestHarmlessCandidatesAreKept(t *testing.T) {
	t.Parallel()
	const runs = 400
	for _, tolerance := range []float64{1, 1.1} {
		if alarms := falseAlarms(t, harmless(), tolerance, runs); alarms > runs/100 {
			t.Errorf("tolerance %v: %d of %d harmless candidates were taken back", tolerance, alarms, runs)
		}
	}
}

func TestHarmlessCandidatesAreKeptWithTheWholeLevelOnOneComparison(t *testing.T) {
	t.Parallel()
	const runs = 1000
	fleet := harmless()
	fleet.JudgeOnly = true
	fleet.Spending = evidence.Spending{Alpha: 0.02, Agents: 1, Metrics: 1} // the judge's half is 1 %
	// 10 are expected at most; 20 would be three standard deviations more.
	if alarms := falseAlarms(t, fleet, 1, runs); alarms > 20 {
		t.Errorf("%d of %d harmless candidates were taken back", alarms, runs)
	}
}

// Without these two the trials above could be blind.
func TestWrongMethodsRaiseFalseAlarms(t *testing.T) {
	t.Parallel()
	const runs = 50
	byClient := harmless()
	byClient.Method = simulation.ArmByClient
	if alarms := falseAlarms(t, byClient, 1.1, runs); alarms < runs/5 {
		t.Errorf("arms fixed by client: only %d false alarms of %d", alarms, runs)
	}

	added := harmless()
	added.Clients = simulation.Clients{}
	added.Method = simulation.CountsAdded
	added.Agents[0].BadShare = 0.05
	if alarms := falseAlarms(t, added, 1.1, runs); alarms < runs*9/10 {
		t.Errorf("counts added over agents: only %d false alarms of %d", alarms, runs)
	}
}

func TestBadCandidateOfAFleetIsFound(t *testing.T) {
	t.Parallel()
	fleet := harmless()
	fleet.Ratio = 50
	test := newTest(t, 1.1)
	for run := range 50 {
		if o := fleet.Run(test, rand.New(rand.NewPCG(14, uint64(run)))); !o.Failed || o.CandidateBad == 0 {
			t.Errorf("run %d: %+v", run, o)
		}
	}
}

func TestNoWorseCandidatePassesEarly(t *testing.T) {
	t.Parallel()
	test := newTest(t, 1.1)
	pass := simulation.EarlyPass{SharePPM: 500_000, Ratio: 0.5, Alpha: 0.001, LookEvery: 20, Limit: 5000}
	worse := simulation.EarlyPass{SharePPM: 500_000, Ratio: 1.2, Alpha: 0.001, LookEvery: 20, Limit: 5000}
	for run := range 50 {
		rng := rand.New(rand.NewPCG(15, uint64(run)))
		if pass.Run(test, rng) == 0 {
			t.Errorf("run %d: half as many bad requests were not shown to be no worse", run)
		}
		if bad := worse.Run(test, rng); bad != 0 {
			t.Errorf("run %d: a worse candidate passed after %d bad requests", run, bad)
		}
	}
}
