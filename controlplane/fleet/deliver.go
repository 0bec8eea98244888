package fleet

import (
	"context"
	"strconv"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// signer signs what agents are told.
type signer interface {
	Sign(message proto.Message) (*agentv1.Signed, error)
}

// deliver brings the agent to the present view: the fast lane first, then content, then the state that needs both.
func (s *session) deliver(ctx context.Context) error {
	view := s.feed.view()
	if view == nil {
		return nil
	}
	now := order{view.Epoch, view.Generation}
	if now.before(s.accepted) && !s.refreshed || s.lane.ahead(view) && !s.refreshed {
		// The agent comes from a replica that was quicker to see a change. If it is still ahead after another look, then the
		// database is older than the agent, and the agent will refuse what it gets until an operator opens a new epoch.
		s.refreshed = true
		s.feed.refresh()
		return nil
	}
	if err := s.deliverLane(ctx, view); err != nil {
		return err
	}
	if now == s.sent {
		return nil
	}
	state := desired(view, s.agent.ID)
	for _, wanted := range wantedBy(view, state) {
		if err := s.deliverContent(ctx, view, wanted); err != nil {
			return err
		}
	}
	signed, err := s.signer.Sign(state)
	if err != nil {
		return err
	}
	if err := s.send(&agentv1.ConnectResponse{Message: &agentv1.ConnectResponse_DesiredState{DesiredState: signed}}); err != nil {
		return err
	}
	s.sent = now
	s.rollouts.note(now, view, state)
	s.holding.keepOnly(state)
	return nil
}

// ahead says whether the agent holds more of the lane than there is.
func (p lanePosition) ahead(view *view) bool {
	return p.known && p.epoch == view.Epoch && p.sequence > view.LaneSequence
}

// deliverLane sends what the agent lacks of the fast lane. What begins from nothing takes effect there with the part that reaches
// the end, so nothing else is sent before that.
func (s *session) deliverLane(ctx context.Context, view *view) error {
	reset := !s.lane.known || s.lane.epoch != view.Epoch || !s.laneSent && s.lane.ahead(view)
	if reset {
		s.lane, reset = s.laneBegun.resumed(view)
		s.laneIncomplete = true
	}
	for reset || s.laneIncomplete || s.lane.sequence < view.LaneSequence {
		part, err := s.lanes.part(ctx, view.Delivery, s.lane.sequence, reset)
		if err != nil {
			return err
		}
		if err := s.sendEncoded(part.bytes); err != nil {
			return err
		}
		s.lane = lanePosition{known: true, epoch: view.Epoch, sequence: part.through}
		s.laneSent, s.laneBegun, reset = true, lanePosition{}, false
		s.laneIncomplete = s.laneIncomplete && part.incomplete
	}
	return nil
}

// resumed is where a reset goes on that was cut, and whether it begins from nothing instead.
func (p lanePosition) resumed(view *view) (lanePosition, bool) {
	if p.known && p.epoch == view.Epoch && p.sequence <= view.LaneSequence {
		return p, false
	}
	return lanePosition{epoch: view.Epoch}, true
}

// deliverContent sends the content of a revision, as the change from what the agent holds.
func (s *session) deliverContent(ctx context.Context, view *view, wanted store.RevisionReference) error {
	if s.holding.holds(wanted) {
		return nil
	}
	from, begun := s.holding.base(wanted), s.begun
	s.begun = nil // any transfer takes its place
	if begun != nil && begun.leadsTo(wanted) {
		return s.transfer(ctx, view, begun.from, wanted, begun)
	}
	if begun != nil && from.Number == 0 {
		// What has come of a revision that was wanted before is most of what is wanted now.
		if err := s.transfer(ctx, view, begun.from, begun.to, begun); err != nil {
			return err
		}
		from = s.holding.base(wanted)
	}
	return s.transfer(ctx, view, from, wanted, nil)
}

// transfer sends the way from one content to another, but for the chunks that the agent has of it already.
func (s *session) transfer(ctx context.Context, view *view, from, to store.RevisionReference, begun *begunContent) error {
	chunks, err := s.contents.chunks(ctx, view.FleetID, from, to)
	if err != nil {
		return err
	}
	if has := begun.held(chunks); has > 0 {
		s.metrics.resumed.Inc()
		s.log.Info("a transfer goes on where it was cut", "revision", to.Number, "chunks_held", has, "chunks", len(chunks))
		chunks = chunks[has:]
	}
	for _, chunk := range chunks {
		if err := s.sendEncoded(chunk.bytes); err != nil {
			return err
		}
	}
	s.holding.add(to)
	return nil
}

// desired is the state that one agent of the fleet should serve.
func desired(view *view, agentID string) *agentv1.DesiredState {
	state := &agentv1.DesiredState{
		Fleet: view.Fleet, AgentId: agentID, Epoch: view.Epoch, Generation: view.Generation,
		Stable: reference(view.Stable), Drain: view.Draining[agentID],
	}
	if view.Rollout != nil && view.Rollout.Members[agentID] {
		state.Candidate = reference(view.Rollout.Candidate)
		state.CandidateSharePpm = uint32(view.Rollout.SharePPM)
		state.RolloutId = strconv.FormatInt(view.Rollout.ID, 10)
		state.Guard, state.ShadowPpm = view.guard, view.shadowPPM
		state.Sticky = view.sticky.of(agentID)
	}
	return state
}

// wantedBy are the revisions whose content a state needs.
func wantedBy(view *view, state *agentv1.DesiredState) (wanted []store.RevisionReference) {
	if view.Stable.Number != 0 {
		wanted = append(wanted, view.Stable)
	}
	if state.GetCandidate() != nil {
		wanted = append(wanted, view.Rollout.Candidate)
	}
	return wanted
}
