package evidence_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"tidegate.dev/proto/evidence"
)

// batch has a share of 1 %.
func batch(candidateRequests, candidateBad, controlRequests, controlBad uint64) evidence.Batch {
	return evidence.Batch{
		SharePPM:  10_000,
		Candidate: evidence.Arm{Requests: candidateRequests, Bad: candidateBad},
		Control:   evidence.Arm{Requests: controlRequests, Bad: controlBad},
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	test := newTest(t, evidence.Config{})
	half := func(candidateBad, controlBad uint64) evidence.Tally {
		return evidence.Tally{{
			SharePPM:  500_000,
			Candidate: evidence.Arm{Requests: 1e6, Bad: candidateBad},
			Control:   evidence.Arm{Requests: 1e6, Bad: controlBad},
		}}
	}
	cases := []struct {
		name     string
		tally    evidence.Tally
		peak     float64
		terms    evidence.Terms
		verdict  evidence.Verdict
		cause    evidence.Cause
		explains string
	}{
		{
			name: "worse", tally: evidence.Tally{batch(412, 8, 40_310, 40)},
			terms:   evidence.Terms{Alpha: 0.0005, MinimumRequests: 200},
			verdict: evidence.Fail, cause: evidence.EvidenceReached,
			explains: "5xx 1.9 % of 412 candidate requests against 0.099 % of 40,310 control requests; evidence 476,895 ≥ 2,000",
		},
		{
			name: "worse before the minimum of requests", tally: evidence.Tally{batch(4, 4, 400, 0)},
			terms:   evidence.Terms{Alpha: 0.0005, MinimumRequests: 200},
			verdict: evidence.Fail, cause: evidence.EvidenceReached,
			explains: "5xx 100 % of 4 candidate requests against 0 % of 400 control requests; evidence 7.7e6 ≥ 2,000",
		},
		{
			name: "failed once, better now", tally: evidence.Tally{batch(412, 0, 40_310, 40)},
			peak: math.Log(5000), terms: evidence.Terms{Alpha: 0.0005, BakeOver: true},
			verdict: evidence.Fail, cause: evidence.EvidenceReached,
			explains: "5xx 0 % of 412 candidate requests against 0.099 % of 40,310 control requests; evidence reached 5,000 ≥ 2,000, now 0.28",
		},
		{
			name: "nothing yet", terms: evidence.Terms{Alpha: 0.0005},
			verdict: evidence.Inconclusive, cause: evidence.Baking,
			explains: "5xx 0 % of 0 candidate requests against 0 % of 0 control requests; evidence 1 < 2,000 so far",
		},
		{
			name: "still baking", tally: evidence.Tally{batch(1, 0, 100, 1)}, terms: evidence.Terms{Alpha: 0.0005},
			verdict: evidence.Inconclusive, cause: evidence.Baking,
			explains: "5xx 0 % of 1 candidate request against 1 % of 100 control requests; evidence 0.75 < 2,000 so far",
		},
		{
			name: "bake time over", tally: evidence.Tally{batch(412, 1, 40_310, 40)},
			terms:   evidence.Terms{Alpha: 0.0005, MinimumRequests: 200, BakeOver: true},
			verdict: evidence.Pass, cause: evidence.BakeOver,
			explains: "5xx 0.24 % of 412 candidate requests against 0.099 % of 40,310 control requests; evidence 0.56 < 2,000 at the end of the bake time",
		},
		{
			name: "too few in the candidate", tally: evidence.Tally{batch(5, 0, 495, 0)},
			terms:   evidence.Terms{Alpha: 0.0005, MinimumRequests: 200, BakeOver: true},
			verdict: evidence.Inconclusive, cause: evidence.TooFewRequests,
			explains: "5xx not compared: 5 of 200 candidate requests",
		},
		{
			name: "too few in the control", tally: evidence.Tally{batch(1200, 0, 63, 0)},
			terms:   evidence.Terms{Alpha: 0.0005, MinimumRequests: 1200, BakeOver: true},
			verdict: evidence.Inconclusive, cause: evidence.TooFewRequests,
			explains: "5xx not compared: 63 of 1,200 control requests",
		},
		{
			name: "shown to be no worse", tally: half(500, 1000), terms: evidence.Terms{Alpha: 0.0005, MinimumRequests: 200},
			verdict: evidence.Pass, cause: evidence.ShownNoWorse,
			explains: "5xx 0.05 % of 1,000,000 candidate requests against 0.1 % of 1,000,000 control requests; shown to be less than 1.1 times the control's",
		},
		{
			name: "no level", tally: half(1000, 0), terms: evidence.Terms{BakeOver: true},
			verdict: evidence.Inconclusive, cause: evidence.NoLevel,
			explains: "5xx not judged: no valid level was set",
		},
		{
			name: "a peak that is not a number", peak: math.NaN(), terms: evidence.Terms{Alpha: 0.0005, BakeOver: true},
			verdict: evidence.Pass, cause: evidence.BakeOver,
			explains: "5xx 0 % of 0 candidate requests against 0 % of 0 control requests; evidence 1 < 2,000 at the end of the bake time",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := test.Judge(c.tally, c.peak, c.terms)
			if d.Verdict != c.verdict || d.Cause != c.cause {
				t.Errorf("verdict is %v by %v, want %v by %v", d.Verdict, d.Cause, c.verdict, c.cause)
			}
			if got := d.Explain("5xx"); got != c.explains {
				t.Errorf("explains\n%s\nwant\n%s", got, c.explains)
			}
			assertSurvivesJSON(t, d)
		})
	}
}

