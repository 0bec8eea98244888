package simulation

import "tidegate.dev/proto/evidence"

// judge holds every comparison that one guard, or the fleet's judge, looks at.
type judge struct {
	levels  evidence.Levels
	routes  int
	totals  []evidence.Evidence // by metric
	single  []evidence.Evidence // by metric and route
	changed []changed
}

// changed is a comparison that has news since the last look.
type changed struct {
	comparison *evidence.Evidence
	alpha      float64
}

func newJudge(s evidence.Spending, levels evidence.Levels) judge {
	return judge{
		levels: levels,
		routes: s.Routes,
		totals: make([]evidence.Evidence, s.Metrics),
		single: make([]evidence.Evidence, s.Metrics*s.Routes),
	}
}

func (j *judge) add(metric, route int, share *evidence.Share, candidate, control uint64) {
	total := &j.totals[metric]
	total.Add(share, candidate, control)
	j.changed = append(j.changed, changed{total, j.levels.Total})
	if j.routes > 0 {
		one := &j.single[metric*j.routes+route]
		one.Add(share, candidate, control)
		j.changed = append(j.changed, changed{one, j.levels.Route})
	}
}

// look says whether any comparison fails the candidate.
func (j *judge) look() bool {
	failed := false
	for _, c := range j.changed {
		failed = failed || c.comparison.Exceeds(c.alpha)
	}
	j.changed = j.changed[:0]
	return failed
}
