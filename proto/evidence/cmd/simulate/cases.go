package main

import (
	"fmt"

	"tidegate.dev/proto/evidence"
	"tidegate.dev/proto/evidence/simulation"
)

type powerCase struct {
	name       string
	regression simulation.Regression
	reference  string
}

// referenceMultiples are the alternatives that the reference figures were found with.
func referenceMultiples() []float64 { return []float64{1.5, 2, 3, 5, 10, 20, 50, 200, 1000} }

// powerCases begin with five whose reference figures are known: alpha 1 %
// shared by 40 comparisons, a look every 0.1 s.
func powerCases() []powerCase {
	const alone = 0.01 / 40
	one := func(sharePPM uint32, control, candidate, alpha, looks float64) simulation.Regression {
		return simulation.Regression{
			SharePPM: sharePPM, RequestsPerSecond: 2000, LooksPerSecond: looks,
			ControlBad: control, CandidateBad: candidate, Alpha: alpha, Seconds: 600,
		}
	}
	cases := []powerCase{
		{"everything fails, 1 % share", one(10_000, 0.001, 1, alone, 10), "4"},
		{"5 % bad, 1 % share", one(10_000, 0.001, 0.05, alone, 10), "71"},
		{"2 % bad, 10 % share", one(100_000, 0.001, 0.02, alone, 10), "421"},
		{"1 % bad, 1 % share", one(10_000, 0.001, 0.01, alone, 10), "679"},
		{"slower than p95: 5 % to 20 %, 1 % share", one(10_000, 0.05, 0.20, alone, 10), "71"},
		{"slower than p95: 5 % to 7 %, 10 % share", one(100_000, 0.05, 0.07, alone, 10), ""},
	}
	for _, agents := range []int{1, 10, 1000} {
		levels := evidence.Spending{Alpha: 0.01, Agents: agents, Metrics: 40}.Agent()
		cases = append(cases, powerCase{
			fmt.Sprintf("everything fails, 1 %% share, one guard of %d, 40 metrics", agents),
			one(10_000, 0.001, 1, levels.Total, 10), "",
		})
	}
	fleet := evidence.Spending{Alpha: 0.01, Agents: 1, Metrics: 10, Routes: 1000}.Fleet()
	for _, looks := range []float64{10, 4, 1} {
		cases = append(cases, powerCase{
			fmt.Sprintf("2 %% bad, 10 %% share, fleet's judge, 10 metrics, 1,000 routes, %v reports/s", looks),
			one(100_000, 0.001, 0.02, fleet.Total, looks), "",
		})
	}
	return cases
}

type fleetCase struct {
	name       string
	fleet      simulation.Fleet
	tolerances []float64
	fewer      int // divides the number of runs of a costly case
	// reference figures, by tolerance.
	reference map[float64]string
}

func agents(number int, requestsPerSecond float64, badShare func(agent int) float64) []simulation.Agent {
	all := make([]simulation.Agent, number)
	for i := range all {
		all[i] = simulation.Agent{RequestsPerSecond: requestsPerSecond, BadShare: badShare(i)}
	}
	return all
}

// falseAlarmCases are rollouts of harmless candidates. A tolerance of 1 is the
// sharpest trial of the guarantee, 1.1 is what runs.
func falseAlarmCases() []fleetCase {
	both := []float64{1, evidence.DefaultTolerance}
	// The fleet's judge has half of alpha; the cases with one comparison give it
	// the whole, to use the guarantee up.
	whole := evidence.Spending{Alpha: 0.02, Agents: 1, Metrics: 1}
	alone := simulation.Fleet{
		Agents:   agents(1, 2000, func(int) float64 { return 0.001 }),
		Steps:    []simulation.Step{{Seconds: 600, HoldingAgents: 1, SharePPM: 100_000}},
		Spending: whole, LooksPerSecond: 2, ReportsPerSecond: 2, Ratio: 1, JudgeOnly: true,
	}
	bursts := alone
	bursts.Clients = simulation.Clients{Number: 1000, BreaksPerSecond: 0.05, BrokenSeconds: 10}
	byClient := bursts
	byClient.Method = simulation.ArmByClient

	unequal := zones()
	pooled := badZone()
	pooled.Method = simulation.CountsAdded
	return []fleetCase{
		{"one comparison, 600 s, 1,200 looks", alone, both, 1, map[float64]string{1: "9 of 1,500"}},
		{"one comparison, bursts of single clients", bursts, both, 1, map[float64]string{evidence.DefaultTolerance: "0 of 1,000"}},
		{"10 unequal agents, 4 steps, bursts, 40 comparisons, guards and judge", unequal, both, 1, nil},
		{"one bad zone holds the candidate, nine healthy agents", badZone(), both, 1, nil},
		{"wrong on purpose: arm fixed by client, counted by request", byClient, both, 5, map[float64]string{evidence.DefaultTolerance: "464 of 1,000"}},
		{"wrong on purpose: counts added up over agents", pooled, []float64{evidence.DefaultTolerance}, 5, map[float64]string{evidence.DefaultTolerance: "200 of 200"}},
	}
}

