package store

import (
	"context"
	"fmt"

	"tidegate.dev/controlplane/store/queries"
)

// AgentHello is what an agent says when its stream begins.
type AgentHello struct {
	ID, Replica, BootID, Version         string
	Listeners, PluginTypes               []string
	Labels                               map[string]string
	Epoch, Generation, LaneHoldsSequence int64
}

// BeginAgentSession gives the agent's stream a number that is higher than every one before, and so supersedes the stream that
// it had: what that one writes changes nothing. It wakes the rollouts' controller. ErrNotFound: the agent was deleted.
func (tx *Tx) BeginAgentSession(ctx context.Context, hello AgentHello) (session int64, err error) {
	labels := hello.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	row, err := tx.queries.BeginAgentSession(ctx, queries.BeginAgentSessionParams{
		ID: hello.ID, Replica: hello.Replica, BootID: hello.BootID, Version: hello.Version,
		Listeners: append([]string{}, hello.Listeners...), PluginTypes: append([]string{}, hello.PluginTypes...), Labels: labels,
		Epoch: hello.Epoch, Generation: hello.Generation, LaneSequence: hello.LaneHoldsSequence,
	})
	if err != nil {
		return 0, fmt.Errorf("beginning a session of agent %s: %w", hello.ID, translate(err))
	}
	return row.Session, tx.NotifyRollouts(ctx, row.FleetID)
}

// AgentReport is what one session of an agent said since its last report.
type AgentReport struct {
	ID      string
	Session int64
	// Connected is false in the last report of a session.
	Connected bool
	// Seen: something was received from the agent.
	Seen bool
	// Acknowledgement is its answer to a desired state; nil: none since.
	Acknowledgement *AgentAcknowledgement
	// Serving is what it says it serves; nil: nothing said since.
	Serving *AgentServing
	// FailedRollout is the rollout whose candidate it refused or dropped; 0: none.
	FailedRollout int64
}

// AgentAcknowledgement is an agent's answer to a desired state. Status is "serving", "refused" or "dropped".
type AgentAcknowledgement struct {
	Epoch, Generation int64
	Status, Error     string
}

// AgentServing is what an agent serves.
type AgentServing struct {
	Stable, Candidate int64
	SharePPM          int32
	LaneSequence      int64
}

// SaveAgentReports writes what agents said, at most one report an agent, in one statement. It returns the agents whose
// session still holds; reports of the others (superseded, deleted) changed nothing. Where a status changed it wakes the
// rollouts' controller; heartbeats wake nobody.
func (tx *Tx) SaveAgentReports(ctx context.Context, reports []AgentReport) (held map[string]bool, err error) {
	rows, err := tx.queries.SaveAgentReports(ctx, reportColumns(reports))
	if err != nil {
		return nil, fmt.Errorf("saving the reports of %d agents: %w", len(reports), translate(err))
	}
	held, changed := make(map[string]bool, len(rows)), map[int64]bool{}
	for _, row := range rows {
		held[row.ID] = true
		if row.Changed {
			changed[row.FleetID] = true
		}
	}
	return held, tx.notifyRolloutsOf(ctx, changed)
}

func (tx *Tx) notifyRolloutsOf(ctx context.Context, fleets map[int64]bool) error {
	for fleetID := range fleets {
		if err := tx.NotifyRollouts(ctx, fleetID); err != nil {
			return err
		}
	}
	return nil
}

// reportColumns turns the reports into columns, as the statement takes them.
func reportColumns(reports []AgentReport) (c queries.SaveAgentReportsParams) {
	for _, r := range reports {
		acknowledgement, serving := r.Acknowledgement, r.Serving
		c.Acknowledged = append(c.Acknowledged, acknowledgement != nil)
		c.Serving = append(c.Serving, serving != nil)
		if acknowledgement == nil {
			acknowledgement = &AgentAcknowledgement{}
		}
		if serving == nil {
			serving = &AgentServing{}
		}
		c.Ids, c.Sessions = append(c.Ids, r.ID), append(c.Sessions, r.Session)
		c.Connected, c.Seen = append(c.Connected, r.Connected), append(c.Seen, r.Seen)
		c.Epochs, c.Generations = append(c.Epochs, acknowledgement.Epoch), append(c.Generations, acknowledgement.Generation)
		c.Statuses, c.Errors = append(c.Statuses, acknowledgement.Status), append(c.Errors, acknowledgement.Error)
		c.StableRevisions, c.CandidateRevisions = append(c.StableRevisions, serving.Stable), append(c.CandidateRevisions, serving.Candidate)
		c.CandidateSharesPpm, c.LaneSequences = append(c.CandidateSharesPpm, serving.SharePPM), append(c.LaneSequences, serving.LaneSequence)
		c.FailedRollouts = append(c.FailedRollouts, r.FailedRollout)
	}
	return c
}

// DisconnectReplica notes that the replica holds no stream: when it stops, and when it starts after a life that ended without
// saying so.
func (tx *Tx) DisconnectReplica(ctx context.Context, replica string) error {
	fleets, err := tx.queries.DisconnectReplica(ctx, replica)
	if err != nil {
		return fmt.Errorf("disconnecting the agents of replica %q: %w", replica, translate(err))
	}
	changed := map[int64]bool{}
	for _, fleetID := range fleets {
		changed[fleetID] = true
	}
	return tx.notifyRolloutsOf(ctx, changed)
}
