package agent

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/dataplane/agent/journal"
	"tidegate.dev/dataplane/guard"
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// onCompiled activates what was compiled, unless something newer came or the agent dropped the candidate meanwhile.
func (a *Agent) onCompiled(ctx context.Context, o outcome) {
	a.working = false
	if next := a.next; next != nil {
		a.next = nil
		o.release()
		a.onDesired(ctx, next)
		return
	}
	refusal := o.errors
	if refusal == nil {
		refusal = a.admit(o.desired)
	}
	if refusal != nil {
		o.release()
		a.refuse(ctx, o.desired, refusal)
		return
	}
	a.waiting = &o
	a.activateIfReady(ctx)
}

// activateIfReady activates what waits, when the fast lane is held as far as it needs.
func (a *Agent) activateIfReady(ctx context.Context) {
	o := a.waiting
	if o == nil || a.journal.State().LaneSequence < needs(o.desired) {
		return
	}
	a.waiting = nil
	if !proto.Equal(o.desired, a.journal.State().Desired) {
		if err := a.journal.Append(journal.DesiredRecord(o.desired)); err != nil {
			o.release()
			a.refuse(ctx, o.desired, problem("journal", err))
			return
		}
	}
	a.install(ctx, o.serving(), o.desired)
	a.refused, a.draining = "", o.desired.GetDrain()
	a.log.InfoContext(ctx, "serving", "epoch", o.desired.GetEpoch(), "generation", o.desired.GetGeneration(),
		"stable", o.desired.GetStable().GetRevision(), "candidate", o.desired.GetCandidate().GetRevision(),
		"share_ppm", o.desired.GetCandidateSharePpm())
	a.acknowledge(o.desired, agentv1.Acknowledgement_STATUS_SERVING, nil)
}

// needs is how far the fast lane must be held for a state.
func needs(desired *agentv1.DesiredState) int64 {
	return max(desired.GetStable().GetLaneSequence(), desired.GetCandidate().GetLaneSequence())
}

func (a *Agent) dropWaiting() {
	if a.waiting != nil {
		a.waiting.release()
		a.waiting = nil
	}
}

// install serves what is new, watches its candidate, and puts a revision that was not served before on probation. Nothing is
// swapped when nothing differs, so that the arms of telemetry go on.
func (a *Agent) install(ctx context.Context, next serving, desired *agentv1.DesiredState) {
	before := a.serving
	a.serving = next
	a.countUnits(desired)
	if a.previewed || next.installation() != before.installation() {
		if fresh := next.rootsNotIn(before); before.stable.snapshot != nil && len(fresh) > 0 {
			a.startProbation(ctx, fresh)
		}
		a.previewed = a.journal.ReadOnly() && next.sticky.By != snapshot.NotSticky
		next.retain() // for the installer
		a.config.Installer.Install(next.installation())
	}
	before.release()
	a.watch(ctx, desired)
}

// rootsNotIn lists the contents that are served now and were not before.
func (s serving) rootsNotIn(before serving) []string {
	var fresh []string
	for _, one := range []*arm{&s.stable, s.candidate} {
		if one != nil && !before.holdsRoot(one.reference) {
			fresh = append(fresh, rootText(one.reference))
		}
	}
	return fresh
}

// watch has the guard judge the candidate, if a coin is thrown.
func (a *Agent) watch(ctx context.Context, desired *agentv1.DesiredState) {
	if a.serving.candidate == nil || desired.GetGuard() == nil || a.serving.rolloutID == "" {
		a.guard.Rest()
		return
	}
	err := a.guard.Watch(guard.Candidate{
		RolloutID: a.serving.rolloutID,
		Root:      rootText(a.serving.candidate.reference),
		Tolerance: desired.GetGuard().GetTolerance(),
		Threshold: desired.GetGuard().GetThreshold(),
		NewRoutes: newRoutes(a.serving.stable.snapshot.Content(), a.serving.candidate.snapshot.Content()),
		Routes:    a.serving.stable.snapshot.Routes(),
		Sticky:    a.serving.sticky.By != snapshot.NotSticky,
		Expected:  expectedOf(desired.GetGuard()),
	}, time.Now())
	if err != nil {
		a.guard.Rest()
		a.log.ErrorContext(ctx, "the candidate is not judged by this agent", "error", err)
	}
}

