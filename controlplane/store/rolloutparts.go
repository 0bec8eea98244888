package store

import (
	"context"
	"fmt"
	"time"

	"tidegate.dev/controlplane/store/queries"
)

// RolloutAgent is what the rollout controller must know of one agent of a fleet.
type RolloutAgent struct {
	ID          string
	Name        string
	BootID      string
	ConnectedAt *time.Time
	SeenAt      *time.Time
	Drain       bool
	// What it acknowledged last.
	Epoch, Generation int64
	Status, Error     string
	CandidateRevision int64
	CandidateSharePpm int32
	FailedRollout     int64
	Labels            map[string]string
	// Alive: a replica holds its stream and heard of it within LostAfter.
	Alive bool
}

// CohortMember is an agent that holds the candidate of a rollout.
type CohortMember struct {
	RolloutID int64
	AgentID   string
	Name      string
	Step      int32 // that brought it in
	// BootID is the process that was given the candidate.
	BootID    string
	LostSince *time.Time
}

// RolloutCommand is what a person asked for. DoneAt is set when the leader has dealt with it; Result is empty if it was carried
// out, else says why not.
type RolloutCommand struct {
	ID        int64
	RolloutID int64
	Command   string
	Actor     string
	Reason    string
	CreatedAt time.Time
	DoneAt    *time.Time
	Result    string
}

// RolloutEvent is one thing that happened to a rollout, kept for ever. ID and At are given by Postgres.
type RolloutEvent struct {
	ID        int64
	RolloutID int64
	At        time.Time
	Step      int32
	Type      string
	Message   string
	Actor     string
}

// RolloutAgents returns every agent of a fleet, in the order of ids.
func (tx *Tx) RolloutAgents(ctx context.Context, fleetID int64) ([]RolloutAgent, error) {
	rows, err := tx.queries.ListRolloutAgents(ctx, queries.ListRolloutAgentsParams{
		FleetID: fleetID, LostAfterSeconds: LostAfter.Seconds(),
	})
	if err != nil {
		return nil, fmt.Errorf("reading the agents of fleet %d: %w", fleetID, translate(err))
	}
	agents := make([]RolloutAgent, len(rows))
	for i, row := range rows {
		agents[i] = RolloutAgent(row)
	}
	return agents, nil
}

// Cohort returns the agents that hold, or held, the candidate of a rollout.
func (tx *Tx) Cohort(ctx context.Context, rolloutID int64) ([]CohortMember, error) {
	rows, err := tx.queries.ListRolloutMembers(ctx, rolloutID)
	if err != nil {
		return nil, fmt.Errorf("reading the members of rollout %d: %w", rolloutID, translate(err))
	}
	members := make([]CohortMember, len(rows))
	for i, row := range rows {
		members[i] = CohortMember(row)
	}
	return members, nil
}

// OpenRolloutCommands returns what was asked of rollouts and is not dealt with, in the order in which it was asked.
func (tx *Tx) OpenRolloutCommands(ctx context.Context, rolloutIDs []int64) ([]RolloutCommand, error) {
	rows, err := tx.queries.ListOpenRolloutCommands(ctx, rolloutIDs)
	if err != nil {
		return nil, fmt.Errorf("reading the commands for rollouts: %w", translate(err))
	}
	commands := make([]RolloutCommand, len(rows))
	for i, row := range rows {
		commands[i] = RolloutCommand(row)
	}
	return commands, nil
}

// AskRollout leaves a command for the leader, and wakes it.
func (tx *Tx) AskRollout(ctx context.Context, fleetID int64, command RolloutCommand) (id int64, err error) {
	id, err = tx.queries.InsertRolloutCommand(ctx, queries.InsertRolloutCommandParams{
		RolloutID: command.RolloutID, Command: command.Command, Actor: command.Actor, Reason: command.Reason,
	})
	if err != nil {
		return 0, fmt.Errorf("asking rollout %d to %s: %w", command.RolloutID, command.Command, translate(err))
	}
	return id, tx.NotifyRollouts(ctx, fleetID)
}

// RolloutCommandByID returns ErrNotFound if there is none.
func (tx *Tx) RolloutCommandByID(ctx context.Context, id int64) (RolloutCommand, error) {
	row, err := tx.queries.GetRolloutCommand(ctx, id)
	if err != nil {
		return RolloutCommand{}, fmt.Errorf("reading rollout command %d: %w", id, translate(err))
	}
	return RolloutCommand(row), nil
}

// RolloutEvents returns up to limit events of a rollout, the newest first.
func (tx *Tx) RolloutEvents(ctx context.Context, rolloutID int64, limit int) ([]RolloutEvent, error) {
	rows, err := tx.queries.ListRolloutEvents(ctx, queries.ListRolloutEventsParams{RolloutID: rolloutID, PageSize: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("reading the events of rollout %d: %w", rolloutID, translate(err))
	}
	events := make([]RolloutEvent, len(rows))
	for i, row := range rows {
		events[i] = RolloutEvent(row)
	}
	return events, nil
}

func (tx *Tx) addRolloutEvent(ctx context.Context, event RolloutEvent) error {
	err := tx.queries.InsertRolloutEvent(ctx, queries.InsertRolloutEventParams{
		RolloutID: event.RolloutID, Step: event.Step, Type: event.Type, Message: event.Message, Actor: event.Actor,
	})
	if err != nil {
		return fmt.Errorf("writing an event of rollout %d: %w", event.RolloutID, translate(err))
	}
	return nil
}
