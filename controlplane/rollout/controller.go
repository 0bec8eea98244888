package rollout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// Waker signals that a rollout of any fleet may have changed; signals are coalesced and may be lost.
type Waker interface {
	Rollouts() (signals <-chan struct{}, cancel func())
}

// ControllerConfig are a controller's settings. Where a field is zero, its default holds.
type ControllerConfig struct {
	// Holder names this process among all that could lead. Unique to the process: a replica that was restarted is another.
	Holder string
	Log    *slog.Logger
	// Lease is how long leadership lasts without being renewed. Default 4s. Whoever takes over begins that much later at most.
	Lease time.Duration
	// ActiveTick is how often fleets with an open rollout are looked at, if nothing wakes sooner. Default 250ms.
	ActiveTick time.Duration
	// IdleTick is how often a leader looks for open rollouts when there are none. Default 2s.
	IdleTick time.Duration
}

func (c *ControllerConfig) setDefaults() {
	if c.Lease == 0 {
		c.Lease = 4 * time.Second
	}
	if c.ActiveTick == 0 {
		c.ActiveTick = 250 * time.Millisecond
	}
	if c.IdleTick == 0 {
		c.IdleTick = 2 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

const (
	// decisionTimeout bounds one load, decision and write.
	decisionTimeout = 10 * time.Second
	// stepsAtOnce bounds how many decisions of one fleet follow each other without a pause.
	stepsAtOnce = 16
	// fleetsAtOnce bounds how many database connections the leader uses.
	fleetsAtOnce = 4
	// maxFailurePause bounds how long a fleet is left alone after an error.
	maxFailurePause = 5 * time.Second
)

// Controller drives the rollouts of all fleets while it leads. Run it in every replica: one of them leads.
type Controller struct {
	store   Store
	waker   Waker
	config  ControllerConfig
	leading atomic.Bool
	clock   clock
}

// NewController returns a controller that begins with Run.
func NewController(store Store, waker Waker, config ControllerConfig) *Controller {
	config.setDefaults()
	return &Controller{store: store, waker: waker, config: config}
}

// Leading says whether this controller drives the rollouts at the moment.
func (c *Controller) Leading() bool { return c.leading.Load() }

// Run leads whenever nobody else does, until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	retry := time.NewTicker(max(c.config.Lease/4, time.Millisecond))
	defer retry.Stop()
	for {
		if err := c.tryToLead(ctx); err != nil && ctx.Err() == nil {
			c.config.Log.Warn("leading the rollouts", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-retry.C:
		}
	}
}

func (c *Controller) tryToLead(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, c.config.Lease)
	defer cancel()
	asked := time.Now()
	lease, held, err := c.store.Lead(asking, c.config.Holder, c.config.Lease)
	if err != nil {
		return err
	}
	c.clock.begin(lease.ClockOffset)
	c.clock.observe(lease.Asked, asked, time.Now())
	if !held {
		return nil
	}
	lease.ClockOffset = c.clock.offset()
	c.config.Log.Info("leading the rollouts", "token", lease.Token)
	c.leading.Store(true)
	defer c.leading.Store(false)
	defer c.release(ctx, lease)
	return c.lead(ctx, lease, asked)
}

// release lets another lead at once.
func (c *Controller) release(ctx context.Context, lease Lease) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = c.store.Renew(ctx, lease, 0) // otherwise it runs out
}

// lead works until the lease is lost; then it stops at once.
func (c *Controller) lead(ctx context.Context, lease Lease, asked time.Time) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.renew(ctx, lease, asked) })
	group.Go(func() error { return c.work(ctx, lease) })
	return group.Wait()
}

// renew keeps the lease. It ends with an error when the lease is lost, or may be by now.
func (c *Controller) renew(ctx context.Context, lease Lease, asked time.Time) error {
	tick := time.NewTicker(max(c.config.Lease/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		deadline := asked.Add(c.config.Lease)
		renewing, cancel := context.WithDeadline(ctx, deadline)
		asking := time.Now()
		lease.ClockOffset = c.clock.offset()
		err := c.store.Renew(renewing, lease, c.config.Lease)
		cancel()
		switch {
		case err == nil:
			asked = asking
		case errors.Is(err, ErrStale) || !time.Now().Before(deadline):
			return fmt.Errorf("lost the lease: %w", err)
		default:
			c.config.Log.Warn("renewing the lease of the rollouts", "error", err)
		}
	}
}

// work looks at every fleet with an open rollout, when woken or when it is time.
func (c *Controller) work(ctx context.Context, lease Lease) error {
	signals, cancel := c.waker.Rollouts()
	defer cancel()
	driver := &driver{controller: c, lease: lease, fleets: map[int64]*fleetWork{}, slots: make(chan struct{}, fleetsAtOnce)}
	defer driver.running.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-signals:
		case <-timer.C:
		}
		timer.Reset(driver.look(ctx))
	}
}

