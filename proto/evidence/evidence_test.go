package evidence_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tidegate.dev/proto/evidence"
)

func newTest(t testing.TB, c evidence.Config) *evidence.Test {
	t.Helper()
	test, err := evidence.NewTest(c)
	if err != nil {
		t.Fatal(err)
	}
	return test
}

// value is the evidence of one pair of counts.
func value(test *evidence.Test, sharePPM uint32, candidateBad, controlBad uint64) float64 {
	var e evidence.Evidence
	share := test.Share(sharePPM)
	e.Add(&share, candidateBad, controlBad)
	return math.Exp(e.LogValue())
}

// candidateProbability is p(r) of the package comment, written the plain way.
func candidateProbability(sharePPM uint32, ratio float64) float64 {
	rho := float64(sharePPM) / 1e6
	return ratio * rho / (ratio*rho + 1 - rho)
}

func TestEvidenceIsTheLikelihoodRatioAveragedOverAlternatives(t *testing.T) {
	t.Parallel()
	multiples := []float64{2, 10}
	test := newTest(t, evidence.Config{Tolerance: 1.1, Multiples: multiples})
	for _, share := range []uint32{100, 10_000, 500_000, 950_000} {
		const candidateBad, controlBad = 3, 5
		want := 0.0
		p0 := candidateProbability(share, 1.1)
		for _, m := range multiples {
			p1 := candidateProbability(share, 1.1*m)
			want += math.Pow(p1/p0, candidateBad) * math.Pow((1-p1)/(1-p0), controlBad) / 2
		}
		if got := value(test, share, candidateBad, controlBad); math.Abs(got/want-1) > 1e-9 {
			t.Errorf("share %d ppm: evidence is %v, want %v", share, got, want)
		}
	}
}

func TestExpectationUnderTheNullIsAtMostOne(t *testing.T) {
	t.Parallel()
	const tolerance = 1.1
	test := newTest(t, evidence.Config{Tolerance: tolerance})
	for _, share := range []uint32{1, 1000, 10_000, 250_000, 500_000, 950_000, 999_999} {
		for _, ratio := range []float64{0, 0.5, 1, tolerance} {
			for _, bad := range []int{1, 2, 5, 12} {
				p := candidateProbability(share, ratio)
				mean := 0.0
				for k := 0; k <= bad; k++ {
					mean += binomial(bad, k) * math.Pow(p, float64(k)) * math.Pow(1-p, float64(bad-k)) *
						value(test, share, uint64(k), uint64(bad-k))
				}
				if mean > 1+1e-9 {
					t.Errorf("share %d ppm, ratio %v, %d bad: expectation is %v, above 1", share, ratio, bad, mean)
				}
				if ratio == tolerance && math.Abs(mean-1) > 1e-9 {
					t.Errorf("share %d ppm, %d bad: at the tolerance the expectation is %v, not 1", share, bad, mean)
				}
			}
		}
	}
}

func binomial(n, k int) float64 {
	result := 1.0
	for i := 1; i <= k; i++ {
		result *= float64(n-k+i) / float64(i)
	}
	return result
}

// The probability that the evidence ever reaches 1/alpha is computed, not
// sampled: step by step over all numbers of bad candidate requests that have not
// reached it yet.
func TestProbabilityOfEverReachingTheThresholdIsAtMostAlpha(t *testing.T) {
	t.Parallel()
	const alpha, steps = 0.01, 600
	for _, tolerance := range []float64{1, 1.1} {
		test := newTest(t, evidence.Config{Tolerance: tolerance})
		for _, share := range []uint32{10_000, 100_000, 500_000, 950_000} {
			p := candidateProbability(share, tolerance)
			weights := test.Share(share)
			alive := []float64{1} // alive[k]: not yet reached, k bad ones in the candidate
			reached := 0.0
			for n := 1; n <= steps; n++ {
				next := make([]float64, n+1)
				for k, mass := range alive {
					next[k] += mass * (1 - p)
					next[k+1] += mass * p
				}
				for k, mass := range next {
					var e evidence.Evidence
					e.Add(&weights, uint64(k), uint64(n-k))
					if e.Exceeds(alpha) {
						reached += mass
						next[k] = 0
					}
				}
				alive = next
			}
			if reached > alpha {
				t.Errorf("tolerance %v, share %d ppm: reached with probability %v, more than %v", tolerance, share, reached, alpha)
			}
			if reached < alpha/100 {
				t.Errorf("tolerance %v, share %d ppm: reached with probability %v: the trial says nothing", tolerance, share, reached)
			}
		}
	}
}

