package proxy

import (
	"math/rand/v2"
	"net/http"
	"strings"

	"tidegate.dev/dataplane/plugin"
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
)

// shadow is what a candidate would decide about the exchange.
type shadow struct {
	rolloutID string
	decision  snapshot.Decision
	// live is what stable decides if its policies let the request pass.
	live snapshot.Decision
}

// think asks the candidate what it would decide, of a sample of requests while a rollout is in its shadow step. It comes before
// the live decision, which takes from limits and takes keys out of the header.
func (x *exchange) think() *shadow {
	g := x.generation
	if g == nil || g.ShadowPPM == 0 || g.Candidate == nil || x.proxy.shadows == nil || rand.Uint32N(certain) >= g.ShadowPPM {
		return nil
	}
	header := make(http.Header, x.header.Len())
	x.header.CopyTo(header)
	s := &shadow{rolloutID: g.RolloutID, decision: g.Candidate.Decide(snapshot.Question{
		Method: x.method, Host: x.Host, RawPath: x.Path, RawQuery: strings.TrimPrefix(x.query, "?"),
		Header: header, Client: x.Client, At: x.Started,
	})}
	if route, ok := x.snapshot.Match(x.Host, x.Method, x.Path, (*fields)(x), nil); ok {
		s.live = route.Decision()
	}
	return s
}

// compare counts what the candidate thought beside what was decided.
func (x *exchange) compare(s *shadow, verdict plugin.Verdict) {
	if s == nil {
		return
	}
	live := s.live
	if verdict.Refused() {
		live = snapshot.Decision{Route: x.Route, Reason: verdict.Reason}
	}
	var difference telemetry.ShadowDifference
	if !live.Agrees(s.decision) {
		difference = telemetry.ShadowDifference{
			StableRoute: live.Route, StableDecision: live.String(),
			CandidateRoute: s.decision.Route, CandidateDecision: s.decision.String(),
		}
	}
	x.proxy.shadows.Record(s.rolloutID, s.decision.Route, difference, func() string { return x.method + " " + x.Path })
}