// driver drives each fleet by itself, so that what is slow or wrong with one never holds up another.
type driver struct {
	controller *Controller
	lease      Lease
	slots      chan struct{}
	running    sync.WaitGroup

	mu     sync.Mutex
	fleets map[int64]*fleetWork
}

// fleetWork is what the driver remembers of one fleet.
type fleetWork struct {
	busy bool
	// again: it was signalled while it was busy.
	again    bool
	failures int
	notUntil time.Time
}

// look begins the work on every fleet that has an open rollout, and says when to look again.
func (d *driver) look(ctx context.Context) time.Duration {
	config := d.controller.config
	listing, cancel := context.WithTimeout(ctx, decisionTimeout)
	defer cancel()
	fleets, err := d.controller.store.Fleets(listing)
	if err != nil {
		if ctx.Err() == nil {
			config.Log.Warn("looking for open rollouts", "error", err)
		}
		return config.IdleTick
	}
	d.forget(fleets)
	for _, fleet := range fleets {
		d.begin(ctx, fleet)
	}
	if len(fleets) == 0 {
		return config.IdleTick
	}
	return config.ActiveTick
}

// forget drops what is remembered of fleets that have no open rollout.
func (d *driver) forget(open []int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	still := map[int64]bool{}
	for _, fleet := range open {
		still[fleet] = true
	}
	for fleet, work := range d.fleets {
		if !still[fleet] && !work.busy {
			delete(d.fleets, fleet)
		}
	}
}

// begin drives a fleet in a goroutine of its own, unless one does already.
func (d *driver) begin(ctx context.Context, fleet int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	work := d.fleets[fleet]
	if work == nil {
		work = &fleetWork{}
		d.fleets[fleet] = work
	}
	if work.busy {
		work.again = true
		return
	}
	if time.Now().Before(work.notUntil) {
		return
	}
	work.busy = true
	d.running.Go(func() { d.run(ctx, fleet, work) })
}

func (d *driver) run(ctx context.Context, fleet int64, work *fleetWork) {
	for {
		err := d.inSlot(ctx, func() error { return d.drive(ctx, fleet) })
		d.mu.Lock()
		if err != nil || !work.again || ctx.Err() != nil {
			d.finish(ctx, fleet, work, err)
			d.mu.Unlock()
			return
		}
		work.again = false
		d.mu.Unlock()
	}
}

// finish notes how the work went. Called with mu held.
func (d *driver) finish(ctx context.Context, fleet int64, work *fleetWork, err error) {
	work.busy, work.again = false, false
	if err == nil || ctx.Err() != nil {
		work.failures = 0
		return
	}
	work.failures++
	pause := min(maxFailurePause, 100*time.Millisecond<<min(work.failures, 10))
	work.notUntil = time.Now().Add(pause)
	d.controller.config.Log.Error("driving a rollout", "fleet_id", fleet, "error", err, "retry_in", pause)
}

func (d *driver) inSlot(ctx context.Context, work func() error) error {
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return nil
	}
	defer func() { <-d.slots }()
	return work()
}

// drive decides and writes until there is nothing to do for the fleet at the moment.
func (d *driver) drive(ctx context.Context, fleet int64) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("deciding about fleet %d panicked: %v", fleet, fault)
		}
	}()
	for range stepsAtOnce {
		ctx, cancel := context.WithTimeout(ctx, decisionTimeout)
		more, err := d.decide(ctx, fleet)
		cancel()
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// decide does one step, and says whether to ask again at once.
func (d *driver) decide(ctx context.Context, fleet int64) (more bool, err error) {
	asked := time.Now()
	state, now, err := d.controller.store.Load(ctx, fleet)
	if err != nil || state.Rollout.ID == 0 {
		return false, err
	}
	clock := &d.controller.clock
	clock.observe(now, asked, time.Now())
	state.ClockOffset = clock.offset()
	state.LeadingSince = d.lease.Asked.Add(state.ClockOffset - d.lease.ClockOffset)
	actions := Decide(now, state)
	if len(actions) == 0 {
		return false, nil
	}
	change, err := state.Fold(now, actions)
	if err != nil {
		return false, err
	}
	err = d.controller.store.Apply(ctx, d.lease, change)
	switch {
	case errors.Is(err, ErrStale):
		return false, nil // the next look sees what is there now
	case err != nil:
		return false, fmt.Errorf("writing what was decided about rollout %d: %w", change.Rollout.ID, err)
	}
	d.log(change)
	return true, nil
}

func (d *driver) log(change Change) {
	for _, event := range change.Events {
		d.controller.config.Log.Info("rollout "+event.Type, "fleet_id", change.Rollout.FleetID, "rollout", change.Rollout.ID,
			"revision", change.Rollout.Revision, "step", event.Step, "message", event.Message, "actor", event.Actor)
	}
}
