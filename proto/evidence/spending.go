package evidence

import (
	"errors"
	"fmt"
)

// Spending divides the false-alarm probability of one rollout. It is fixed when
// the rollout begins, from what will be compared at most, and does not change
// from step to step.
//
// Half goes to the judge of the whole fleet; the other half is shared equally
// by the agents, each of which looks at its own traffic alone. Each judge gives
// half of its part to the totals over all routes and half to the single routes,
// so that a fleet of ten thousand routes still finds quickly what breaks all of
// them. Within each half, every comparison gets the same (Bonferroni).
type Spending struct {
	// Alpha is the probability that a rollout of a harmless candidate fails by
	// any comparison: above 0, below 1.
	Alpha float64
	// Agents is the most agents that may hold the candidate, at least 1.
	Agents int
	// Metrics is the number of metrics that may fail a rollout, at least 1.
	Metrics int
	// Routes is the number of routes that are also compared one by one; 0 if
	// only totals are.
	Routes int
}

// Levels are the alphas of single comparisons of one judge.
type Levels struct {
	// Total is for one metric over all routes.
	Total float64
	// Route is for one metric on one route; 0, which never fails, when no
	// single routes are compared.
	Route float64
}

// Validate says all that is wrong with the division.
func (s Spending) Validate() error {
	var problems []error
	if !validLevel(s.Alpha) {
		problems = append(problems, fmt.Errorf("alpha %v is not between 0 and 1", s.Alpha))
	}
	if s.Agents < 1 {
		problems = append(problems, fmt.Errorf("%d agents are fewer than 1", s.Agents))
	}
	if s.Metrics < 1 {
		problems = append(problems, fmt.Errorf("%d metrics are fewer than 1", s.Metrics))
	}
	if s.Routes < 0 {
		problems = append(problems, fmt.Errorf("%d routes are fewer than 0", s.Routes))
	}
	return errors.Join(problems...)
}

// Fleet returns the levels of the fleet's judge.
func (s Spending) Fleet() Levels { return s.levels(s.Alpha / 2) }

// Agent returns the levels of each agent's guard.
func (s Spending) Agent() Levels {
	if s.Agents < 1 {
		return Levels{}
	}
	return s.levels(s.Alpha / 2 / float64(s.Agents))
}

// levels divides one judge's part. A division that does not validate gets
// levels of 0, which never fail anything.
func (s Spending) levels(part float64) Levels {
	if s.Validate() != nil {
		return Levels{}
	}
	metrics, routes := float64(s.Metrics), float64(s.Routes)
	if s.Routes == 0 {
		return Levels{Total: part / metrics}
	}
	return Levels{Total: part / 2 / metrics, Route: part / 2 / metrics / routes}
}