// zones is a whole rollout over ten agents, of which each is worse than the one
// before: 0.0125 % to 0.24 % bad.
func zones() simulation.Fleet {
	return simulation.Fleet{
		Agents: agents(10, 200, func(i int) float64 { return 0.0005 * float64(1+2*i) / 4 }),
		Steps: []simulation.Step{
			{Seconds: 60, HoldingAgents: 1, SharePPM: 10_000},
			{Seconds: 120, HoldingAgents: 1, SharePPM: 100_000},
			{Seconds: 120, HoldingAgents: 5, SharePPM: 250_000},
			{Seconds: 120, HoldingAgents: 10, SharePPM: 950_000},
		},
		Clients:        simulation.Clients{Number: 1000, BreaksPerSecond: 0.01, BrokenSeconds: 10},
		Spending:       evidence.Spending{Alpha: 0.01, Agents: 10, Metrics: 4, Routes: 9},
		LooksPerSecond: 10, ReportsPerSecond: 1, Ratio: 1,
	}
}

// badZone is a fleet whose one unhealthy agent holds the candidate.
func badZone() simulation.Fleet {
	return simulation.Fleet{
		Agents: agents(10, 200, func(i int) float64 {
			if i == 0 {
				return 0.05
			}
			return 0.001
		}),
		Steps:          []simulation.Step{{Seconds: 300, HoldingAgents: 1, SharePPM: 500_000}},
		Spending:       evidence.Spending{Alpha: 0.01, Agents: 10, Metrics: 1},
		LooksPerSecond: 10, ReportsPerSecond: 1, Ratio: 1,
	}
}

// fleetPowerCases are rollouts that must be taken back.
func fleetPowerCases() []fleetCase {
	build := func(number int, requestsPerSecond float64, sharePPM uint32, ratio float64, reports int) simulation.Fleet {
		return simulation.Fleet{
			Agents:         agents(number, requestsPerSecond, func(int) float64 { return 0.001 }),
			Steps:          []simulation.Step{{Seconds: 300, HoldingAgents: number, SharePPM: sharePPM}},
			Spending:       evidence.Spending{Alpha: 0.01, Agents: number, Metrics: 10, Routes: 100},
			LooksPerSecond: 10, ReportsPerSecond: reports, Ratio: ratio,
		}
	}
	return []fleetCase{
		{"1 agent × 2,000/s, 2 % bad, 10 % share, 1 report/s", build(1, 2000, 100_000, 20, 1), nil, 1, nil},
		{"10 agents × 200/s, 2 % bad, 10 % share, 1 report/s", build(10, 200, 100_000, 20, 1), nil, 1, nil},
		{"10 agents × 200/s, 2 % bad, 10 % share, 5 reports/s", build(10, 200, 100_000, 20, 5), nil, 1, nil},
		{"1 agent × 2,000/s, all bad, 1 % share, 1 report/s", build(1, 2000, 10_000, 1000, 1), nil, 1, nil},
		{"100 agents × 2,000/s, all bad, 1 % share, 1 report/s", build(100, 2000, 10_000, 1000, 1), nil, 10, nil},
		{"1,000 agents × 100/s, all bad, 1 % share, 1 report/s", build(1000, 100, 10_000, 1000, 1), nil, 50, nil},
	}
}

// earlyPassCases look after every 20 bad requests. A ratio of the tolerance is the sharpest trial of the guarantee.
func earlyPassCases() []simulation.EarlyPass {
	var cases []simulation.EarlyPass
	for _, share := range []uint32{100_000, 500_000} {
		for _, ratio := range []float64{0.5, 0.8, 1, evidence.DefaultTolerance, 1.2} {
			limit := 200_000
			if ratio > 1 {
				limit = 20_000
			}
			cases = append(cases, simulation.EarlyPass{SharePPM: share, Ratio: ratio, Alpha: 0.01, LookEvery: 20, Limit: limit})
		}
	}
	return cases
}
