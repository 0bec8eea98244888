package main

import (
	"context"
	"fmt"
)

// rate is how many requests a second a scenario asks of a subject; 0 at saturation.
func (r *runner) rate(ctx context.Context, s scenario, x subject) (float64, error) {
	switch s.Load {
	case low:
		of := reference
		if r.indexOf(reference) < 0 {
			of = x.Name
		}
		saturated, err := r.saturation(ctx, s, of)
		return lowShare * saturated, err
	case half:
		of := x.Name
		if of == direct { // it gets what the first of the proxies gets, to show what that adds
			of = r.subjects[0].Name
		}
		saturated, err := r.saturation(ctx, s, of)
		return halfShare * saturated, err
	default:
		return 0, nil
	}
}

// saturation is what a subject can do at most where it is asked as in s: as the scenario says that measures this, or by a
// measurement of our own if that was not chosen.
func (r *runner) saturation(ctx context.Context, s scenario, name string) (float64, error) {
	s.Load, s.Rounds = saturation, 1
	for _, known := range allScenarios() {
		if found := r.results.find(known.Name, name); found != nil && len(found.Samples) > 0 && known.likeExceptLoad(s) {
			return spreadOf(found.values(rate)).Median, nil
		}
	}
	id := fmt.Sprintf("%s %d %t %s", s.Protocol, s.Cores, s.Policies, name)
	if r.found[id] > 0 {
		return r.found[id], nil
	}
	index := r.indexOf(name)
	if index < 0 {
		return 0, fmt.Errorf("%s is not measured, so its saturation is not known", name)
	}
	x := r.subjects[index]
	i, err := r.instance(ctx, x, s)
	if err != nil {
		return 0, err
	}
	measured, err := r.sample(ctx, r.request(s, x, i), i)
	if err != nil {
		return 0, fmt.Errorf("finding the saturation of %s: %w", name, err)
	}
	r.found[id] = measured.Rate
	return measured.Rate, nil
}

// likeExceptLoad reports whether s, at saturation, asks as this scenario does.
func (s scenario) likeExceptLoad(other scenario) bool {
	return s.Load == other.Load && s.Protocol == other.Protocol && s.Cores == other.Cores && s.Policies == other.Policies &&
		s.Large == other.Large && s.Upload == other.Upload && s.Handshakes == other.Handshakes && s.Routes == other.Routes
}
