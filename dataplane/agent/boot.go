package agent

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/dataplane/agent/journal"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

func (a *Agent) openJournal(ctx context.Context) error {
	if err := a.actions.read(); err != nil {
		a.log.ErrorContext(ctx, "local commands of an earlier process not read", "error", err)
	}
	return a.takeJournal(ctx, journal.Open)
}

// takeJournal opens the journal one way or the other, and takes up what in it stands for itself.
func (a *Agent) takeJournal(ctx context.Context, open func(journal.Config) (*journal.Journal, journal.Recovery, error)) error {
	identity := a.config.Identity.Current()
	j, recovery, err := open(journal.Config{StateDir: a.config.StateDir, Fleet: identity.Fleet, AgentID: identity.AgentID})
	if err != nil {
		return err
	}
	a.journal = j
	log := a.log.With("generation", recovery.Generation, "records", recovery.Records)
	for _, found := range recovery.Problems {
		log.ErrorContext(ctx, "journal damaged", "problem", found)
	}
	if recovery.CutBytes > 0 {
		log.WarnContext(ctx, "journal had a torn end", "bytes", recovery.CutBytes)
	}
	state := j.State()
	if state.KeyHashKey != nil {
		a.config.Lane.SetKeyHashKey(state.KeyHashKey)
	}
	a.setTicketSecret(ctx, state.SessionTicketSecret)
	if err := a.config.Lane.Apply(state.Lane()); err != nil {
		log.ErrorContext(ctx, "fast lane from the disk", "error", err)
	}
	return nil
}

// resume serves what was served before the process ended, and if that cannot be, the stable revision, and then the one
// before that.
func (a *Agent) resume(ctx context.Context) {
	if a.journal.State().Desired == nil {
		return
	}
	if !a.journal.ReadOnly() {
		a.retreat(ctx)
	}
	a.readPin(ctx)
	for _, state := range a.resumable() {
		if a.resumeWith(ctx, state) {
			return
		}
	}
	a.log.ErrorContext(ctx, "nothing on the disk can be served")
}

// retreat looks at how the last processes ended, and condemns the revisions that they died of.
func (a *Agent) retreat(ctx context.Context) {
	mark := a.probation.died()
	if mark.Deaths == 0 {
		return
	}
	state := a.journal.State()
	reason := fmt.Sprintf("the agent died %d times within %s of taking it", mark.Deaths, a.config.Probation)
	desired := state.Desired
	if mark.condemns(desired.GetCandidate()) {
		a.condemn(ctx, desired.GetCandidate(), desired.GetRolloutId(), reason)
	}
	if mark.condemns(desired.GetStable()) && state.PreviousStable != nil {
		a.condemn(ctx, desired.GetStable(), "", reason)
	}
	if mark.Deaths >= fatalDeaths {
		a.probation.end()
		return
	}
	a.log.WarnContext(ctx, "the process before died soon after it took a revision", "deaths", mark.Deaths)
	if err := a.probation.start(mark.Roots, mark.Deaths, time.Now().Add(a.config.Probation)); err != nil {
		a.log.WarnContext(ctx, "probation not marked", "error", err)
	}
}

func (a *Agent) condemn(ctx context.Context, reference *agentv1.RevisionReference, rolloutID, reason string) {
	a.log.ErrorContext(ctx, "revision given up", "revision", reference.GetRevision(), "reason", reason)
	a.remember(ctx, &agentv1.DroppedRevision{Revision: reference.GetRevision(), RolloutId: rolloutID, Reason: reason})
}

// resumable lists what may be served from the disk, the best first.
func (a *Agent) resumable() []*agentv1.DesiredState {
	state := a.journal.State()
	var all []*agentv1.DesiredState
	if a.pin != nil {
		all = append(all, a.pin.state(state.Desired))
	}
	if a.admitRevisions(state.Desired) == nil {
		all = append(all, state.Desired)
	}
	stable := proto.CloneOf(state.Desired)
	stable.Candidate, stable.CandidateSharePpm, stable.RolloutId = nil, 0, ""
	if state.Desired.GetCandidate() != nil && a.admitRevisions(stable) == nil {
		all = append(all, stable)
	}
	if state.PreviousStable != nil {
		before := proto.CloneOf(stable)
		before.Stable = state.PreviousStable
		all = append(all, before)
	}
	return all
}

func (a *Agent) resumeWith(ctx context.Context, desired *agentv1.DesiredState) bool {
	began := time.Now()
	o := a.newJob(desired).run(ctx, a)
	if o.errors != nil {
		o.release()
		a.log.ErrorContext(ctx, "revision on the disk cannot be served", "stable", desired.GetStable().GetRevision(),
			"candidate", desired.GetCandidate().GetRevision(), "error", o.errors[0].GetMessage())
		return false
	}
	a.install(ctx, o.serving(), desired)
	a.draining = desired.GetDrain()
	a.log.InfoContext(ctx, "serving from the disk", "stable", desired.GetStable().GetRevision(),
		"candidate", desired.GetCandidate().GetRevision(), "took", time.Since(began).String())
	return true
}
