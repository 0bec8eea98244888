package proxy

import (
	"io"
	"net/http"
	"testing"
	"time"

	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
)

// A candidate that makes requests hang is seen while they do.
func TestARequestThatHangsIsSlowBeforeItEnds(t *testing.T) {
	t.Parallel()
	hanging, release := make(chan struct{}, 1), make(chan struct{})
	fast := server(t, func(http.ResponseWriter, *http.Request) {})
	stuck := server(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/quick" {
			hanging <- struct{}{}
			<-release
		}
	})
	r := newRig(t, nil)
	stable := r.compile(simple(fast.URL), nil)
	candidate := r.compile(simple(stuck.URL), stable)
	const share = certain - 1 // as good as always
	r.proxy.Install(snapshot.Installation{Stable: stable, Candidate: candidate, SharePPM: share, RolloutID: "7"})

	// What stable took before, seen from a time at which the coin is not new any more.
	baseline := telemetry.NewBaseline(r.counters)
	before := r.counters.Open(telemetry.ArmKey{Revision: 1, Arm: stableArm}, 1)
	for range 1000 {
		before.Record(1, "all", 2, 0, time.Millisecond)
	}
	r.get("/quick")
	baseline.Update(time.Now().Add(-10 * time.Second))
	baseline.Update(time.Now())

	answered := make(chan error, 1)
	go func() {
		response, err := http.Get(r.url + "/stuck")
		if err == nil {
			_, err = io.Copy(io.Discard, response.Body)
			_ = response.Body.Close()
		}
		answered <- err
	}()
	<-hanging
	overdue := func() (all telemetry.Slower) {
		r.counters.EachOverdue(func(key telemetry.CellKey, slower telemetry.Slower) {
			if key.Arm != candidateArm || key.Route != "all" || key.RolloutID != "7" || key.SharePPM != share {
				t.Errorf("%v of %+v are slow", slower, key)
			}
			all = slower
		})
		return all
	}
	r.counters.Sweep(baseline.Lines(), time.Now().Add(time.Second))
	if got := overdue(); got[0] != 1 {
		t.Errorf("while one hangs %v are slow", got)
	}
	close(release)
	if err := <-answered; err != nil {
		t.Fatal(err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	aged := uint64(0)
	r.counters.Each(func(key telemetry.CellKey, requests uint64, _ *[telemetry.Buckets]uint64) {
		if key.Aged {
			aged += requests
		}
	})
	if got := overdue(); got[0] != 1 || aged != 1 {
		t.Errorf("when it has ended %v were slow and %d aged", got, aged)
	}
	r.proxy.Install(snapshot.Installation{})
}
