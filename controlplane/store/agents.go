package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgtype"

	"tidegate.dev/controlplane/store/queries"
)

// LostAfter is how long an agent may be silent before it counts as lost: three heartbeats of a second.
const LostAfter = 3 * time.Second

// AgentIdentity is who an agent is.
type AgentIdentity struct {
	ID      string
	FleetID int64
	Fleet   string
	Name    string
}

// Agent is one data-plane process, as it was seen last.
type Agent struct {
	ID                   string
	Name                 string
	Labels               map[string]string
	Version              string
	Listeners            []string
	PluginTypes          []string
	CertificateExpiresAt time.Time
	CreatedAt            time.Time
	Replica              string // the control-plane replica that holds or held its stream
	ConnectedAt, SeenAt  *time.Time
	// Connected says that a replica holds its stream; Alive, that it was also heard of within LostAfter.
	Connected, Alive bool
	Drain            bool

	// What it said last. Status is "pending", "serving", "refused" or "dropped".
	Epoch, Generation int64
	Status, Error     string
	Stable, Candidate int64
	SharePPM          int32
	LaneSequence      int64
	FailedRollout     int64

	// What it should serve; a candidate of 0 is none.
	DesiredStable, DesiredCandidate int64
}

// AddAgent adds an agent under a name that is unique in its fleet. A lost agent of that name makes room: it is forgotten, and
// its certificate is not accepted any more. ErrExists: an agent of that name is there.
func (tx *Tx) AddAgent(ctx context.Context, agent AgentIdentity, labels map[string]string, certificateExpiresAt time.Time) error {
	_, err := tx.queries.DeleteLostAgent(ctx, queries.DeleteLostAgentParams{
		FleetID: agent.FleetID, Name: agent.Name, LostAfterSeconds: LostAfter.Seconds(),
	})
	if err != nil {
		return fmt.Errorf("making room for agent %q: %w", agent.Name, translate(err))
	}
	if labels == nil {
		labels = map[string]string{}
	}
	err = tx.queries.InsertAgent(ctx, queries.InsertAgentParams{
		ID: agent.ID, FleetID: agent.FleetID, Name: agent.Name, Labels: labels, CertificateExpiresAt: certificateExpiresAt,
	})
	if err != nil {
		return fmt.Errorf("adding agent %q: %w", agent.Name, translate(err))
	}
	return nil
}

// SetAgentCertificate notes until when the agent's certificate is valid. ErrNotFound: the agent was deleted.
func (tx *Tx) SetAgentCertificate(ctx context.Context, id string, expiresAt time.Time) error {
	changed, err := tx.queries.RenewAgent(ctx, queries.RenewAgentParams{ID: id, CertificateExpiresAt: expiresAt})
	if err == nil && changed == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("renewing agent %s: %w", id, translate(err))
	}
	return nil
}

// FindAgent looks an agent up by what its certificate says. ErrNotFound: it was deleted, or never was.
func (tx *Tx) FindAgent(ctx context.Context, fleet, id string) (AgentIdentity, error) {
	row, err := tx.queries.FindAgent(ctx, queries.FindAgentParams{Fleet: fleet, ID: id})
	if err != nil {
		return AgentIdentity{}, fmt.Errorf("looking up agent %s of fleet %q: %w", id, fleet, translate(err))
	}
	return AgentIdentity(row), nil
}

// ListAgents returns up to limit agents of the fleet by name, beginning behind the name after.
func (tx *Tx) ListAgents(ctx context.Context, fleetID int64, after string, limit int) ([]Agent, error) {
	return tx.agents(ctx, queries.ListAgentsParams{FleetID: fleetID, After: after, PageSize: int32(limit)})
}