func TestAddingIsExactInAnyOrderAndInAnyParts(t *testing.T) {
	t.Parallel()
	test := newTest(t, evidence.Config{})
	rng := rand.New(rand.NewPCG(1, 2))
	shares := []uint32{1, 10_000, 500_000, 999_999}
	batches := make([]evidence.Batch, 200)
	for i := range batches {
		batches[i] = evidence.Batch{
			SharePPM:  shares[rng.IntN(len(shares))],
			Candidate: evidence.Arm{Bad: rng.Uint64N(20)},
			Control:   evidence.Arm{Bad: rng.Uint64N(20)},
		}
	}
	var oneByOne, firstAgent, secondAgent evidence.Evidence
	var tally evidence.Tally
	for i, b := range batches {
		share := test.Share(b.SharePPM)
		oneByOne.Add(&share, b.Candidate.Bad, b.Control.Bad)
		if i%3 == 0 {
			firstAgent.Add(&share, b.Candidate.Bad, b.Control.Bad)
		} else {
			secondAgent.Add(&share, b.Candidate.Bad, b.Control.Bad)
		}
		tally.Add(b)
	}
	rng.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
	shuffled := test.Weigh(batches)
	summed := test.Weigh(tally)
	firstAgent.Merge(&secondAgent)

	want := oneByOne.LogValue()
	for name, got := range map[string]float64{
		"shuffled": shuffled.LogValue(), "summed by share": summed.LogValue(), "merged": firstAgent.LogValue(),
	} {
		if math.Abs(got-want) > 1e-8*math.Max(1, math.Abs(want)) {
			t.Errorf("%s: log evidence is %v, want %v", name, got, want)
		}
	}
}

func TestEvidenceGrowsWithCandidateAndFallsWithControl(t *testing.T) {
	t.Parallel()
	test := newTest(t, evidence.Config{})
	for _, share := range []uint32{1000, 100_000, 900_000} {
		for k := range uint64(30) {
			here := value(test, share, k, 10)
			if more := value(test, share, k+1, 10); more <= here {
				t.Errorf("share %d ppm: %d bad candidate requests weigh %v, one more %v", share, k, here, more)
			}
			if less := value(test, share, k, 11); less >= here {
				t.Errorf("share %d ppm: one more bad control request raises %v to %v", share, here, less)
			}
		}
	}
}

func TestShareWithoutSecondArmSaysNothing(t *testing.T) {
	t.Parallel()
	test := newTest(t, evidence.Config{})
	for _, share := range []uint32{0, evidence.WholePPM, evidence.WholePPM + 1, math.MaxUint32} {
		if got := value(test, share, math.MaxUint64, 1); got != 1 {
			t.Errorf("share %d ppm: evidence is %v, want 1", share, got)
		}
	}
	var tally evidence.Tally
	tally.Add(evidence.Batch{SharePPM: evidence.WholePPM, Candidate: evidence.Arm{Requests: 5, Bad: 5}})
	if len(tally) != 0 {
		t.Errorf("a batch without a control was tallied: %v", tally)
	}
}

func TestReachedEvidenceStaysReached(t *testing.T) {
	t.Parallel()
	test := newTest(t, evidence.Config{})
	share := test.Share(10_000)
	var e evidence.Evidence
	if e.Exceeds(0.01) || e.Peak() != 0 {
		t.Fatal("evidence without data reached the threshold")
	}
	e.Add(&share, 10, 0)
	if !e.Exceeds(0.001) {
		t.Fatalf("10 bad of 10 at a share of 1 %% gave only %v", e.LogValue())
	}
	e.Add(&share, 0, 100_000)
	if e.LogValue() > 0 || !e.Exceeds(0.001) {
		t.Errorf("the evidence is %v now and its peak %v: want it to stay reached", e.LogValue(), e.Peak())
	}
	for _, alpha := range []float64{0, 1, -1, 2, math.NaN(), math.Inf(1)} {
		if e.Exceeds(alpha) {
			t.Errorf("alpha %v: exceeded", alpha)
		}
	}
}

func TestMergeKeepsItsOwnPeak(t *testing.T) {
	t.Parallel()
	test := newTest(t, evidence.Config{})
	share := test.Share(10_000)
	var agent, fleet evidence.Evidence
	agent.Add(&share, 10, 0)
	agent.Look()
	agent.Add(&share, 0, 100_000)
	fleet.Merge(&agent)
	if fleet.Peak() != 0 || fleet.LogValue() != agent.LogValue() {
		t.Errorf("merged: peak %v, value %v; want 0 and %v", fleet.Peak(), fleet.LogValue(), agent.LogValue())
	}
}

