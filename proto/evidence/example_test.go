package evidence_test

import (
	"fmt"
	"log"

	"tidegate.dev/proto/evidence"
)

// An agent's guard adds what was counted since its last look, and asks. Nothing
// is allocated.
func Example_guard() {
	test, err := evidence.NewTest(evidence.Config{})
	if err != nil {
		log.Fatal(err)
	}
	level := evidence.Spending{Alpha: 0.01, Agents: 3, Metrics: 10, Routes: 50}.Agent().Total

	share := test.Share(10_000) // when the candidate's share becomes 1 %
	var serverErrors evidence.Evidence
	for look, bad := range []uint64{1, 1, 1} { // the control has none
		serverErrors.Add(&share, bad, 0)
		fmt.Println(look, serverErrors.Exceeds(level))
	}
	// Output:
	// 0 false
	// 1 false
	// 2 true
}

// The control plane reads sums by share from its database and judges them.
func Example_judge() {
	test, err := evidence.NewTest(evidence.Config{})
	if err != nil {
		log.Fatal(err)
	}
	level := evidence.Spending{Alpha: 0.01, Agents: 3, Metrics: 10, Routes: 50}.Fleet().Total

	sums := evidence.Tally{
		{
			SharePPM:  10_000,
			Candidate: evidence.Arm{Requests: 612, Bad: 1},
			Control:   evidence.Arm{Requests: 60_402, Bad: 58},
		},
		{
			SharePPM:  100_000,
			Candidate: evidence.Arm{Requests: 401, Bad: 14},
			Control:   evidence.Arm{Requests: 3_590, Bad: 4},
		},
	}
	peakBefore := 0.0
	decision := test.Judge(sums, peakBefore, evidence.Terms{Alpha: level, MinimumRequests: 200})
	fmt.Println(decision.Verdict)
	fmt.Println(decision.Explain("5xx"))
	interval := test.Interval(sums, level)
	fmt.Printf("the candidate has at least %.1f times the control's rate\n", interval.Lower)
	// Output:
	// fail
	// 5xx 1.5 % of 1,013 candidate requests against 0.097 % of 63,992 control requests; evidence 2.5e6 ≥ 4,000
	// the candidate has at least 1.9 times the control's rate
}
