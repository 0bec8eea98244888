package evidence_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"tidegate.dev/proto/evidence"
)

func TestIntervalAgreesWithTheEvidence(t *testing.T) {
	t.Parallel()
	const alpha = 0.001
	test := newTest(t, evidence.Config{})
	reached := 0
	for candidateBad := uint64(0); candidateBad < 60; candidateBad++ {
		tally := evidence.Tally{
			{SharePPM: 10_000, Candidate: evidence.Arm{Bad: candidateBad / 4}, Control: evidence.Arm{Bad: 100}},
			{SharePPM: 500_000, Candidate: evidence.Arm{Bad: candidateBad}, Control: evidence.Arm{Bad: 10}},
		}
		weighed := test.Weigh(tally)
		fails := weighed.Exceeds(alpha)
		interval := test.Interval(tally, alpha)
		if fails {
			reached++
		}
		if above := interval.Lower > test.Tolerance(); above != fails {
			t.Errorf("%d bad: the evidence reached the threshold: %v, the interval begins at %v", candidateBad, fails, interval.Lower)
		}
		if interval.Lower >= interval.Upper {
			t.Errorf("%d bad: the interval %v is empty", candidateBad, interval)
		}
	}
	if reached == 0 || reached == 60 {
		t.Errorf("%d of 60 cases reached the threshold: the trial says nothing", reached)
	}
}

func TestIntervalWithoutInformationIsEverything(t *testing.T) {
	t.Parallel()
	test := newTest(t, evidence.Config{})
	everything := evidence.Interval{Lower: 0, Upper: math.Inf(1)}
	for name, got := range map[string]evidence.Interval{
		"no data":   test.Interval(nil, 0.01),
		"no coin":   test.Interval(evidence.Tally{{SharePPM: 0, Control: evidence.Arm{Bad: 50}}}, 0.01),
		"no level":  test.Interval(evidence.Tally{batch(50, 50, 50, 50)}, 0),
		"one alone": test.Interval(evidence.Tally{batch(1, 0, 1, 1)}, 0.01),
	} {
		if got != everything {
			t.Errorf("%s: %v", name, got)
		}
	}
	onlyCandidate := test.Interval(evidence.Tally{batch(50, 50, 50, 0)}, 0.01)
	if onlyCandidate.Lower <= 1 || !math.IsInf(onlyCandidate.Upper, 1) {
		t.Errorf("only bad candidate requests: %v", onlyCandidate)
	}
	onlyControl := test.Interval(evidence.Tally{batch(50, 0, 5000, 5000)}, 0.01)
	if onlyControl.Lower != 0 || onlyControl.Upper >= 1 {
		t.Errorf("only bad control requests: %v", onlyControl)
	}
}

func TestIntervalHoldsAtAllTimesAtOnce(t *testing.T) {
	t.Parallel()
	const alpha, runs, looks = 0.05, 100, 30
	test := newTest(t, evidence.Config{})
	for _, ratio := range []float64{0.5, 1, 3} {
		missed := 0
		for run := range runs {
			rng := rand.New(rand.NewPCG(7, uint64(run)))
			if intervalEverMisses(test, rng, ratio, alpha, looks) {
				missed++
			}
		}
		if share := float64(missed) / runs; share > 2*alpha {
			t.Errorf("ratio %v: missed at some time in %v of the runs, more than %v", ratio, share, 2*alpha)
		}
	}
}

func intervalEverMisses(test *evidence.Test, rng *rand.Rand, ratio, alpha float64, looks int) bool {
	var tally evidence.Tally
	shares := []uint32{10_000, 100_000, 500_000}
	for look := range looks {
		b := evidence.Batch{SharePPM: shares[look*len(shares)/looks]}
		for range 20 {
			if rng.Float64() < candidateProbability(b.SharePPM, ratio) {
				b.Candidate.Bad++
			} else {
				b.Control.Bad++
			}
		}
		tally.Add(b)
		if i := test.Interval(tally, alpha); ratio < i.Lower || ratio > i.Upper {
			return true
		}
	}
	return false
}

func TestIntervalClosesInOnTheTruth(t *testing.T) {
	t.Parallel()
	test := newTest(t, evidence.Config{})
	// Twice as many: at a share of one half, two of three are the candidate's.
	tally := evidence.Tally{{SharePPM: 500_000, Candidate: evidence.Arm{Bad: 200_000}, Control: evidence.Arm{Bad: 100_000}}}
	i := test.Interval(tally, 0.001)
	if i.Lower < 1.7 || i.Lower > 2 || i.Upper < 2 || i.Upper > 2.1 {
		t.Errorf("the interval of a ratio of 2 is %v", i)
	}
}

func TestIntervalAsJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		interval evidence.Interval
		want     string
	}{
		{evidence.Interval{Lower: 0.5, Upper: 2}, `{"lower":0.5,"upper":2}`},
		{evidence.Interval{Lower: 0, Upper: math.Inf(1)}, `{"lower":0,"upper":null}`},
	} {
		encoded, err := json.Marshal(c.interval)
		if err != nil || string(encoded) != c.want {
			t.Errorf("%v is %s (%v), want %s", c.interval, encoded, err, c.want)
		}
		var back evidence.Interval
		if err := json.Unmarshal(encoded, &back); err != nil || back != c.interval {
			t.Errorf("%s came back as %v (%v)", encoded, back, err)
		}
	}
}

func BenchmarkInterval(b *testing.B) {
	test := newTest(b, evidence.Config{})
	tally := evidence.Tally{batch(500, 10, 49_500, 100)}
	b.ReportAllocs()
	for b.Loop() {
		_ = test.Interval(tally, 0.001)
	}
}

func BenchmarkJudge(b *testing.B) {
	test := newTest(b, evidence.Config{})
	tally := evidence.Tally{batch(500, 1, 49_500, 100)}
	b.ReportAllocs()
	for b.Loop() {
		_ = test.Judge(tally, 0, evidence.Terms{Alpha: 0.001, MinimumRequests: 200})
	}
}

// The probability that a candidate at the tolerance is ever shown to be no worse is computed, not sampled, as that of a false alarm
// is.
func TestProbabilityOfEverShowingTooMuchIsAtMostAlpha(t *testing.T) {
	t.Parallel()
	const alpha, steps = 0.05, 600
	test := newTest(t, evidence.Config{})
	for _, share := range []uint32{10_000, 100_000, 500_000, 950_000} {
		p := candidateProbability(share, test.Tolerance())
		alive := []float64{1} // alive[k]: not yet shown, k bad ones in the candidate
		shown := 0.0
		for n := 1; n <= steps; n++ {
			next := make([]float64, n+1)
			for k, mass := range alive {
				next[k] += mass * (1 - p)
				next[k+1] += mass * p
			}
			for k, mass := range next {
				// The fewer are the candidate's, the more is shown: above the first that is not shown, none is.
				if !test.ShowsNoWorse(evidence.Tally{{SharePPM: share, Candidate: evidence.Arm{Bad: uint64(k)}, Control: evidence.Arm{Bad: uint64(n - k)}}}, alpha) {
					break
				}
				shown += mass
				next[k] = 0
			}
			alive = next
		}
		if shown > alpha {
			t.Errorf("share %d ppm: shown with probability %v, more than %v", share, shown, alpha)
		}
		if share > 10_000 && shown < alpha/100 {
			t.Errorf("share %d ppm: shown with probability %v: the trial says nothing", share, shown)
		}
	}
}

func TestShowsNoWorseAgreesWithTheInterval(t *testing.T) {
	t.Parallel()
	const alpha = 0.01
	test := newTest(t, evidence.Config{})
	shown := 0
	for candidateBad := uint64(0); candidateBad < 200; candidateBad++ {
		tally := evidence.Tally{
			{SharePPM: 100_000, Candidate: evidence.Arm{Bad: candidateBad / 10}, Control: evidence.Arm{Bad: 100}},
			{SharePPM: 500_000, Candidate: evidence.Arm{Bad: candidateBad}, Control: evidence.Arm{Bad: 150}},
		}
		shows := test.ShowsNoWorse(tally, alpha)
		if shows {
			shown++
		}
		if upper := test.Interval(tally, alpha).Upper; shows != (upper < test.Tolerance()) {
			t.Errorf("%d bad: shows %v, the interval ends at %v", candidateBad, shows, upper)
		}
	}
	if shown == 0 || shown == 200 {
		t.Errorf("%d of 200 cases are shown: the trial says nothing", shown)
	}
	for _, level := range []float64{0, 1, -1, math.NaN()} {
		if test.ShowsNoWorse(evidence.Tally{{SharePPM: 500_000, Control: evidence.Arm{Bad: 1e6}}}, level) {
			t.Errorf("a level of %v shows something", level)
		}
	}
}
