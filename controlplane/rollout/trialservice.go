package rollout

import (
	"context"
	"time"

	"tidegate.dev/controlplane/store"
)

// Caveats are what cannot be known of a gate that is tried on what is kept, in words.
func Caveats() []string {
	return []string{
		"only this gate is tried, alone: agents that refuse, are lost or restart would have stopped a rollout all the same",
		"the guards of single agents judge by counts of their own, which are not kept: they may have failed a candidate sooner",
		"the sums are kept once a second at most, later once in a sixty-fourth of the rollout's age: a gate that looks all the time may have failed that much sooner",
		"sums of single routes are kept at the end of each step: a failure by one route lies somewhere within the step",
		"what Prometheus and webhooks answered is kept for the last time alone, so such gates cannot be tried",
	}
}

// Tried is a rollout that has ended, and what a gate would have done to it.
type Tried struct {
	Rollout Detail
	Outcome Outcome
}

// TryOptions choose the rollouts.
type TryOptions struct {
	// Within is how long ago they ended at most.
	Within time.Duration
	// Before and Limit are as of ListOptions.
	Before int64
	Limit  int
}

// TryGate says what a gate would have done to a fleet's last rollouts, the newest first. next is 0 after the last.
func (s *Service) TryGate(ctx context.Context, fleet string, trial Trial, options TryOptions) (page []Tried, next int64, err error) {
	if options.Limit <= 0 {
		options.Limit = 50
	}
	err = s.view(ctx, fleet, func(tx *store.Tx, fleet store.Fleet) error {
		rows, err := tx.EndedRollouts(ctx, fleet.ID, options.Within, options.Before, options.Limit+1)
		if err != nil {
			return err
		}
		page, next = nil, 0
		if len(rows) > options.Limit {
			rows = rows[:options.Limit]
			next = rows[len(rows)-1].ID
		}
		for _, row := range rows {
			tried, err := tryOn(ctx, tx, trial, row)
			if err != nil {
				return err
			}
			page = append(page, tried)
		}
		return nil
	})
	return page, next, err
}

func tryOn(ctx context.Context, tx *store.Tx, trial Trial, row store.Rollout) (tried Tried, err error) {
	if tried.Rollout, err = headOf(ctx, tx, row); err != nil {
		return Tried{}, err
	}
	ended := State{Rollout: rolloutOf(row)}
	if ended.Plan, err = planOf(row); err != nil {
		return Tried{}, err
	}
	if ended.Rollout.Expected, err = expectedOf(row); err != nil {
		return Tried{}, err
	}
	if err := loadEvidence(ctx, tx, row, &ended); err != nil {
		return Tried{}, err
	}
	rows, err := tx.Readings(ctx, row.ID)
	if err != nil {
		return Tried{}, err
	}
	tried.Outcome = trial.Try(ended, readingsOf(rows))
	return tried, nil
}