// AgentByID returns ErrNotFound if the fleet has no such agent.
func (tx *Tx) AgentByID(ctx context.Context, fleetID int64, id string) (Agent, error) {
	var parsed pgtype.UUID
	if err := parsed.Scan(id); err != nil {
		return Agent{}, fmt.Errorf("agent %q: %w", id, ErrNotFound)
	}
	agents, err := tx.agents(ctx, queries.ListAgentsParams{FleetID: fleetID, ID: parsed, PageSize: 1})
	if err == nil && len(agents) == 0 {
		err = fmt.Errorf("agent %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return Agent{}, err
	}
	return agents[0], nil
}

func (tx *Tx) agents(ctx context.Context, parameters queries.ListAgentsParams) ([]Agent, error) {
	parameters.LostAfterSeconds = LostAfter.Seconds()
	rows, err := tx.queries.ListAgents(ctx, parameters)
	if err != nil {
		return nil, fmt.Errorf("listing agents: %w", translate(err))
	}
	agents := make([]Agent, len(rows))
	for i, row := range rows {
		agents[i] = agentOf(row)
	}
	return agents, nil
}

func agentOf(row queries.ListAgentsRow) Agent {
	return Agent{
		ID: row.ID, Name: row.Name, Labels: row.Labels, Version: row.Version, Listeners: row.Listeners, PluginTypes: row.PluginTypes,
		CertificateExpiresAt: row.CertificateExpiresAt, CreatedAt: row.CreatedAt, Replica: row.Replica,
		ConnectedAt: row.ConnectedAt, SeenAt: row.SeenAt, Connected: row.Connected, Alive: row.Alive, Drain: row.Drain,
		Epoch: row.Epoch, Generation: row.Generation, Status: row.Status, Error: row.Error,
		Stable: row.StableRevision, Candidate: row.CandidateRevision, SharePPM: row.CandidateSharePpm,
		LaneSequence: row.LaneSequence, FailedRollout: row.FailedRollout,
		DesiredStable: row.DesiredStableRevision, DesiredCandidate: row.DesiredCandidateRevision,
	}
}

// CountAgents says how many agents the fleet has, and how many of them are connected and were heard of within LostAfter.
func (tx *Tx) CountAgents(ctx context.Context, fleetID int64) (total, alive int64, err error) {
	row, err := tx.queries.CountAgents(ctx, queries.CountAgentsParams{FleetID: fleetID, LostAfterSeconds: LostAfter.Seconds()})
	if err != nil {
		return 0, 0, fmt.Errorf("counting agents: %w", translate(err))
	}
	return row.Total, row.Alive, nil
}

// ActiveRollout returns the id of the rollout that runs or waits, or 0.
func (tx *Tx) ActiveRollout(ctx context.Context, fleetID int64) (id int64, err error) {
	id, err = tx.queries.GetActiveRollout(ctx, fleetID)
	if err = translate(err); err != nil && !errors.Is(err, ErrNotFound) {
		return 0, fmt.Errorf("reading the active rollout: %w", err)
	}
	return id, nil
}

// SetAgentDrain tells an agent to take nothing new, or to take requests again. The caller holds the fleet's head and raises
// the generation. ErrNotFound: the fleet has no such agent.
func (tx *Tx) SetAgentDrain(ctx context.Context, fleetID int64, id string, drain bool) error {
	changed, err := tx.queries.SetAgentDrain(ctx, queries.SetAgentDrainParams{FleetID: fleetID, ID: id, Drain: drain})
	return oneAgent("draining", id, changed, err)
}

// DeleteAgent forgets an agent. ErrNotFound: the fleet has no such agent.
func (tx *Tx) DeleteAgent(ctx context.Context, fleetID int64, id string) error {
	changed, err := tx.queries.DeleteAgent(ctx, queries.DeleteAgentParams{FleetID: fleetID, ID: id})
	return oneAgent("deleting", id, changed, err)
}

func oneAgent(doing, id string, changed int64, err error) error {
	if err == nil && changed == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("%s agent %s: %w", doing, id, translate(err))
	}
	return nil
}
