package rollout

import (
	"fmt"
	"time"
)

// maxExtensions bounds how often a step is prolonged before it is held.
const maxExtensions = 10

// joinersWithin is how long after the begin of the last step an agent may join and still be waited for. Later ones get the
// revision when it is stable, so that a fleet to which agents are added all the time comes to an end too.
const joinersWithin = 30 * time.Second

// progress goes on with a step that runs: begins its clock, ends it, and enters the next.
func (d *decision) progress() []Action {
	if d.Rollout.State != Running || !d.allServe() {
		return nil
	}
	if d.Rollout.ServingAt.IsZero() {
		served := fmt.Sprintf("%d agents serve %s", d.Rollout.Agents, d.stepName(d.Rollout.Step))
		if d.Rollout.Agents == 1 {
			served = "1 agent serves " + d.stepName(d.Rollout.Step)
		}
		return []Action{BeginClock{BaseRequests: d.candidateRequests(), Why: fmt.Sprintf("%s, %s after its begin", served, lengthOf(d.now.Sub(d.Rollout.StepAt)))}}
	}
	if d.Rollout.Promoted {
		return d.leave("promoted")
	}
	step := d.step()
	if d.now.Before(d.Rollout.ServingAt.Add(step.Bake)) {
		return d.passEarly()
	}
	awaited := d.awaited()
	if awaited != "" && d.now.Before(d.deadline()) {
		return nil
	}
	seen, enough := d.samples()
	switch {
	case step.ShadowPPM > 0:
		return d.leaveShadow(seen, enough, awaited)
	case awaited != "":
		return d.inconclusive(notPassed(awaited))
	case !d.countsSamples():
		return d.leave("")
	case enough:
		return d.leave(d.summary())
	case d.now.Before(d.deadline()):
		return nil
	}
	return d.inconclusive(fmt.Sprintf("not compared: %d of %d %s", seen, step.MinimumSamples, d.Plan.counted()))
}

// deadline is when the step must have seen enough.
func (d *decision) deadline() time.Time {
	return d.Rollout.ServingAt.Add(d.step().Maximum * time.Duration(1+d.Rollout.Extensions))
}

func (d *decision) inconclusive(why string) []Action {
	step := d.step()
	switch step.OnInconclusive {
	case onInconclusiveFail:
		return []Action{d.rollBack(why + ", and the strategy says fail")}
	case onInconclusiveHold:
		return []Action{StopClock{On: onHold, Why: why + "; held: promote, resume or abort it"}}
	case onInconclusiveExtend:
		if d.Rollout.Extensions >= maxExtensions {
			return []Action{StopClock{On: onHold, Why: fmt.Sprintf("%s after %d extensions; held: promote, resume or abort it", why, maxExtensions)}}
		}
		return []Action{ExtendStep{fmt.Sprintf("%s; the step goes on for another %s", why, step.Maximum)}}
	default:
		return d.leave(why + "; goes on, on agent gates alone")
	}
}

// leave ends the present step: with the next, or with the rollout.
func (d *decision) leave(why string) []Action {
	if !d.inLastStep() {
		return d.enter(d.following(), onAdvance, why, "", false)
	}
	if joiners := d.joiners(); len(joiners) > 0 {
		return []Action{AddMembers{joiners, fmt.Sprintf("%s joined during the last step", namesOf(joiners))}}
	}
	agents := "all agents serve"
	if d.Rollout.Agents == 1 {
		agents = "the agent serves"
	}
	return []Action{Complete{fmt.Sprintf("%s revision %d: it is stable now, %s after the rollout began",
		agents, d.Rollout.Revision, lengthOf(d.now.Sub(d.Rollout.StartedAt)))}}
}

func (d *decision) joiners() []Member {
	_, candidates := d.eligible()
	var early []Agent
	for _, agent := range candidates {
		if agent.ConnectedAt.Before(d.Rollout.StepAt.Add(joinersWithin)) {
			early = append(early, agent)
		}
	}
	return membersOf(early)
}

// countsSamples says whether the step must see requests: only where a coin is thrown is there anything to see.
func (d *decision) countsSamples() bool {
	return !d.inLastStep() && d.step().ShadowPPM == 0 && d.step().compares() && d.step().MinimumSamples > 0
}

// samples is how many candidate requests the step has seen, and whether they are enough.
func (d *decision) samples() (seen int64, enough bool) {
	if d.step().ShadowPPM > 0 {
		return d.Shadow.Sampled, d.Shadow.Sampled >= d.step().MinimumSamples
	}
	seen = max(d.candidateRequests()-d.Rollout.BaseRequests, 0) + d.candidateUnits()
	return seen, seen >= d.step().MinimumSamples
}

// candidateRequests is how many requests the candidate got at the present share, in the whole rollout.
func (d *decision) candidateRequests() int64 { return d.candidatesSeen(d.Rollout.SharePPM, false) }

// candidateUnits is how many units the candidate got since the coin was thrown at the present share. A unit counts once, so those
// that were seen in a step before of the same share are seen still.
func (d *decision) candidateUnits() int64 {
	if d.Plan.Sticky == "" {
		return 0
	}
	return d.candidatesSeen(d.Plan.freshShare(d.Rollout.SharePPM), true)
}

func (d *decision) candidatesSeen(share int32, units bool) int64 {
	for _, sum := range d.Sums {
		if sum.Metric == metricRequests && sum.Route == "" && sum.Units == units && sum.SharePPM == share {
			return sum.Candidate
		}
	}
	return 0
}