func TestHugeCountsStayFinite(t *testing.T) {
	t.Parallel()
	test := newTest(t, evidence.Config{})
	batch := evidence.Batch{
		SharePPM:  1,
		Candidate: evidence.Arm{Requests: math.MaxUint64, Bad: math.MaxUint64},
		Control:   evidence.Arm{Requests: math.MaxUint64, Bad: math.MaxUint64},
	}
	var tally evidence.Tally
	tally.Add(batch)
	tally.Add(batch)
	if tally[0] != batch {
		t.Errorf("counts wrapped: %+v", tally[0])
	}
	weighed := test.Weigh(tally)
	if v := weighed.LogValue(); math.IsNaN(v) || math.IsInf(v, 0) {
		t.Errorf("log evidence is %v", v)
	}
}

func TestNewTestRefusesNonsense(t *testing.T) {
	t.Parallel()
	tooMany := make([]float64, evidence.MaxAlternatives+1)
	for i := range tooMany {
		tooMany[i] = float64(i + 2)
	}
	for name, c := range map[string]evidence.Config{
		"tolerance below one":      {Tolerance: 0.9},
		"tolerance not a number":   {Tolerance: math.NaN()},
		"tolerance infinite":       {Tolerance: math.Inf(1)},
		"multiple of one":          {Multiples: []float64{1}},
		"multiples not increasing": {Multiples: []float64{2, 2}},
		"multiple not a number":    {Multiples: []float64{2, math.NaN()}},
		"multiple too large":       {Multiples: []float64{1e7}},
		"too many multiples":       {Multiples: tooMany},
	} {
		if _, err := evidence.NewTest(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if got := newTest(t, evidence.Config{}).Tolerance(); got != evidence.DefaultTolerance {
		t.Errorf("default tolerance is %v", got)
	}
}

func TestTallyIsSortedAndMerges(t *testing.T) {
	t.Parallel()
	arm := func(requests, bad uint64) evidence.Arm { return evidence.Arm{Requests: requests, Bad: bad} }
	var a, b evidence.Tally
	a.Add(evidence.Batch{SharePPM: 500_000, Candidate: arm(10, 1), Control: arm(10, 2)})
	a.Add(evidence.Batch{SharePPM: 10_000, Candidate: arm(1, 0), Control: arm(99, 3)})
	b.Add(evidence.Batch{SharePPM: 500_000, Candidate: arm(5, 5), Control: arm(5, 0)})
	b.Merge(a)
	want := evidence.Tally{
		{SharePPM: 10_000, Candidate: arm(1, 0), Control: arm(99, 3)},
		{SharePPM: 500_000, Candidate: arm(15, 6), Control: arm(15, 2)},
	}
	if !slices.Equal(b, want) {
		t.Errorf("merged is %v, want %v", b, want)
	}
	candidate, control := b.Arms()
	if candidate != arm(16, 6) || control != arm(114, 5) {
		t.Errorf("arms are %v and %v", candidate, control)
	}
}

func TestBatchValidate(t *testing.T) {
	t.Parallel()
	valid := evidence.Batch{SharePPM: evidence.WholePPM, Candidate: evidence.Arm{Requests: 1, Bad: 1}}
	if err := valid.Validate(); err != nil {
		t.Error(err)
	}
	for name, b := range map[string]evidence.Batch{
		"share above one":           {SharePPM: evidence.WholePPM + 1},
		"more bad than in all":      {Candidate: evidence.Arm{Bad: 1}},
		"more bad control than all": {Control: evidence.Arm{Requests: 1, Bad: 2}},
	} {
		if b.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func BenchmarkAdd(b *testing.B) {
	test := newTest(b, evidence.Config{})
	share := test.Share(10_000)
	var e evidence.Evidence
	b.ReportAllocs()
	for b.Loop() {
		e.Add(&share, 1, 3)
	}
}

func BenchmarkLogValue(b *testing.B) {
	test := newTest(b, evidence.Config{})
	share := test.Share(10_000)
	var e evidence.Evidence
	e.Add(&share, 5, 20)
	b.ReportAllocs()
	for b.Loop() {
		_ = e.LogValue()
	}
}

func BenchmarkExceeds(b *testing.B) {
	test := newTest(b, evidence.Config{})
	share := test.Share(10_000)
	var e evidence.Evidence
	e.Add(&share, 5, 20)
	b.ReportAllocs()
	for b.Loop() {
		_ = e.Exceeds(1e-9)
	}
}

func BenchmarkShare(b *testing.B) {
	test := newTest(b, evidence.Config{})
	b.ReportAllocs()
	for b.Loop() {
		_ = test.Share(10_000)
	}
}