func assertSurvivesJSON(t *testing.T, d evidence.Decision) {
	t.Helper()
	encoded, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var back evidence.Decision
	if err := json.Unmarshal(encoded, &back); err != nil {
		t.Fatal(err)
	}
	if back != d {
		t.Errorf("%s came back as %+v", encoded, back)
	}
}

func TestAbsoluteGate(t *testing.T) {
	t.Parallel()
	cases := []struct {
		gate     evidence.AbsoluteGate
		arm      evidence.Arm
		verdict  evidence.Verdict
		cause    evidence.Cause
		explains string
	}{
		{
			evidence.DefaultAbsoluteGate(),
			evidence.Arm{Requests: 19, Bad: 19},
			evidence.Inconclusive, evidence.TooFewForLimit,
			"5xx not judged: 19 of 20 candidate requests",
		},
		{
			evidence.DefaultAbsoluteGate(),
			evidence.Arm{Requests: 20, Bad: 10},
			evidence.Fail, evidence.LimitReached,
			"5xx 50 % of 20 candidate requests, at or above the limit of 50 %; there is no control",
		},
		{
			evidence.DefaultAbsoluteGate(),
			evidence.Arm{Requests: 20, Bad: 9},
			evidence.Pass, evidence.WithinLimit,
			"5xx 45 % of 20 candidate requests, below the limit of 50 %; there is no control",
		},
		{
			evidence.AbsoluteGate{Limit: 0.05},
			evidence.Arm{},
			evidence.Inconclusive, evidence.TooFewForLimit,
			"5xx not judged: 0 of 1 candidate requests",
		},
		{
			evidence.AbsoluteGate{Limit: math.NaN()},
			evidence.Arm{Requests: 50, Bad: 50},
			evidence.Inconclusive, evidence.NoLevel,
			"5xx not judged: no valid level was set",
		},
	}
	for _, c := range cases {
		d := c.gate.Judge(c.arm)
		if d.Verdict != c.verdict || d.Cause != c.cause || d.Explain("5xx") != c.explains {
			t.Errorf("%+v: %v by %v: %s", c.arm, d.Verdict, d.Cause, d.Explain("5xx"))
		}
		assertSurvivesJSON(t, d)
	}
}

func TestExplainFormatsNumbersForPeople(t *testing.T) {
	t.Parallel()
	explain := func(bad, requests uint64, logEvidence float64) string {
		return evidence.Decision{
			Candidate:   evidence.Arm{Requests: requests, Bad: bad},
			LogEvidence: logEvidence, LogThreshold: math.Log(4000),
		}.Explain("5xx")
	}
	for _, c := range []struct {
		bad, requests uint64
		logEvidence   float64
		want          []string
	}{
		{1, 40_310, math.Log(0.0125), []string{"0.0025 % of 40,310 ", "evidence 0.013 <"}},
		{999_999, 1_000_000, -5000, []string{"99.99 % of 1,000,000 ", "evidence 3.4e-2172 <"}},
		{1, 3, 9000, []string{"33 % of 3 ", "evidence 4.5e3908 <"}},
		{999, 10_000, math.Log(999.6), []string{"10 % of 10,000 ", "evidence 1,000 <"}},
		{994, 100_000, math.Log(9.96), []string{"0.99 % of 100,000 ", "evidence 10 <"}},
		{996, 100_000, math.Log(9.96e6), []string{"1 % of 100,000 ", "evidence 1.0e7 <"}},
		{3, 2, 0, []string{"150 % of 2 ", "evidence 1 < 4,000"}},
	} {
		for _, want := range c.want {
			if got := explain(c.bad, c.requests, c.logEvidence); !strings.Contains(got, want) {
				t.Errorf("%q does not contain %q", got, want)
			}
		}
	}
}

func TestNamesOfVerdictsAndCauses(t *testing.T) {
	t.Parallel()
	if evidence.Fail.String() != "fail" || evidence.BakeOver.String() != "bake_over" {
		t.Errorf("names are %v and %v", evidence.Fail, evidence.BakeOver)
	}
	if got := evidence.Verdict(99).String(); got != "unknown(99)" {
		t.Errorf("an unknown verdict is %q", got)
	}
	var v evidence.Verdict
	if err := v.UnmarshalText([]byte("maybe")); err == nil {
		t.Error("an unknown verdict was read")
	}
}
