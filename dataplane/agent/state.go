package agent

import (
	"context"
	"fmt"

	"tidegate.dev/dataplane/snapshot"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// arm is a revision that is served, with the agent's own reference to its snapshot.
type arm struct {
	reference *agentv1.RevisionReference
	snapshot  *snapshot.Snapshot
}

// serving is what the agent gave to the installer.
type serving struct {
	stable    arm
	candidate *arm
	sharePPM  uint32
	shadowPPM uint32
	rolloutID string
	sticky    snapshot.Stickiness
}

func (s serving) installation() snapshot.Installation {
	installation := snapshot.Installation{Stable: s.stable.snapshot}
	if s.candidate != nil {
		installation.Candidate, installation.SharePPM, installation.RolloutID = s.candidate.snapshot, s.sharePPM, s.rolloutID
		installation.ShadowPPM, installation.Sticky = s.shadowPPM, s.sticky
	}
	return installation
}

// find gives the arm that serves a revision already.
func (s serving) find(reference *agentv1.RevisionReference) *snapshot.Snapshot {
	for _, a := range []*arm{&s.stable, s.candidate} {
		if a != nil && a.snapshot != nil && a.reference.GetRevision() == reference.GetRevision() && sameRoot(a.reference, reference) {
			return a.snapshot
		}
	}
	return nil
}

// holdsRoot says whether a content is served, under whatever number.
func (s serving) holdsRoot(reference *agentv1.RevisionReference) bool {
	return s.stable.snapshot != nil && sameRoot(s.stable.reference, reference) ||
		s.candidate != nil && sameRoot(s.candidate.reference, reference)
}

func (s serving) retain() {
	for _, one := range s.snapshots() {
		one.Retain()
	}
}

func (s serving) release() {
	for _, one := range s.snapshots() {
		one.Release()
	}
}

func (s serving) snapshots() (all []*snapshot.Snapshot) {
	if s.stable.snapshot != nil {
		all = append(all, s.stable.snapshot)
	}
	if s.candidate != nil {
		all = append(all, s.candidate.snapshot)
	}
	return all
}

// stableOf is what a state wants as stable; before the first revision that is the empty content.
func stableOf(desired *agentv1.DesiredState) *agentv1.RevisionReference {
	if desired.GetStable() == nil {
		return &agentv1.RevisionReference{}
	}
	return desired.GetStable()
}

// onSignedState takes a desired state that was received.
func (a *Agent) onSignedState(ctx context.Context, signed *agentv1.Signed) {
	desired := new(agentv1.DesiredState)
	if err := a.config.Identity.Current().Open(signed, desired); err != nil {
		a.refuse(ctx, new(agentv1.DesiredState), problem("signature", err))
		return
	}
	a.onDesired(ctx, desired)
}

// onDesired begins the work on a state, or keeps it until the work under way is done. The newest waits; one that it
// overtakes is never served.
func (a *Agent) onDesired(ctx context.Context, desired *agentv1.DesiredState) {
	if refusal := a.admit(desired); refusal != nil {
		a.refuse(ctx, desired, refusal)
		return
	}
	if a.working {
		a.next = desired
		return
	}
	a.begin(desired)
}

// admit says what is wrong with a state before any work on it; nil: nothing.
func (a *Agent) admit(desired *agentv1.DesiredState) []*agentv1.ResourceError {
	identity, state := a.config.Identity.Current(), a.journal.State()
	if desired.GetFleet() != identity.Fleet || desired.GetAgentId() != identity.AgentID {
		return problem("identity", fmt.Errorf("the state is for the agent %q of the fleet %q", desired.GetAgentId(), desired.GetFleet()))
	}
	if isOlder(desired, state.Desired) {
		return problem("stale_generation", fmt.Errorf("(%d, %d) is older than (%d, %d), which was accepted",
			desired.GetEpoch(), desired.GetGeneration(), state.Desired.GetEpoch(), state.Desired.GetGeneration()))
	}
	if a.pin != nil {
		return problem("pinned", fmt.Errorf("an operator pinned this agent to revision %d", a.pin.Revision))
	}
	if refusal := a.admitRevisions(desired); refusal != nil {
		return refusal
	}
	for _, reference := range []*agentv1.RevisionReference{stableOf(desired), desired.GetCandidate()} {
		if reference == nil {
			continue
		}
		if _, held := a.journal.State().Content(reference.GetRoot()); !held {
			return a.missing(reference)
		}
	}
	return nil
}

func isOlder(a, b *agentv1.DesiredState) bool {
	if a.GetEpoch() != b.GetEpoch() {
		return a.GetEpoch() < b.GetEpoch()
	}
	return a.GetGeneration() < b.GetGeneration()
}

// admitRevisions refuses what this agent dropped by itself: a candidate that it judged bad, and, as candidate or stable,
// what it died of.
func (a *Agent) admitRevisions(desired *agentv1.DesiredState) []*agentv1.ResourceError {
	if desired.GetEpoch() > a.journal.State().Desired.GetEpoch() {
		return nil // the numbers mean other revisions
	}
	for _, dropped := range a.journal.State().Dropped {
		died := dropped.GetRolloutId() == ""
		switch {
		case desired.GetCandidate() != nil && dropped.GetRevision() == desired.GetCandidate().GetRevision():
			return problem("dropped", fmt.Errorf("this agent dropped revision %d: %s", dropped.GetRevision(), dropped.GetReason()))
		case died && dropped.GetRevision() == desired.GetStable().GetRevision():
			return problem("crash_loop", fmt.Errorf("revision %d: %s", dropped.GetRevision(), dropped.GetReason()))
		}
	}
	return nil
}

func (a *Agent) missing(reference *agentv1.RevisionReference) []*agentv1.ResourceError {
	if a.failed.revision == reference.GetRevision() && a.failed.err != nil {
		return problem(a.failed.code, a.failed.err)
	}
	return problem("content_missing", fmt.Errorf("the content of revision %d is not held", reference.GetRevision()))
}

// refuse keeps what is served and says why.
func (a *Agent) refuse(ctx context.Context, desired *agentv1.DesiredState, errors []*agentv1.ResourceError) {
	a.refused = errors[0].GetCode() + ": " + errors[0].GetMessage()
	a.log.ErrorContext(ctx, "desired state refused", "epoch", desired.GetEpoch(), "generation", desired.GetGeneration(),
		"code", errors[0].GetCode(), "resource", errors[0].GetResource(), "message", errors[0].GetMessage(), "errors", len(errors))
	a.acknowledge(desired, agentv1.Acknowledgement_STATUS_REFUSED, errors)
}

func (a *Agent) acknowledge(desired *agentv1.DesiredState, status agentv1.Acknowledgement_Status, errors []*agentv1.ResourceError) {
	a.publish() // whoever hears of it may ask
	a.link.send(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Acknowledgement{
		Acknowledgement: &agentv1.Acknowledgement{
			Epoch: desired.GetEpoch(), Generation: desired.GetGeneration(),
			Status: status, Errors: errors, Serving: a.servingMessage(),
		},
	}})
}

func problem(code string, err error) []*agentv1.ResourceError {
	return []*agentv1.ResourceError{{Code: code, Message: err.Error()}}
}
