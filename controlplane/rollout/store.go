package rollout

import (
	"context"
	"errors"
	"time"
)

// Lease says who leads. Everything that a leader writes carries it, and the store checks it while it writes.
type Lease struct {
	Holder string
	// Token rises with every change of holder.
	Token int64
	// Asked is when the lease was asked for, by the store's clock, whether or not it was given.
	Asked time.Time
	// ClockOffset is by how much the store's clock was set, as far as leaders noticed: Lead returns what the last one left, Renew
	// leaves it to the next.
	ClockOffset time.Duration
}

// ErrStale says that a change was not written: the rollout changed meanwhile, or somebody else leads.
var ErrStale = errors.New("the rollout changed meanwhile, or somebody else leads")

// Store is where rollouts live: [Postgres], and a simulation in tests. Its clock decides every time.
type Store interface {
	// Lead takes the lease for a length of time if nobody holds it. If somebody does, held is false, and of the lease only
	// Asked and ClockOffset are set.
	Lead(ctx context.Context, holder string, length time.Duration) (lease Lease, held bool, err error)
	// Renew holds the lease for another length from now; 0 gives it up. ErrStale: it is lost.
	Renew(ctx context.Context, lease Lease, length time.Duration) error
	// Fleets lists those with a rollout that is active or queued.
	Fleets(ctx context.Context) ([]int64, error)
	// Load reads all that a decision about a fleet depends on, as of one moment. Without a rollout that is active or queued,
	// the state is zero. LeadingSince and ClockOffset are left to the caller.
	Load(ctx context.Context, fleetID int64) (state State, now time.Time, err error)
	// Apply writes a change, whole or not at all. ErrStale: not at all.
	Apply(ctx context.Context, lease Lease, change Change) error
}
