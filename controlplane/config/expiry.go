package config

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tidegate.dev/controlplane/store"
)

const (
	// expiryEvery is how often what is over is looked for, expiryTimeout how long a look may take, and expiryPage how much is lifted
	// at once.
	expiryEvery   = time.Second
	expiryTimeout = 10 * time.Second
	expiryPage    = 1000
	// expiryActor is the author of what nobody did.
	expiryActor = "tidegate"
)

// Expiry lifts blocks whose time is over, by Postgres's clock: agents keep refusing until they are told, so that no clock of theirs
// ends a block early. All replicas may run one.
type Expiry struct {
	store *store.Store
	log   *slog.Logger
	clock steadyClock
}

// NewExpiry returns an Expiry. It does no I/O.
func NewExpiry(s *store.Store, log *slog.Logger) *Expiry { return &Expiry{store: s, log: log} }

// Run lifts what is over, each second, until ctx ends.
func (e *Expiry) Run(ctx context.Context) error {
	ticker := time.NewTicker(expiryEvery)
	defer ticker.Stop()
	for {
		if _, err := e.Lift(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn("lifting blocks whose time is over", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Lift lifts what is over now, and tells how much that was.
func (e *Expiry) Lift(ctx context.Context) (lifted int, err error) {
	ctx, cancel := context.WithTimeout(ctx, expiryTimeout)
	defer cancel()
	var now time.Time
	fleets := map[int64]bool{}
	err = e.store.View(ctx, func(tx *store.Tx) error {
		asked := time.Now()
		told, err := tx.Now(ctx)
		if err != nil {
			return err
		}
		var set bool
		if now, set = e.clock.now(told, asked, time.Now()); set {
			e.log.Warn("Postgres's clock was set forward; blocks end by the clock as it was before, until this process starts anew",
				"told", told, "believed", now)
		}
		expired, err := tx.LaneExpired(ctx, 0, now, expiryPage)
		for fleet := range expired {
			fleets[fleet] = true
		}
		return err
	})
	for fleet := range fleets {
		if err != nil {
			break
		}
		var n int
		n, err = e.liftOf(ctx, fleet, now)
		lifted += n
	}
	return lifted, err
}

// liftOf looks again under the lock of the lane, since somebody may just have given a block more time.
func (e *Expiry) liftOf(ctx context.Context, fleetID int64, now time.Time) (lifted int, err error) {
	err = e.store.InTx(ctx, func(tx *store.Tx) error {
		lifted = 0
		if _, err := tx.LockLane(ctx, fleetID); err != nil {
			return err
		}
		expired, err := tx.LaneExpired(ctx, fleetID, now, expiryPage)
		if err != nil || len(expired[fleetID]) == 0 {
			return err
		}
		fleet, err := tx.FleetByID(ctx, fleetID)
		if err != nil {
			return err
		}
		var writes []store.LaneWrite
		for _, key := range expired[fleetID] {
			writes = append(writes, store.LaneWrite{Key: key, Delete: true})
			err := tx.Audit(ctx, store.AuditEvent{
				Actor: expiryActor, Action: "block.expire", Fleet: fleet.Name, Resource: key.String(), Reason: "its time is over",
			})
			if err != nil {
				return err
			}
		}
		lifted = len(writes)
		_, err = tx.AppendLane(ctx, fleetID, expiryActor, writes)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("lifting the blocks of fleet %d: %w", fleetID, err)
	}
	return lifted, nil
}

// steadyClock follows the store's clock, and does not follow it when it is set forward: what is late is safe. It tells a jump by
// this process's monotonic clock, which nobody sets. The zero value has seen nothing.
type steadyClock struct {
	mu sync.Mutex
	// store and own are one moment by both clocks.
	store, own time.Time
	// ahead says that the store's clock was seen ahead.
	ahead bool
}

// maxClockDrift is how far the store's clock may run from ours between two looks before it counts as set.
const maxClockDrift = 5 * time.Second

// now is the time to go by, when the store's clock said told at a moment between asked and answered. set tells of a jump that is new.
func (c *steadyClock) now(told, asked, answered time.Time) (now time.Time, set bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own.IsZero() {
		c.store, c.own = told, answered
		return told, false
	}
	expected := c.store.Add(answered.Sub(c.own))
	switch off := told.Sub(expected); {
	case off > maxClockDrift:
		set, c.ahead = !c.ahead, true
		return expected, set
	case off >= -maxClockDrift-answered.Sub(asked):
		c.store, c.own, c.ahead = told, answered, false
	}
	return told, false
}
