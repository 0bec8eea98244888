package evidence_test

import (
	"math/rand/v2"
	"testing"

	"tidegate.dev/proto/evidence"
)

func TestExpected(t *testing.T) {
	t.Parallel()
	for _, each := range []struct {
		name     string
		expected evidence.Expected
		arm      evidence.Arm
		want     evidence.Verdict
	}{
		{"too few requests", 0.05, evidence.Arm{Requests: 19, Bad: 19}, evidence.Inconclusive},
		{"as expected", 0.05, evidence.Arm{Requests: 1000, Bad: 50}, evidence.Pass},
		{"twice as many", 0.05, evidence.Arm{Requests: 1000, Bad: 100}, evidence.Fail},
		{"all, and a few were expected", 0.05, evidence.Arm{Requests: 20, Bad: 20}, evidence.Fail},
		{"all, as expected", 1, evidence.Arm{Requests: 1000, Bad: 1000}, evidence.Pass},
		{"nothing was expected", 0, evidence.Arm{Requests: 1000, Bad: 1}, evidence.Inconclusive},
	} {
		if got := each.expected.Judge(each.arm); got.Verdict != each.want {
			t.Errorf("%s: %s (%s), want %s", each.name, got.Verdict, got.Cause, each.want)
		}
	}
}

func TestAChangeThatDoesWhatItSaidIsRarelyTakenBack(t *testing.T) {
	t.Parallel()
	coin := rand.New(rand.NewPCG(1, 2))
	failed := 0
	const runs = 400
	for range runs {
		var arm evidence.Arm
		for range 5000 {
			arm.Requests++
			if coin.Float64() < 0.05 {
				arm.Bad++
			}
			if arm.Requests%10 == 0 && evidence.Expected(0.05).Judge(arm).Verdict == evidence.Fail {
				failed++
				break
			}
		}
	}
	if failed > runs/50 {
		t.Errorf("%d of %d were taken back, looked at 500 times each", failed, runs)
	}
}
