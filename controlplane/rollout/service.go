package rollout

import (
	"context"
	"time"

	"tidegate.dev/controlplane/store"
)

// Service shows rollouts to people and programs and takes what they ask for. Every replica has one; the leader carries out
// what they took. It is safe for concurrent use. Its methods join a transaction that their context carries.
type Service struct {
	store *store.Store
	waker Waker
}

// NewService returns a service on Postgres. The waker (a *store.Watcher) must be running for Watch and Await to be quick.
func NewService(s *store.Store, waker Waker) *Service { return &Service{store: s, waker: waker} }

const (
	// watchTick bounds how long a change goes unseen whose notification was lost, and keeps the figures fresh.
	watchTick = time.Second
	// watchPause bounds how often a watcher is told: five times a second.
	watchPause = 200 * time.Millisecond
	// awaitAtMost is how long Await waits for the leader.
	awaitAtMost = 3 * time.Second
	// eventsShown is how many of the last events are shown.
	eventsShown = 500
)

func (s *Service) view(ctx context.Context, fleetName string, read func(*store.Tx, store.Fleet) error) error {
	return s.store.View(ctx, func(tx *store.Tx) error {
		fleet, err := tx.FleetByName(ctx, fleetName)
		if err != nil {
			return err
		}
		return read(tx, fleet)
	})
}

func (s *Service) change(ctx context.Context, fleetName string, effect func(*store.Tx, store.Fleet) error) error {
	return s.store.InTx(ctx, func(tx *store.Tx) error {
		fleet, err := tx.FleetByName(ctx, fleetName)
		if err != nil {
			return err
		}
		return effect(tx, fleet)
	})
}

// ListOptions chooses rollouts; the zero value of a field chooses all.
type ListOptions struct {
	State    string
	Revision int64
	// Before is the id below which the page begins: what List returned as next.
	Before int64
	// Limit is the most that is returned. Default 50.
	Limit int
}

// List returns a page of a fleet's rollouts, the newest first, without agents, evidence and events. next is 0 after the last.
func (s *Service) List(ctx context.Context, fleet string, options ListOptions) (page []Detail, next int64, err error) {
	if options.Limit <= 0 {
		options.Limit = 50
	}
	err = s.view(ctx, fleet, func(tx *store.Tx, fleet store.Fleet) error {
		filter := store.RolloutFilter{Before: options.Before, State: options.State, Revision: options.Revision}
		rows, err := tx.Rollouts(ctx, fleet.ID, filter, options.Limit+1)
		if err != nil {
			return err
		}
		page, next = nil, 0
		if len(rows) > options.Limit {
			rows = rows[:options.Limit]
			next = rows[len(rows)-1].ID
		}
		for _, row := range rows {
			detail, err := headOf(ctx, tx, row)
			if err != nil {
				return err
			}
			page = append(page, detail)
		}
		return nil
	})
	return page, next, err
}

// Get returns a rollout with its agents, its evidence and its last events. store.ErrNotFound: the fleet has none of that id.
func (s *Service) Get(ctx context.Context, fleet string, id int64) (detail Detail, err error) {
	err = s.view(ctx, fleet, func(tx *store.Tx, fleet store.Fleet) error {
		row, err := tx.RolloutByID(ctx, fleet.ID, id)
		if err != nil {
			return err
		}
		detail, err = detailOf(ctx, tx, row)
		return err
	})
	return detail, err
}

// Watch sends a rollout at once and then whenever it changed, at most five times a second, until it has ended or send fails.
// It returns nil after the ended rollout was sent.
func (s *Service) Watch(ctx context.Context, fleet string, id int64, send func(Detail) error) error {
	signals, cancel := s.waker.Rollouts()
	defer cancel()
	tick := time.NewTicker(watchTick)
	defer tick.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	var sent string
	for {
		detail, err := s.Get(ctx, fleet, id)
		if err != nil {
			return err
		}
		if now := detail.fingerprint(); now != sent {
			if err := send(detail); err != nil {
				return err
			}
			sent = now
		}
		if (Rollout{State: detail.State}).Ended() {
			return nil
		}
		pause.Reset(watchPause)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-signals:
		case <-tick.C:
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-pause.C:
		}
	}
}

// Ticket is a command that was taken.
type Ticket struct {
	Fleet   string
	Rollout int64
	Command Command
	// Request is its id.
	Request int64
}

// Request takes a command for the leader to carry out. *WrongState: the rollout cannot do that now. Call Await after the
// transaction that this one joined has committed.
func (s *Service) Request(ctx context.Context, fleet string, id int64, command Command, actor, reason string) (Ticket, error) {
	ticket := Ticket{Fleet: fleet, Rollout: id, Command: command}
	err := s.change(ctx, fleet, func(tx *store.Tx, fleet store.Fleet) error {
		row, err := tx.RolloutByID(ctx, fleet.ID, id)
		if err != nil {
			return err
		}
		if err := rolloutOf(row).accepts(command); err != nil {
			return err
		}
		ticket.Request, err = tx.AskRollout(ctx, fleet.ID, store.RolloutCommand{
			RolloutID: id, Command: string(command), Actor: actor, Reason: reason,
		})
		return err
	})
	return ticket, err
}

// Await waits for the leader to deal with a command, for three seconds at most, and returns the rollout. *WrongState: it could
// not be carried out, for the rollout changed before. If nobody leads at the moment, the command stays and is carried out
// later; that is no error.
func (s *Service) Await(ctx context.Context, ticket Ticket) (Detail, error) {
	signals, cancel := s.waker.Rollouts()
	defer cancel()
	timeout := time.NewTimer(awaitAtMost)
	defer timeout.Stop()
	tick := time.NewTicker(watchPause)
	defer tick.Stop()
	for waiting := true; waiting; {
		dealt, err := s.dealtWith(ctx, ticket)
		if err != nil {
			return Detail{}, err
		}
		if dealt {
			break
		}
		select {
		case <-ctx.Done():
			return Detail{}, context.Cause(ctx)
		case <-timeout.C:
			waiting = false
		case <-signals:
		case <-tick.C:
		}
	}
	return s.Get(ctx, ticket.Fleet, ticket.Rollout)
}

func (s *Service) dealtWith(ctx context.Context, ticket Ticket) (dealt bool, err error) {
	err = s.view(ctx, ticket.Fleet, func(tx *store.Tx, fleet store.Fleet) error {
		command, err := tx.RolloutCommandByID(ctx, ticket.Request)
		if err != nil {
			return err
		}
		row, err := tx.RolloutByID(ctx, fleet.ID, ticket.Rollout)
		if err != nil {
			return err
		}
		dealt = command.DoneAt != nil
		refused := dealt && command.Result != ""
		if refused || !dealt && rolloutOf(row).Ended() {
			return &WrongState{Rollout: row.ID, State: row.State, Command: ticket.Command, Possible: Possible(row.State)}
		}
		return nil
	})
	return dealt, err
}
