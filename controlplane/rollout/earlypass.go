package rollout

import (
	"fmt"
	"math"

	"tidegate.dev/proto/evidence"
)

// minimumToShow is how many requests must be bad by a metric, in both arms together, before the metric is asked whether the
// candidate is shown to be no worse. Fewer can show nothing; of them it is asked only that they do not point at the candidate.
const minimumToShow = 20

// passEarly ends a step before its bake time is over, if its strategy lets it and everything that is compared shows the candidate
// to be within the tolerance. Whoever else has a say must have said pass: the strategy's gates, and what has no control.
func (d *decision) passEarly() []Action {
	step := d.step()
	if !step.EarlyPass || d.inLastStep() || !step.compares() || step.ShadowPPM > 0 || d.judging == nil {
		return nil
	}
	if _, enough := d.samples(); !enough || d.awaited() != "" || !d.gatesPass() {
		return nil
	}
	shown, ok := d.judging.shownNoWorse()
	if !ok {
		return nil
	}
	return d.leave(fmt.Sprintf("passed early, after %s of %s: %s", lengthOf(d.now.Sub(d.Rollout.ServingAt)), lengthOf(step.Bake), shown))
}

// gatesPass says whether every gate of the strategy that acts says pass: here, no answer is none.
func (d *decision) gatesPass() bool {
	views, _ := d.askGates()
	for _, view := range views {
		if !view.DryRun && view.Verdict != evidence.Pass.String() {
			return false
		}
	}
	return true
}

// shownNoWorse says whether every comparison that is asked shows the candidate to be within the tolerance, and in words how
// clearly. Asked are 5xx in total always, and whatever else the judge compares, in total and by route, with minimumToShow bad
// requests. All must agree, so a candidate that is worse by any of them gets through with a probability of at most alpha, undivided.
func (j *judging) shownNoWorse() (words string, ok bool) {
	asked, least, leastClear := 0, -1.0, comparison{}
	for _, c := range j.comparisons() {
		verdict := j.compare(c)
		if c.metric == metricErrors || j.expected[c] > 0 {
			if verdict.Verdict != evidence.Pass.String() {
				return "", false
			}
			continue
		}
		if verdict.LogEvidence > 0 {
			return "", false
		}
		always := c == comparison{"", metricUpstream5xx}
		if !always && verdict.CandidateBad+verdict.ControlBad < minimumToShow {
			continue
		}
		tally := j.tally(c)
		if !j.test.ShowsNoWorse(tally, j.Plan.Alpha) {
			return "", false
		}
		asked++
		if upper := j.test.Interval(tally, j.Plan.Alpha).Upper; upper > least {
			least, leastClear = upper, c
		}
	}
	if asked > 1 {
		return fmt.Sprintf("shown to be no worse in each of %d comparisons, least clearly in %s: %s", asked, leastClear.label(), j.below(least)), true
	}
	return fmt.Sprintf("shown to be no worse in %s: %s", leastClear.label(), j.below(least)), true
}

// below writes the upper end of a ratio that lies below the tolerance, cut and not rounded, so that it never reads as the same.
func (j *judging) below(upper float64) string {
	return fmt.Sprintf("upper end %g < %g", math.Floor(upper*1000)/1000, j.test.Tolerance())
}
