package evidence_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"tidegate.dev/proto/evidence"
)

func TestFreshShare(t *testing.T) {
	t.Parallel()
	for _, each := range []struct{ share, settled, want uint32 }{
		{100_000, 0, 100_000},
		{100_000, 10_000, 90_910}, // 9 of 99
		{500_000, 100_000, 444_445},
		{500_000, 500_000, 0},
		{100_000, 500_000, 0},
		{evidence.WholePPM, 500_000, evidence.WholePPM},
		{0, 0, 0},
	} {
		if got := evidence.FreshShare(each.share, each.settled); got != each.want {
			t.Errorf("%d after %d: %d, want %d", each.share, each.settled, got, each.want)
		}
	}
}

// Units that are bad whatever the arm are not held against a candidate that takes them step by step: every one is counted once a
// step, by the coin that was thrown anew. Counted by the share alone they would be: who had the candidate at one step has it at the
// next with certainty.
func TestNestedSharesRaiseNoFalseAlarm(t *testing.T) {
	t.Parallel()
	const rollouts, units, alpha = 2_000, 30, 0.01
	shares := []uint32{10_000, 20_000, 50_000, 100_000, 200_000, 400_000, 600_000, 950_000}
	test := newTest(t, evidence.Config{Tolerance: 1})
	coin := rand.New(rand.NewPCG(7, 7))
	alarms := map[bool]int{}
	for range rollouts {
		var places [units]uint32
		for i := range places {
			places[i] = coin.Uint32N(evidence.WholePPM)
		}
		for _, anew := range []bool{true, false} {
			var sum evidence.Evidence
			settled := uint32(0)
			for _, share := range shares {
				ppm := share
				if anew {
					ppm = evidence.FreshShare(share, settled)
				}
				weights := test.Share(ppm)
				for _, place := range places {
					switch {
					case anew && place < settled:
					case place < share:
						sum.Add(&weights, 1, 0)
					default:
						sum.Add(&weights, 0, 1)
					}
					sum.Look()
				}
				settled = share
			}
			if sum.Exceeds(alpha) {
				alarms[anew]++
			}
		}
	}
	limit := rollouts*alpha + 4*math.Sqrt(rollouts*alpha)
	if float64(alarms[true]) > limit {
		t.Errorf("%d false alarms of %d, at most %.0f", alarms[true], rollouts, limit)
	}
	if float64(alarms[false]) <= limit {
		t.Errorf("counted by the share alone there are only %d false alarms: this test shows nothing", alarms[false])
	}
	t.Logf("false alarms of %d: %d with fresh shares, %d without", rollouts, alarms[true], alarms[false])
}
