package agent

import (
	"context"
	"errors"
)

// Status is what the agent is doing, for people and for readiness.
type Status struct {
	AgentID string `json:"agent_id"`
	Fleet   string `json:"fleet"`
	BootID  string `json:"boot_id"`
	// Connected says that the control plane welcomed the agent on a stream that is open.
	Connected bool `json:"connected"`
	// Configured says that a revision is served.
	Configured bool `json:"configured"`
	// Draining says that the control plane wants nothing new to come here.
	Draining          bool   `json:"draining"`
	Pinned            bool   `json:"pinned"`
	StableRevision    int64  `json:"stable_revision"`
	CandidateRevision int64  `json:"candidate_revision,omitempty"`
	CandidateSharePPM uint32 `json:"candidate_share_ppm,omitempty"`
	RolloutID         string `json:"rollout_id,omitempty"`
	Epoch             int64  `json:"epoch"`
	Generation        int64  `json:"generation"`
	LaneSequence      int64  `json:"lane_sequence"`
	// Refused is why the last desired state was refused; empty after one that serves.
	Refused string `json:"refused,omitempty"`
	// Dropped are the revisions that this agent will not serve again.
	Dropped []Dropped `json:"dropped,omitempty"`
}

// Dropped is a revision that the agent took back by itself.
type Dropped struct {
	Revision int64  `json:"revision"`
	Reason   string `json:"reason"`
}

// Status is the present one. It may be called from any goroutine.
func (a *Agent) Status() Status { return *a.status.Load() }

// publish makes the loop's state visible to others.
func (a *Agent) publish() {
	identity, state := a.config.Identity.Current(), a.journal.State()
	s := &Status{
		AgentID: identity.AgentID, Fleet: identity.Fleet, BootID: a.bootID,
		Connected: a.welcomed, Configured: a.serving.stable.snapshot != nil, Draining: a.draining, Pinned: a.pin != nil,
		StableRevision: a.serving.stable.reference.GetRevision(), CandidateSharePPM: a.serving.sharePPM,
		RolloutID: a.serving.rolloutID, Epoch: state.Desired.GetEpoch(), Generation: state.Desired.GetGeneration(),
		LaneSequence: state.LaneSequence, Refused: a.refused,
	}
	if a.serving.candidate != nil {
		s.CandidateRevision = a.serving.candidate.reference.GetRevision()
	}
	for _, d := range state.Dropped {
		s.Dropped = append(s.Dropped, Dropped{d.GetRevision(), d.GetReason()})
	}
	a.status.Store(s)
}

// ask is a command from another goroutine, done in the loop.
type ask struct {
	do     func(context.Context) error
	answer chan error
}

// inLoop has the loop do something, and waits for it.
func (a *Agent) inLoop(ctx context.Context, do func(context.Context) error) error {
	q := ask{do: do, answer: make(chan error, 1)}
	select {
	case a.asks <- q:
	case <-a.ended:
		return errors.New("the agent is stopping")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-q.answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
