package fleet

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"tidegate.dev/controlplane/store"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

const (
	readTimeout  = 5 * time.Second
	minRetryWait = 100 * time.Millisecond
	maxRetryWait = 2 * time.Second
)

// view is what the agents of a fleet should serve, at one moment. It is shared and never changes.
type view struct {
	*store.Delivery
	// guard is how agents judge the candidate; nil without a rollout.
	guard *agentv1.Guard
	// shadowPPM is the share of requests that the candidate decides without effect; 0: none.
	shadowPPM uint32
	// sticky says for what the coin is thrown; nil: for each request.
	sticky *stickyCoin
}

// feeds reads what fleets should serve, once for all sessions of a fleet. A fleet has a feed while it has sessions.
type feeds struct {
	store   *store.Store
	watcher *store.Watcher
	secret  secretOf
	log     *slog.Logger

	mu      sync.Mutex
	byFleet map[int64]*feed
	running sync.WaitGroup
}

// feed is one fleet's.
type feed struct {
	fleetID int64
	refresh chan struct{}
	stop    context.CancelFunc

	mu      sync.Mutex
	current *view
	waiters map[chan struct{}]struct{}
}

func newFeeds(s *store.Store, w *store.Watcher, secret secretOf, log *slog.Logger) *feeds {
	return &feeds{store: s, watcher: w, secret: secret, log: log, byFleet: map[int64]*feed{}}
}

// subscription is one session's part of a feed.
type subscription struct {
	feeds *feeds
	feed  *feed
	// changed receives a signal after the view may have changed.
	changed chan struct{}
}

// subscribe joins the fleet's feed, which begins with the first subscriber and ends with the last.
func (f *feeds) subscribe(fleetID int64) *subscription {
	f.mu.Lock()
	defer f.mu.Unlock()
	joined := f.byFleet[fleetID]
	if joined == nil {
		ctx, cancel := context.WithCancel(context.Background())
		joined = &feed{fleetID: fleetID, refresh: make(chan struct{}, 1), stop: cancel, waiters: map[chan struct{}]struct{}{}}
		f.byFleet[fleetID] = joined
		f.running.Go(func() { f.run(ctx, joined) })
	}
	changed := make(chan struct{}, 1)
	joined.mu.Lock()
	defer joined.mu.Unlock()
	joined.waiters[changed] = struct{}{}
	if joined.current != nil {
		signal(changed)
	}
	return &subscription{feeds: f, feed: joined, changed: changed}
}

// end leaves the feed.
func (s *subscription) end() {
	s.feeds.mu.Lock()
	defer s.feeds.mu.Unlock()
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	delete(s.feed.waiters, s.changed)
	if len(s.feed.waiters) == 0 {
		delete(s.feeds.byFleet, s.feed.fleetID)
		s.feed.stop()
	}
}

// view returns what the fleet should serve, or nil before it was read for the first time.
func (s *subscription) view() *view {
	s.feed.mu.Lock()
	defer s.feed.mu.Unlock()
	return s.feed.current
}

// refresh asks for another look, for a session that knows that the view is old. A signal follows.
func (s *subscription) refresh() { signal(s.feed.refresh) }

// run reads the view after each change, and again and again while the store does not answer.
func (f *feeds) run(ctx context.Context, feed *feed) {
	heads, cancel := f.watcher.Heads(feed.fleetID)
	defer cancel()
	wait := minRetryWait
	for {
		var retry <-chan time.Time
		switch err := f.load(ctx, feed); {
		case err == nil:
			wait = minRetryWait
		case ctx.Err() != nil:
			return
		case errors.Is(err, store.ErrNotFound):
			f.log.Error("the fleet of connected agents does not exist", "fleet_id", feed.fleetID)
		default:
			f.log.Warn("reading what a fleet should serve failed", "fleet_id", feed.fleetID, "error", err, "retry_in", wait)
			retry = time.After(wait)
			wait = min(2*wait, maxRetryWait)
		}
		select {
		case <-ctx.Done():
			return
		case <-heads:
		case <-feed.refresh:
		case <-retry:
		}
	}
}

func (f *feeds) load(ctx context.Context, feed *feed) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	next := &view{}
	err := f.store.View(ctx, func(tx *store.Tx) (err error) {
		next.Delivery, err = tx.Delivery(ctx, feed.fleetID)
		return err
	})
	if err != nil {
		return err
	}
	if next.Rollout != nil {
		next.shadowPPM = shadowOf(next.Rollout)
		if next.guard, err = guardOf(next.Rollout, next.Agents); err != nil {
			// Without a guard the fleet's judge still judges.
			f.log.Error("agents get no guard for a rollout", "rollout", next.Rollout.ID, "error", err)
		}
		if next.sticky, err = stickyOf(feed.fleetID, next.Rollout, f.secret); err != nil {
			f.log.Error("the coin of a rollout is thrown for each request", "rollout", next.Rollout.ID, "error", err)
		}
	}
	feed.mu.Lock()
	defer feed.mu.Unlock()
	feed.current = next
	for waiter := range feed.waiters {
		signal(waiter)
	}
	return nil
}

// signal never blocks: one signal that was not taken stands for all since.
func signal(waiter chan struct{}) {
	select {
	case waiter <- struct{}{}:
	default:
	}
}
