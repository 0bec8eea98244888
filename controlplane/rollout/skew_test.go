package rollout_test

import (
	"testing"
	"time"

	"tidegate.dev/controlplane/rollout"
	"tidegate.dev/controlplane/store/storetest"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Postgres's clock is set by an hour, forth and back, in the middle of a step, and two controllers follow it: no lease, no agent and no
// step ends for it, and none is taken twice. The real statements are asked, with the real controllers.
func TestPostgresClockThatIsSetTakesNoStepTwice(t *testing.T) {
	t.Parallel()
	const bake = 2 * time.Second
	for name, ahead := range map[string]time.Duration{"an hour ahead": time.Hour, "an hour back": -time.Hour, "some minutes ahead": 5 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, set := storetest.OpenWithClock(t)
			f := newFleetOn(t, s)
			f.join("edge-1", "edge-2", "edge-3")
			for _, holder := range []string{"a", "b"} {
				f.goes(f.controller(holder).Run)
			}
			f.ends(f.publish("orders", "/orders", quick()), rollout.Completed)
			id := f.publish("orders", "/v2", &configv1.Strategy{Steps: []*configv1.Step{
				{Agents: 1, TrafficPercent: 10, Bake: bake.String()},
				{AgentsPercent: 100, TrafficPercent: 50, Bake: "150ms"},
				{AgentsPercent: 100, TrafficPercent: 100},
			}})
			f.reaches(id, "its agents serve the first step", func(d rollout.Detail) bool { return eventOf(d, "serving") })
			began := time.Now()
			set(ahead)
			if _, now, err := rollout.NewPostgres(s).Load(t.Context(), f.ID); err != nil || (time.Until(now)-ahead).Abs() > time.Minute {
				t.Fatalf("the clock says %s, %v", now, err)
			}
			f.reaches(id, "the second step", func(d rollout.Detail) bool { return d.Step == 1 })
			// The step was watched for its time by a clock that nobody sets: some of it may have passed before it was looked at.
			if took := time.Since(began); took < bake-time.Second {
				t.Errorf("the first step ended %s after the clock was set, want %s", took, bake)
			}
			detail := f.ends(id, rollout.Completed)
			taken := map[int]int{}
			for _, e := range detail.Events {
				if e.Type == "started" || e.Type == "step" {
					taken[e.Step]++
				}
			}
			for step := range 3 {
				if taken[step] != 1 {
					t.Errorf("step %d was taken %d times: %s", step, taken[step], typesOf(detail))
				}
			}
		})
	}
}

func eventOf(d rollout.Detail, kind string) bool {
	for _, e := range d.Events {
		if e.Type == kind {
			return true
		}
	}
	return false
}
