package proxy

import (
	"net/http"
	"testing"
	"time"

	"tidegate.dev/dataplane/guard"
	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
)

// A policy of the candidate panics: each request that met it is answered, stable's requests are not touched, and the agent's own judge
// finds the candidate out by what was counted.
func TestACandidateWhosePolicyPanicsIsFoundOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	up := server(t, echo("up"))
	stable, candidate := r.compile(simple(up.URL), nil), r.compile(simple(up.URL), nil)
	breakRoute(t, candidate, "/x", plugin.Transformation)
	r.proxy.Install(snapshot.Installation{Stable: stable, Candidate: candidate, SharePPM: 500_000, RolloutID: "7"})
	judge := guard.New(r.counters, telemetry.NewBaseline(r.counters))
	if err := judge.Watch(guard.Candidate{RolloutID: "7", Routes: 1, Threshold: 2 * 40 / 0.01}, time.Now()); err != nil {
		t.Fatal(err)
	}
	answered := map[string]int{}
	for range 400 {
		got := r.get("/x")
		answered[got.reason()]++
		if bad := got.StatusCode == http.StatusInternalServerError; bad != (got.reason() == "internal") || !bad && got.StatusCode != http.StatusOK {
			t.Fatalf("answered %d with reason %q", got.StatusCode, got.reason())
		}
		if finding := judge.Look(time.Now()); finding != nil {
			if finding.Metric != "gateway.internal" || answered[""] == 0 {
				t.Errorf("after %v: %+v", answered, finding)
			}
			return
		}
	}
	t.Errorf("nobody finds out: %v", answered)
}
