package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// topicHeads: what agents of the fleet should serve, or its fast lane, changed.
	topicHeads = "heads"
	// topicRollouts: a rollout or a command for one changed.
	topicRollouts = "rollouts"

	// pollInterval bounds how long a lost notification goes unnoticed.
	pollInterval = 250 * time.Millisecond
	// pollTimeout bounds one look at the heads; then the connection counts as broken.
	pollTimeout      = 5 * time.Second
	reconnectPause   = 100 * time.Millisecond
	maxReconnectWait = 2 * time.Second
)

// Watcher tells waiters that something of a fleet changed. It holds one connection a replica, outside of the pool, which both
// listens and looks at the heads every 250 ms, since a notification may be lost. Signals are coalesced: a waiter looks at the
// database itself and never learns from the signal what changed.
type Watcher struct {
	store *Store
	log   *slog.Logger

	mu       sync.Mutex
	heads    map[int64]map[chan struct{}]struct{}
	rollouts map[chan struct{}]struct{}

	// seen is what the last look saw, by fleet. Only Run's goroutine touches it.
	seen map[int64]Head
}

// NewWatcher returns a watcher that begins with Run.
func NewWatcher(s *Store, log *slog.Logger) *Watcher {
	return &Watcher{
		store: s, log: log,
		heads:    map[int64]map[chan struct{}]struct{}{},
		rollouts: map[chan struct{}]struct{}{},
		seen:     map[int64]Head{},
	}
}

// Heads returns a channel that receives a signal after what agents of the fleet should serve, or its fast lane, may have
// changed. cancel ends it; the channel is never closed.
func (w *Watcher) Heads(fleetID int64) (signals <-chan struct{}, cancel func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	signal := make(chan struct{}, 1)
	if w.heads[fleetID] == nil {
		w.heads[fleetID] = map[chan struct{}]struct{}{}
	}
	w.heads[fleetID][signal] = struct{}{}
	return signal, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.heads[fleetID], signal)
		if len(w.heads[fleetID]) == 0 {
			delete(w.heads, fleetID)
		}
	}
}

// Rollouts returns a channel that receives a signal after a rollout of any fleet, or a command for one, may have changed.
func (w *Watcher) Rollouts() (signals <-chan struct{}, cancel func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	signal := make(chan struct{}, 1)
	w.rollouts[signal] = struct{}{}
	return signal, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.rollouts, signal)
	}
}

// Run watches until ctx ends, and reconnects as often as it must. While there is no connection nobody is signalled; when it
// is back, everybody is.
func (w *Watcher) Run(ctx context.Context) error {
	wait := reconnectPause
	for ctx.Err() == nil {
		began := time.Now()
		err := w.watch(ctx)
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > maxReconnectWait {
			wait = reconnectPause
		}
		w.log.Warn("watching the database was interrupted", "error", err, "retry_in", wait)
		_ = sleep(ctx, wait) // the loop looks at ctx
		wait = min(2*wait, maxReconnectWait)
	}
	return nil //nolint:nilerr // the end of ctx is how Run ends
}

func (w *Watcher) watch(ctx context.Context) error {
	connection, err := w.listen(ctx)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = connection.Close(closing) // nothing is lost with it
	}()
	if err := w.look(ctx, connection); err != nil {
		return err
	}
	w.signalAll()
	next := time.Now().Add(pollInterval)
	for {
		if err := w.waitUntil(ctx, connection, next); err != nil {
			return err
		}
		if !time.Now().Before(next) {
			if err := w.look(ctx, connection); err != nil {
				return err
			}
			next = time.Now().Add(pollInterval)
		}
	}
}

func (w *Watcher) listen(ctx context.Context) (*pgx.Conn, error) {
	config := w.store.connectionConfig()
	config.RuntimeParams["application_name"] = "tidegate-controlplane watcher"
	connection, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connecting to listen: %w", translate(err))
	}
	for _, topic := range []string{topicHeads, topicRollouts} {
		if _, err := connection.Exec(ctx, "LISTEN "+quoted(w.store.channel(topic))); err != nil {
			return nil, errors.Join(fmt.Errorf("listening to %s: %w", topic, translate(err)), connection.Close(ctx))
		}
	}
	return connection, nil
}

// waitUntil handles notifications until one came or the time did.
func (w *Watcher) waitUntil(ctx context.Context, connection *pgx.Conn, until time.Time) error {
	waiting, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	notification, err := connection.WaitForNotification(waiting)
	if err == nil {
		w.handle(notification)
		return nil
	}
	if ctx.Err() == nil && waiting.Err() != nil && !connection.IsClosed() {
		return nil
	}
	return fmt.Errorf("waiting for a notification: %w", translate(err))
}

func (w *Watcher) handle(notification *pgconn.Notification) {
	if notification.Channel == w.store.channel(topicRollouts) {
		w.signalRollouts()
		return
	}
	if fleetID, err := strconv.ParseInt(notification.Payload, 10, 64); err == nil {
		w.signalHeads(fleetID)
	}
}

// look compares the heads with what was seen before. A publish changes them too, so a rollout's lost notification is noticed
// here as well.
func (w *Watcher) look(ctx context.Context, connection *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	heads, err := allHeads(ctx, connection)
	if err != nil {
		return fmt.Errorf("looking at the heads: %w", err)
	}
	for _, head := range heads {
		if w.seen[head.FleetID] == head {
			continue
		}
		w.seen[head.FleetID] = head
		w.signalHeads(head.FleetID)
		w.signalRollouts()
	}
	return nil
}

func (w *Watcher) signalHeads(fleetID int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	signalEach(w.heads[fleetID])
}

func (w *Watcher) signalRollouts() {
	w.mu.Lock()
	defer w.mu.Unlock()
	signalEach(w.rollouts)
}

func (w *Watcher) signalAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, waiters := range w.heads {
		signalEach(waiters)
	}
	signalEach(w.rollouts)
}

// signalEach never blocks: a waiter that has not looked yet will see this change too.
func signalEach(waiters map[chan struct{}]struct{}) {
	for waiter := range waiters {
		select {
		case waiter <- struct{}{}:
		default:
		}
	}
}