// expectedOf is what the change means to bring about.
func expectedOf(terms *agentv1.Guard) []guard.Expected {
	var expected []guard.Expected
	for _, one := range terms.GetExpectations() {
		expected = append(expected, guard.Expected{Route: one.GetRoute(), Reason: one.GetReason(), Share: one.GetMaxPercent() / 100})
	}
	return expected
}

// newRoutes are the routes that only the candidate has.
func newRoutes(stable, candidate *revision.Content) map[string]bool {
	routes := make(map[string]bool)
	for _, r := range revision.Diff(stable, candidate).Upserts {
		if r.Kind != configv1.Kind_KIND_ROUTE {
			continue
		}
		if _, _, inStable := stable.Get(r.Key); !inStable {
			routes[r.Name] = true
		}
	}
	return routes
}

// lookShare is which part of a processor the guard may take: one over this.
const lookShare = 25

// sweepInterval is how often requests that run are looked at, so that those that hang are seen.
const sweepInterval = 100 * time.Millisecond

// onLook lets the guard judge, and ends a candidate that has been without a control plane for too long. It returns when to
// look again: soon, since each look that comes later costs failed requests, but not so soon that looking is all it does.
func (a *Agent) onLook(ctx context.Context, now time.Time) (again time.Duration) {
	if a.probation.isOver(now) {
		a.probation.end()
	}
	if a.serving.candidate == nil {
		return a.config.GuardInterval
	}
	if now.Sub(a.swept) >= sweepInterval {
		a.swept = now
		a.config.Counters.Sweep(a.baseline.Lines(), now)
	}
	finding := a.guard.Look(now)
	a.keepEvidence(ctx, now)
	switch {
	case finding != nil:
		a.dropCandidate(ctx, finding)
	case !a.away.IsZero() && now.Sub(a.away) >= a.config.DeadMan:
		a.suspendCandidate(ctx)
	}
	return max(a.config.GuardInterval, lookShare*time.Since(now))
}

// dropCandidate goes back to stable, remembers it for good and tells the control plane, in this order.
func (a *Agent) dropCandidate(ctx context.Context, finding *guard.Finding) {
	dropped := &agentv1.DroppedRevision{
		Revision: a.serving.candidate.reference.GetRevision(), RolloutId: finding.RolloutID, Reason: finding.Explanation,
	}
	a.config.Installer.DropCandidate(finding.RolloutID, finding.Explanation)
	a.forgetCandidate()
	a.log.ErrorContext(ctx, "candidate dropped", "revision", dropped.GetRevision(), "rollout", finding.RolloutID,
		"reason", finding.Explanation, "after", finding.After.String())
	a.remember(ctx, dropped)
	failure := &agentv1.ResourceError{Code: "evidence", Message: finding.Explanation}
	if finding.Route != "" {
		failure.Resource = "routes/" + finding.Route
	}
	a.acknowledge(a.journal.State().Desired, agentv1.Acknowledgement_STATUS_DROPPED, []*agentv1.ResourceError{failure})
}

// suspendCandidate goes back to stable until the control plane is there again and still wants the candidate.
func (a *Agent) suspendCandidate(ctx context.Context) {
	const reason = "no control plane for too long"
	a.log.WarnContext(ctx, "candidate suspended", "revision", a.serving.candidate.reference.GetRevision(), "reason", reason)
	a.config.Installer.DropCandidate(a.serving.rolloutID, reason)
	a.forgetCandidate()
}

func (a *Agent) forgetCandidate() {
	a.serving.candidate.snapshot.Release()
	a.serving.candidate, a.serving.sharePPM, a.serving.shadowPPM, a.serving.rolloutID = nil, 0, 0, ""
	a.serving.sticky = snapshot.Stickiness{}
	a.guard.Rest()
}

// remember keeps that a revision must not be served again.
func (a *Agent) remember(ctx context.Context, dropped *agentv1.DroppedRevision) {
	record := journal.DroppedRecord(dropped)
	if err := a.journal.Append(record); err != nil {
		a.log.ErrorContext(ctx, "dropped revision not kept on the disk", "revision", dropped.GetRevision(), "error", err)
		if err := a.journal.Amend(record); err != nil {
			a.log.ErrorContext(ctx, "dropped revision", "revision", dropped.GetRevision(), "error", err)
		}
	}
}
