package fleet

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tidegate.dev/controlplane/store"
)

const (
	// flushInterval is how long acknowledgements and heartbeats are collected into one statement.
	flushInterval = 100 * time.Millisecond
	flushTimeout  = 10 * time.Second
)

// board collects what agents say and writes it in batches, one statement for all agents of this replica. It is safe for
// concurrent use. What could not be written is kept and merged with what comes later, so its size is bounded by the number
// of sessions.
type board struct {
	store *store.Store
	log   *slog.Logger
	// superseded is told of sessions whose reports met no row.
	superseded func(agentID string, session int64)
	kick       chan struct{}

	mu      sync.Mutex
	reports map[boardKey]store.AgentReport
}

type boardKey struct {
	agentID string
	session int64
}

func newBoard(s *store.Store, log *slog.Logger, superseded func(string, int64)) *board {
	return &board{store: s, log: log, superseded: superseded, kick: make(chan struct{}, 1), reports: map[boardKey]store.AgentReport{}}
}

// add merges a report into what is waiting to be written. The end of a session is written at once, the rest within
// flushInterval.
func (b *board) add(report store.AgentReport) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := boardKey{report.ID, report.Session}
	b.reports[key] = merged(b.reports[key], report)
	if !report.Connected {
		signal(b.kick)
	}
}

// merged is what two reports of a session say together. The zero report says nothing.
func merged(earlier, later store.AgentReport) store.AgentReport {
	if earlier.ID == "" {
		return later
	}
	later.Connected = later.Connected && earlier.Connected
	later.Seen = later.Seen || earlier.Seen
	if later.Acknowledgement == nil {
		later.Acknowledgement = earlier.Acknowledgement
	}
	if later.Serving == nil {
		later.Serving = earlier.Serving
	}
	if later.FailedRollout == 0 {
		later.FailedRollout = earlier.FailedRollout
	}
	return later
}

// run writes until ctx ends, and then what is left. A write under way is not cut off.
func (b *board) run(ctx context.Context) {
	writing := context.WithoutCancel(ctx)
	ticker := time.NewTicker(flushInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			b.flush(writing)
			return
		case <-b.kick:
		case <-ticker.C:
		}
		b.flush(writing)
	}
}

// flush writes what is waiting. On failure it waits on.
func (b *board) flush(ctx context.Context) {
	reports := b.take()
	if len(reports) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	var held map[string]bool
	err := b.store.InTx(ctx, func(tx *store.Tx) (err error) {
		held, err = tx.SaveAgentReports(ctx, reports)
		return err
	})
	if err != nil {
		b.log.Warn("writing what agents said failed; it is tried again", "agents", len(reports), "error", err)
		b.giveBack(reports)
		return
	}
	for _, report := range reports {
		if !held[report.ID] && report.Connected {
			b.superseded(report.ID, report.Session)
		}
	}
}

// take returns at most one report an agent: of the newest session, since an older one's would change nothing.
func (b *board) take() []store.AgentReport {
	b.mu.Lock()
	defer b.mu.Unlock()
	newest := make(map[string]store.AgentReport, len(b.reports))
	for key, report := range b.reports {
		if newest[key.agentID].Session < key.session {
			newest[key.agentID] = report
		}
	}
	clear(b.reports)
	reports := make([]store.AgentReport, 0, len(newest))
	for _, report := range newest {
		reports = append(reports, report)
	}
	return reports
}

// giveBack puts reports behind what came since.
func (b *board) giveBack(reports []store.AgentReport) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, report := range reports {
		key := boardKey{report.ID, report.Session}
		if later, ok := b.reports[key]; ok {
			report = merged(report, later)
		}
		b.reports[key] = report
	}
}
