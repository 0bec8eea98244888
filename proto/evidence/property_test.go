package evidence_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"tidegate.dev/proto/evidence"
)

// properties tries a property on many random tallies; the seed of one that fails is told.
func properties(t *testing.T, try func(t *testing.T, rng *rand.Rand, tally evidence.Tally)) {
	t.Helper()
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(21, seed))
		try(t, rng, randomTally(rng))
		if t.Failed() {
			t.Fatalf("with seed %d", seed)
		}
	}
}

// randomTally has some shares, and counts from none to many.
func randomTally(rng *rand.Rand) evidence.Tally {
	var tally evidence.Tally
	for range 1 + rng.IntN(4) {
		scale := math.Pow(10, 3*rng.Float64())
		tally.Add(evidence.Batch{
			SharePPM:  1 + rng.Uint32N(evidence.WholePPM-1),
			Candidate: evidence.Arm{Requests: 5_000, Bad: uint64(scale * rng.Float64())},
			Control:   evidence.Arm{Requests: 5_000, Bad: uint64(scale * rng.Float64())},
		})
	}
	return tally
}

// with is the tally with some more bad requests at one of its shares.
func with(tally evidence.Tally, at int, candidate, control uint64) evidence.Tally {
	more := append(evidence.Tally(nil), tally...)
	more.Add(evidence.Batch{SharePPM: tally[at].SharePPM, Candidate: evidence.Arm{Bad: candidate}, Control: evidence.Arm{Bad: control}})
	return more
}

func atMost(a, b float64) bool { return a <= b+1e-9*math.Max(1, math.Abs(b)) }

// Whatever there was before and at whatever share: bad requests of the candidate speak against it, those of the control for it.
func TestBadRequestsSpeakAgainstTheirArm(t *testing.T) {
	t.Parallel()
	const alpha = 0.01
	test := newTest(t, evidence.Config{})
	properties(t, func(t *testing.T, rng *rand.Rand, tally evidence.Tally) {
		at, more := rng.IntN(len(tally)), 1+rng.Uint64N(20)
		worse, better := with(tally, at, more, 0), with(tally, at, 0, more)
		var values, lowers, uppers []float64
		var shown []bool
		for _, one := range []evidence.Tally{better, tally, worse} {
			weighed := test.Weigh(one)
			interval := test.Interval(one, alpha)
			values, lowers, uppers = append(values, weighed.LogValue()), append(lowers, interval.Lower), append(uppers, interval.Upper)
			shown = append(shown, test.ShowsNoWorse(one, alpha))
		}
		for i := range 2 {
			if !atMost(values[i], values[i+1]) || !atMost(lowers[i], lowers[i+1]) || !atMost(uppers[i], uppers[i+1]) || shown[i+1] && !shown[i] {
				t.Errorf("%v and %d more at %d: values %v, lower ends %v, upper ends %v, shown %v", tally, more, at, values, lowers, uppers, shown)
			}
		}
	})
}

// A batch may be cut where the share stands still, its parts may come in any order and from any agent, and what had no coin says
// nothing: evidence and interval are the same.
func TestOnlyTheSumsOfEachShareMatter(t *testing.T) {
	t.Parallel()
	const alpha = 0.01
	test := newTest(t, evidence.Config{})
	properties(t, func(t *testing.T, rng *rand.Rand, tally evidence.Tally) {
		parts := cut(rng, tally)
		rng.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
		agents := make([]evidence.Evidence, 3)
		var merged evidence.Tally
		for _, part := range parts {
			share := test.Share(part.SharePPM)
			agents[rng.IntN(len(agents))].Add(&share, part.Candidate.Bad, part.Control.Bad)
			merged.Add(part)
		}
		var fleet evidence.Evidence
		for i := range agents {
			fleet.Merge(&agents[i])
		}
		whole := test.Weigh(tally)
		if want := whole.LogValue(); !atMost(fleet.LogValue(), want) || !atMost(want, fleet.LogValue()) {
			t.Errorf("%v: agents together have %v, the sums %v", tally, fleet.LogValue(), want)
		}
		if got, want := fmt.Sprint(test.Interval(merged, alpha)), fmt.Sprint(test.Interval(tally, alpha)); got != want {
			t.Errorf("%v: the interval of the parts is %s, of the whole %s", tally, got, want)
		}
	})
}

// cut takes batches apart and puts some between them that say nothing.
func cut(rng *rand.Rand, tally evidence.Tally) []evidence.Batch {
	parts := []evidence.Batch{{SharePPM: evidence.WholePPM, Candidate: evidence.Arm{Requests: 9, Bad: 9}}, {Control: evidence.Arm{Requests: 9, Bad: 9}}}
	for _, b := range tally {
		for b.Candidate.Bad+b.Control.Bad > 0 {
			part := evidence.Batch{SharePPM: b.SharePPM}
			part.Candidate.Bad, part.Control.Bad = rng.Uint64N(b.Candidate.Bad+1), rng.Uint64N(b.Control.Bad+1)
			if rng.IntN(4) == 0 {
				part = b
			}
			b.Candidate.Bad -= part.Candidate.Bad
			b.Control.Bad -= part.Control.Bad
			parts = append(parts, part)
		}
	}
	return parts
}

// The surer one wants to be, the less is said.
func TestASmallerAlphaSaysLess(t *testing.T) {
	t.Parallel()
	test := newTest(t, evidence.Config{})
	properties(t, func(t *testing.T, rng *rand.Rand, tally evidence.Tally) {
		alpha := 0.5 * rng.Float64()
		wide, narrow := test.Interval(tally, alpha/10), test.Interval(tally, alpha)
		if !atMost(wide.Lower, narrow.Lower) || !atMost(narrow.Upper, wide.Upper) {
			t.Errorf("%v: at %v the interval is %v, at a tenth of it %v", tally, alpha, narrow, wide)
		}
		weighed := test.Weigh(tally)
		if weighed.Exceeds(alpha/10) && !weighed.Exceeds(alpha) || test.ShowsNoWorse(tally, alpha/10) && !test.ShowsNoWorse(tally, alpha) {
			t.Errorf("%v: a tenth of %v decides what %v does not", tally, alpha, alpha)
		}
		if weighed.Exceeds(alpha) && test.ShowsNoWorse(tally, alpha) {
			t.Errorf("%v: both worse and no worse at %v", tally, alpha)
		}
	})
}
