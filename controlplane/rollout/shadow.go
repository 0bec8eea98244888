package rollout

import (
	"fmt"
	"math"
	"strings"

	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// shadowShown is how many differences are told in words.
const shadowShown = 3

// leaveShadow ends the step in which the candidate only decided. Whoever resumes it after it was held wants it to go on.
// awaited is a gate that has not passed in time; empty: there is none.
func (d *decision) leaveShadow(seen int64, enough bool, awaited string) []Action {
	step := d.step()
	unexpected := d.unexpected()
	share := float64(unexpected) / float64(max(seen, 1))
	if unexpected > 0 && share > step.MaxDifference && d.Rollout.Extensions == 0 {
		switch step.OnDifference {
		case onInconclusiveFail:
			return []Action{d.rollBack(d.Shadow.words() + ", and the strategy says fail")}
		case onInconclusiveHold:
			return []Action{StopClock{On: onHold, Why: d.Shadow.words() + "; held: promote, resume or abort it"}}
		}
	}
	switch {
	case awaited != "":
		return d.inconclusive(notPassed(awaited))
	case enough || d.step().MinimumSamples == 0:
		return d.leave(d.Shadow.words())
	case d.now.Before(d.deadline()):
		return nil
	}
	return d.leave(fmt.Sprintf("%s; %d were wanted", d.Shadow.words(), step.MinimumSamples))
}

// unexpected is how many samples differ in a way that the change did not say.
func (d *decision) unexpected() int64 {
	count := d.Shadow.Different
	for _, difference := range d.Shadow.Differences {
		for _, e := range d.Rollout.Expected {
			if e.Route == difference.CandidateRoute && e.Metric == gatewayPrefix+difference.CandidateDecision {
				count -= difference.Requests
			}
		}
	}
	return max(count, 0)
}

// words say what was found: "of 10,000 sampled requests 37 would be decided otherwise: 37 on route orders would become no_route
// (GET /v1/orders)".
func (s Shadow) words() string {
	if s.Different == 0 {
		return fmt.Sprintf("all of %d sampled requests would be decided as they are", s.Sampled)
	}
	var parts []string
	for _, d := range s.Differences[:min(len(s.Differences), shadowShown)] {
		where := "requests without a route"
		if d.StableRoute != "" {
			where = "on route " + d.StableRoute
		}
		parts = append(parts, fmt.Sprintf("%d %s would become %s instead of %s (%s)", d.Requests, where, d.CandidateDecision, d.StableDecision, d.Example))
	}
	return fmt.Sprintf("of %d sampled requests %d would be decided otherwise: %s", s.Sampled, s.Different, strings.Join(parts, "; "))
}

// Proposals are expectations that would cover the differences, for a change that means them. They leave room for chance.
func (s Shadow) Proposals() []*configv1.Expectation {
	var proposals []*configv1.Expectation
	for _, d := range s.Differences {
		if d.CandidateRoute == "" || strings.Contains(d.CandidateDecision, " ") || d.Sampled == 0 {
			continue
		}
		percent := math.Ceil(200 * float64(d.Requests) / float64(d.Sampled))
		proposals = append(proposals, &configv1.Expectation{Route: d.CandidateRoute, Reason: d.CandidateDecision, MaxPercent: min(max(percent, 1), 100)})
	}
	return proposals
}
