package acme

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/store"
)

// Config are a manager's settings. Where a field is zero, its default holds.
type Config struct {
	Store   *store.Store
	Keyring *keyring.Keyring
	Log     *slog.Logger
	// UserAgent is how authorities know the program.
	UserAgent string
	// Poll is how often a manager looks for certificates that are due. Default 1s.
	Poll time.Duration
	// Lease is how long a claim lasts without being renewed: how long a certificate waits whose process died. Default 30s.
	Lease time.Duration
	// AgentsDeadline is how long to wait for agents to acknowledge a challenge. Default 15s.
	AgentsDeadline time.Duration
	// AttemptDeadline bounds one attempt. Default 5m.
	AttemptDeadline time.Duration
	// FirstPause is the pause after a first failure; each further one waits longer (see pause). Default 1m.
	FirstPause time.Duration
}

func (c *Config) setDefaults() {
	for _, field := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{
		{&c.Poll, time.Second},
		{&c.Lease, 30 * time.Second},
		{&c.AgentsDeadline, 15 * time.Second},
		{&c.AttemptDeadline, 5 * time.Minute},
		{&c.FirstPause, time.Minute},
	} {
		if *field.value == 0 {
			*field.value = field.fallback
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
}

const (
	// attemptsAtOnce bounds how many certificates one replica works on at a time.
	attemptsAtOnce = 4
	// storeTimeout bounds what is asked of Postgres at once.
	storeTimeout = 10 * time.Second
)

// Manager obtains what is due. Run one in every replica: they share the work.
type Manager struct {
	config  Config
	metrics *metrics
}

// NewManager returns a manager that begins with Run.
func NewManager(config Config) *Manager {
	config.setDefaults()
	return &Manager{config: config, metrics: newMetrics()}
}

// Run works until ctx ends. An attempt that is under way then is given back, and does not count.
func (m *Manager) Run(ctx context.Context) error {
	tick := time.NewTicker(m.config.Poll)
	defer tick.Stop()
	work := &work{slots: make(chan struct{}, attemptsAtOnce), done: make(chan struct{}, 1)}
	defer work.running.Wait()
	var looked time.Time
	for {
		m.begin(ctx, work)
		if time.Since(looked) >= overviewInterval {
			looked = time.Now()
			m.overview(ctx)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-work.done:
		}
	}
}

// work is what a manager has under way.
type work struct {
	slots   chan struct{}
	done    chan struct{}
	running sync.WaitGroup
}

// begin claims what is due, as far as there is room.
func (m *Manager) begin(ctx context.Context, work *work) {
	for ctx.Err() == nil {
		select {
		case work.slots <- struct{}{}:
		default:
			return
		}
		claim, err := m.claim(ctx)
		if err != nil {
			<-work.slots
			if !errors.Is(err, store.ErrNotFound) && ctx.Err() == nil {
				m.config.Log.Warn("looking for certificates to obtain", "error", err)
			}
			return
		}
		work.running.Go(func() {
			m.attend(ctx, claim)
			<-work.slots
			select {
			case work.done <- struct{}{}:
			default:
			}
		})
	}
}

func (m *Manager) claim(ctx context.Context) (claim store.ACMEClaim, err error) {
	holder := rand.Text()
	err = m.inTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		claim, err = tx.ClaimACME(ctx, holder, m.config.Lease)
		return err
	})
	return claim, err
}

// inTx is a transaction with a deadline of its own.
func (m *Manager) inTx(ctx context.Context, effect func(context.Context, *store.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return m.config.Store.InTx(ctx, func(tx *store.Tx) error { return effect(ctx, tx) })
}

// atLast is inTx for what must be written even when ctx has ended.
func (m *Manager) atLast(ctx context.Context, effect func(context.Context, *store.Tx) error) error {
	return m.inTx(context.WithoutCancel(ctx), effect)
}

// keep holds a claim until ctx ends, and ends the attempt if the claim is lost.
func (m *Manager) keep(ctx context.Context, claim store.ACMEClaim, lost context.CancelCauseFunc) {
	tick := time.NewTicker(m.config.Lease / 4)
	defer tick.Stop()
	held := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		asked := time.Now()
		err := m.inTx(ctx, func(ctx context.Context, tx *store.Tx) error { return tx.HoldACME(ctx, claim, m.config.Lease) })
		switch {
		case err == nil:
			held = asked
		case errors.Is(err, store.ErrStale), time.Since(held) > m.config.Lease:
			lost(fmt.Errorf("%w: %w", errLost, err))
			return
		}
	}
}
