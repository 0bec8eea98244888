package rollout

import "time"

// How often the sums are kept: at most once a second, and not before the rollout is a sixty-fourth older than at the reading before.
// So even a rollout of a week is read some 650 times, and the moment of anything in it is known to about two percent.
const (
	readEvery    = time.Second
	readFraction = 64
)

// reading is what is kept of the sums with a change, which is written anyway; nil: nothing.
func (s State) reading(change Change) *Reading {
	counted := s.counted()
	if change.Rollout.ID != s.Rollout.ID || counted == 0 {
		return nil
	}
	ends := change.Rollout.Step != s.Rollout.Step || change.Ending != NoEnding
	due := s.Read.At.Add(max(readEvery, change.Now.Sub(s.Rollout.StartedAt)/readFraction))
	if !ends && (counted == s.Read.Counted || change.Now.Before(due)) {
		return nil
	}
	reading := &Reading{Number: s.Read.Number + 1, At: change.Now, Step: s.Rollout.Step, Counted: counted}
	for _, sum := range s.Sums {
		if ends || sum.Route == "" || s.expects(sum.Route) {
			reading.Sums = append(reading.Sums, s.read(sum))
		}
	}
	return reading
}

func (s State) read(sum Sum) ReadSum {
	read := ReadSum{Sum: sum}
	for _, fresh := range s.NewRoutes {
		if sum.Route == "" && fresh.Metric == sum.Metric && fresh.Units == sum.Units && fresh.SharePPM == sum.SharePPM {
			read.NewCandidate, read.NewControl = fresh.Candidate, fresh.Control
		}
	}
	return read
}

// expects says whether the change means to bring something about on a route: that is taken out of the totals, so both are kept at
// the same moments.
func (s State) expects(route string) bool {
	for _, expected := range s.Rollout.Expected {
		if expected.Route == route {
			return true
		}
	}
	return false
}

// counted is what all totals come to together.
func (s State) counted() (counted int64) {
	for _, sum := range s.Sums {
		if sum.Route == "" {
			counted += sum.Candidate + sum.Control
		}
	}
	return counted
}
