package rollout

import (
	"fmt"
	"slices"
	"time"

	"tidegate.dev/proto/evidence"
)

// Trial is a gate that is tried on rollouts that have ended, alone: it replaces all that judged them.
type Trial struct {
	// Compares: a comparison is tried. Tolerance and Alpha are each rollout's own where they are 0, Metrics are all where it is empty.
	Compares         bool
	Tolerance, Alpha float64
	Metrics          []string
	Objectives       []Objective
}

// Differences that a gate makes to what really happened.
const (
	differenceNone = "none"
	// differenceTakenBack: it went through, and would not have.
	differenceTakenBack = "taken_back"
	// differenceKept: it was rolled back, and the gate had not failed by then.
	differenceKept = "kept"
)

// How exactly the moment of a failure is known.
const (
	// MomentReading: it lies between two moments at which the sums were kept.
	MomentReading = "reading"
	// MomentStep: it lies within a step.
	MomentStep = "step"
	// MomentEnd: only the sums at the end show it.
	MomentEnd = "end"
)

// Outcome is what a gate would have done to a rollout.
type Outcome struct {
	Verdict evidence.Verdict
	// Difference to what really happened.
	Difference string
	// Gate that failed, "comparison" or "objective", and of what. Empty if none did.
	Gate, Metric, Route string
	Explanation         string
	// When it failed: the step, how long after the rollout began, after how many candidate requests, and how exactly that is known.
	Step              int
	After             time.Duration
	CandidateRequests int64
	Moment            string
	// Moments is how many the gate was tried at.
	Moments int
}

// moment is a state as it was, and how exactly it is known when.
type moment struct {
	state State
	at    time.Time
	kind  string
}

// Try says what the gate would have done to a rollout that has ended, by its sums at the end and the readings that were kept before.
func (t Trial) Try(ended State, readings []Reading) Outcome {
	if ended.Rollout.StableRevision == 0 {
		return Outcome{Difference: differenceNone, Explanation: "the first revision has nothing to be compared with"}
	}
	if ended.counted() == 0 {
		return Outcome{Difference: differenceNone, Explanation: "nothing was compared: no request was given to one of two arms"}
	}
	moments := momentsOf(ended, readings)
	var verdicts []Verdict
	var last Outcome
	for _, m := range moments {
		m.state.Plan, m.state.Verdicts = t.planOf(ended.Plan), verdicts
		looked := newDecision(m.at, m.state)
		if last = t.look(looked); last.Verdict == evidence.Fail {
			last.Moment, last.Step, last.After = m.kind, m.state.Rollout.Step, m.at.Sub(ended.Rollout.StartedAt)
			if m.kind == MomentReading && last.Route != "" && !ended.expects(last.Route) {
				last.Moment = MomentStep // the sums of routes are kept at the ends of steps alone
			}
			break
		}
		verdicts = after(verdicts, looked.looked) // with their peaks: what once failed stays failed, and who has a place keeps it
	}
	last.Moments = len(moments)
	return last.beside(ended.Rollout)
}

// after is what is known of each comparison when some of them were looked at again.
func after(known, looked []Verdict) []Verdict {
	again := make(map[comparison]bool, len(looked))
	for _, verdict := range looked {
		again[comparison{verdict.Route, verdict.Metric}] = true
	}
	all := slices.Clone(looked)
	for _, verdict := range known {
		if !again[comparison{verdict.Route, verdict.Metric}] {
			all = append(all, verdict)
		}
	}
	return all
}

// planOf is a strategy with this gate for all others. Its steps have no time of their own: whoever has ended has baked.
func (t Trial) planOf(had Plan) Plan {
	plan := had
	plan.Steps = slices.Clone(had.Steps)
	for i := range plan.Steps {
		plan.Steps[i].Bake = 0
	}
	if t.Tolerance > 0 {
		plan.Tolerance = t.Tolerance
	}
	if t.Alpha > 0 {
		plan.Alpha = t.Alpha
	}
	plan.Gates = nil
	return plan
}

// look tries the gate at one moment.
func (t Trial) look(d *decision) Outcome {
	outcome := Outcome{CandidateRequests: d.allCandidateRequests()}
	if t.Compares {
		d.roughly = true
		if len(t.Metrics) > 0 {
			d.only = map[string]bool{}
			for _, metric := range t.Metrics {
				d.only[metric] = true
			}
		}
		d.judge()
		if worst := d.worst(); worst.Verdict != "" {
			outcome.Verdict, outcome.Gate, outcome.Metric, outcome.Route = evidence.Fail, "comparison", worst.Metric, worst.Route
			outcome.Explanation = worst.Explanation
			return outcome
		}
		for _, verdict := range d.looked {
			outcome.weigh(verdict.Verdict == evidence.Pass.String(), verdict.Explanation)
		}
		if len(d.looked) == 0 {
			outcome.Explanation = "nothing was counted of what the gate compares"
		}
	}
	for _, objective := range t.Objectives {
		decision := d.objective(objective)
		words := d.Plan.explain(decision, comparison{objective.Route, objective.Metric}.label())
		if decision.Verdict == evidence.Fail {
			return Outcome{
				Verdict: evidence.Fail, Gate: "objective", Metric: objective.Metric, Route: objective.Route, Explanation: words,
				CandidateRequests: outcome.CandidateRequests,
			}
		}
		outcome.weigh(decision.Verdict == evidence.Pass, words)
	}
	return outcome
}

// weigh counts a part of the gate that has not failed: one that passed is enough, and its words are shown before others'.
func (o *Outcome) weigh(passed bool, words string) {
	if o.Explanation == "" || passed && o.Verdict != evidence.Pass {
		o.Explanation = words
	}
	if passed {
		o.Verdict = evidence.Pass
	}
}

// beside holds the outcome against what really happened. A rollout that ended before the gate failed may have failed later.
func (o Outcome) beside(really Rollout) Outcome {
	o.Difference = differenceNone
	switch {
	case o.Verdict == evidence.Fail && really.State == Completed:
		o.Difference = differenceTakenBack
	case o.Verdict == evidence.Fail:
	case really.State == RolledBack:
		o.Verdict, o.Difference = evidence.Inconclusive, differenceKept
		o.Explanation = "had not failed when it was rolled back; what would have come then is not known: " + o.Explanation
	case really.State != Completed:
		o.Verdict = evidence.Inconclusive
		o.Explanation = fmt.Sprintf("had not failed when it was %s; what would have come then is not known: %s", really.State, o.Explanation)
	}
	return o
}

// allCandidateRequests is how many requests the candidate had got, at all shares.
func (d *decision) allCandidateRequests() (requests int64) {
	for _, sum := range d.Sums {
		if sum.Metric == metricRequests && sum.Route == "" {
			requests += sum.Candidate
		}
	}
	return requests
}
