package proxy

import (
	"net/http"
	"testing"

	"tidegate.dev/dataplane/snapshot"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// A candidate begins with stable's windows, changes nothing of them, and hands over its own when it is promoted.
func TestWindowsOfARollout(t *testing.T) {
	t.Parallel()
	broken := true
	up := server(t, func(w http.ResponseWriter, _ *http.Request) {
		if broken {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	r := newRig(t, nil)
	r.proxy.upstreams = r.registry
	all := resources{
		"services/up": &configv1.Service{
			Url: up.URL, CircuitBreaker: &configv1.CircuitBreaker{ConsecutiveFailures: 3, Open: "1h"},
		},
		"routes/all": route("up", "/**"),
	}
	open := func() bool { return r.get("/x").reason() == "circuit_open" }
	stable := r.compile(all, nil)
	r.proxy.Install(snapshot.Installation{Stable: stable})
	for range 2 {
		r.get("/x")
	}
	stable.Retain()
	candidate := r.compile(all, stable)
	candidate.Retain()
	r.proxy.Install(snapshot.Installation{Stable: stable, Candidate: candidate, SharePPM: certain, RolloutID: "one"})
	if r.get("/x"); !open() {
		t.Error("the candidate does not know of stable's two failures")
	}
	stable.Retain()
	r.proxy.Install(snapshot.Installation{Stable: stable, Candidate: candidate, SharePPM: 0, RolloutID: "one"})
	broken = false
	if open() {
		t.Error("the candidate's breaker is stable's")
	}
	candidate.Retain()
	r.proxy.Install(snapshot.Installation{Stable: candidate})
	if !open() {
		t.Error("the candidate's breaker did not become stable's")
	}
}
