package telemetry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"

	"tidegate.dev/controlplane/store"
)

const (
	// flushInterval is how long reports are collected into one transaction, and hastyInterval how long when one of them is evidence,
	// for which a rollout waits.
	flushInterval = 500 * time.Millisecond
	hastyInterval = 100 * time.Millisecond
	flushTimeout  = 20 * time.Second
	minRetryWait  = 100 * time.Millisecond
	maxRetryWait  = 5 * time.Second
	// queueLimit and memoryLimit bound what was received and is not stored yet, in reports and in bytes. Beyond them nothing
	// more is read, and agents keep what they counted.
	queueLimit  = 4096
	memoryLimit = 64 << 20
	// reportOverhead is what a report costs beside its encoding.
	reportOverhead = 512
)

// errDeleted: the agent does not exist any more.
var errDeleted = &FaultError{"the agent was deleted"}

// Collector takes in the reports of this replica's agents. It is safe for concurrent use.
type Collector struct {
	store  *store.Store
	log    *slog.Logger
	queue  chan *received
	memory *semaphore.Weighted
	// reports by outcome: counted, repeated (counted before) or refused
	reports *prometheus.CounterVec
	waiting prometheus.GaugeFunc
}

// received is a report on its way into the store.
type received struct {
	boot    store.TelemetryBoot
	report  *agentv1.ReportTelemetryRequest
	mailbox *mailbox
	bytes   int64
}

// NewCollector returns a collector that begins with Run.
func NewCollector(s *store.Store, log *slog.Logger) *Collector {
	c := &Collector{
		store: s, log: log, queue: make(chan *received, queueLimit), memory: semaphore.NewWeighted(memoryLimit),
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tidegate_telemetry_reports_total",
			Help: "Reports of agents, by outcome: counted, repeated (counted before) or refused.",
		}, []string{"outcome"}),
	}
	c.waiting = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "tidegate_telemetry_reports_waiting", Help: "Reports that were received and are not stored yet.",
	}, func() float64 { return float64(len(c.queue)) })
	return c
}

// Metrics returns what to register with Prometheus.
func (c *Collector) Metrics() []prometheus.Collector {
	return []prometheus.Collector{c.reports, c.waiting}
}

// Handle serves one agent's stream to its end, and returns why it ended. The agent is known to be who it says.
func (c *Collector) Handle(ctx context.Context, _ int64, agentID string,
	stream grpc.BidiStreamingServer[agentv1.ReportTelemetryRequest, agentv1.ReportTelemetryResponse],
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	mailbox := newMailbox()
	go func() { cancel(c.receive(ctx, agentID, mailbox, stream)) }() // ends with the stream
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-mailbox.ready:
		}
		stored, rejected := mailbox.take()
		for boot, sequence := range stored {
			if err := stream.Send(&agentv1.ReportTelemetryResponse{BootId: boot, AcknowledgedSequence: sequence}); err != nil {
				return err
			}
		}
		if rejected != nil {
			return rejected
		}
	}
}

// receive queues what the agent reports. While the queue is full it reads nothing.
func (c *Collector) receive(ctx context.Context, agentID string, mailbox *mailbox,
	stream grpc.BidiStreamingServer[agentv1.ReportTelemetryRequest, agentv1.ReportTelemetryResponse],
) error {
	for {
		report, err := stream.Recv()
		if err != nil {
			return err
		}
		if err := check(report); err != nil {
			c.reports.WithLabelValues("refused").Inc()
			return err
		}
		item := &received{
			boot: store.TelemetryBoot{AgentID: agentID, BootID: report.GetBootId()}, report: report, mailbox: mailbox,
			bytes: min(int64(proto.Size(report))+reportOverhead, memoryLimit),
		}
		if err := c.memory.Acquire(ctx, item.bytes); err != nil {
			return context.Cause(ctx)
		}
		select {
		case c.queue <- item:
		case <-ctx.Done():
			c.memory.Release(item.bytes)
			return context.Cause(ctx)
		}
	}
}

// Run stores what comes in, until ctx ends. What is not stored by then was not acknowledged; agents send it again.
func (c *Collector) Run(ctx context.Context) error {
	wait := minRetryWait
	for {
		items := c.gather(ctx)
		if len(items) == 0 {
			return nil
		}
		for {
			err := c.storeAll(ctx, items)
			if err == nil {
				wait = minRetryWait
				break
			}
			c.log.Warn("storing telemetry failed; it is tried again", "reports", len(items), "error", err, "retry_in", wait)
			if !sleep(ctx, wait) {
				return nil
			}
			wait = min(2*wait, maxRetryWait)
		}
		for _, item := range items {
			c.memory.Release(item.bytes)
		}
	}
}

// gather waits for a report and then collects more for a moment. It returns none when ctx has ended.
func (c *Collector) gather(ctx context.Context) (items []*received) {
	select {
	case <-ctx.Done():
		return nil
	case item := <-c.queue:
		items = append(items, item)
	}
	began := time.Now()
	timer := time.NewTimer(flushInterval)
	defer timer.Stop()
	hurry := func(item *received, hasty bool) bool {
		if !hasty && isEvidence(item.report) {
			timer.Reset(max(0, hastyInterval-time.Since(began)))
			return true
		}
		return hasty
	}
	for hasty := hurry(items[0], false); len(items) < queueLimit; {
		select {
		case item := <-c.queue:
			items = append(items, item)
			hasty = hurry(item, hasty)
		case <-timer.C:
			return items
		case <-ctx.Done():
			return items
		}
	}
	return items
}

// isEvidence says whether a rollout waits for the report.
func isEvidence(report *agentv1.ReportTelemetryRequest) bool {
	return len(report.GetShadows()) > 0 || slices.ContainsFunc(report.GetCells(), func(cell *agentv1.Cell) bool { return cell.GetRolloutId() != "" })
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// storeAll stores the reports in one transaction, or, if it is not the database's fault that this fails, each in one of its
// own, so that one that cannot be stored does not keep the others waiting; that one ends its stream.
func (c *Collector) storeAll(ctx context.Context, items []*received) error {
	err := c.write(ctx, items)
	if err == nil || isTransient(err) {
		return err
	}
	if len(items) == 1 {
		c.log.Error("a report cannot be stored", "agent_id", items[0].boot.AgentID, "error", err)
		items[0].mailbox.reject(&FaultError{"it cannot be stored"})
		return nil
	}
	for i := range items {
		if err := c.storeAll(ctx, items[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

func isTransient(err error) bool {
	return errors.Is(err, store.ErrUnavailable) || errors.Is(err, store.ErrBusy) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// write stores reports, each once, and acknowledges them.
func (c *Collector) write(ctx context.Context, items []*received) error {
	// A transaction under way is not cut off at shutdown.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
	defer cancel()
	var cursors map[store.TelemetryBoot]store.TelemetryCursor
	var counted int
	err := c.store.InTx(ctx, func(tx *store.Tx) (err error) {
		if cursors, err = tx.LockTelemetryCursors(ctx, bootsOf(items)); err != nil {
			return err
		}
		counted, err = c.count(ctx, tx, items, cursors)
		return err
	})
	if err != nil {
		return err
	}
	c.reports.WithLabelValues("counted").Add(float64(counted))
	c.reports.WithLabelValues("repeated").Add(float64(len(items) - counted))
	for _, item := range items {
		if cursor, known := cursors[item.boot]; known {
			item.mailbox.acknowledge(item.boot.BootID, cursor.Sequence)
		} else {
			item.mailbox.reject(errDeleted)
		}
	}
	return nil
}

// count adds up what was not counted yet and moves the cursors, in the store and in the map. It returns how many of the
// reports that were.
func (c *Collector) count(ctx context.Context, tx *store.Tx, items []*received, cursors map[store.TelemetryBoot]store.TelemetryCursor) (int, error) {
	fresh := c.uncounted(items, cursors)
	if len(fresh) == 0 {
		return 0, nil
	}
	holders, err := holdersOf(ctx, tx, fresh)
	if err != nil {
		return 0, err
	}
	sums := newMerged(holders)
	for _, item := range fresh {
		sums.add(cursors[item.boot].FleetID, item.boot.AgentID, item.report)
	}
	kept, err := keepMinutes(fresh, cursors)
	if err != nil {
		return 0, err
	}
	if err := tx.MoveTelemetryCursors(ctx, kept.moved); err != nil {
		return 0, err
	}
	if err := tx.AddTelemetryMinutes(ctx, kept.over); err != nil {
		return 0, err
	}
	return len(fresh), save(ctx, tx, sums)
}

// save writes what reports come to.
func save(ctx context.Context, tx *store.Tx, sums *merged) error {
	if err := tx.AddTelemetryCounts(ctx, sums.counts); err != nil {
		return err
	}
	if err := tx.AddTelemetryTraffic(ctx, sums.traffic); err != nil {
		return err
	}
	if err := tx.AddKeyUses(ctx, sums.keyUses); err != nil {
		return err
	}
	if err := tx.AddEvidenceSums(ctx, sums.evidence); err != nil {
		return err
	}
	if err := tx.AddShadow(ctx, sums.shadows); err != nil {
		return err
	}
	for fleetID := range sums.fleets {
		if err := tx.NotifyRollouts(ctx, fleetID); err != nil {
			return err
		}
	}
	return nil
}

// uncounted picks the reports that come after what was counted, in the order in which they came, and moves the cursors in
// the map past them.
func (c *Collector) uncounted(items []*received, cursors map[store.TelemetryBoot]store.TelemetryCursor) (fresh []*received) {
	for _, item := range items {
		cursor, known := cursors[item.boot]
		sequence := item.report.GetSequence()
		if !known || sequence <= cursor.Sequence {
			continue
		}
		if sequence != cursor.Sequence+1 {
			c.log.Warn("telemetry has a gap", "agent_id", item.boot.AgentID, "boot_id", item.boot.BootID,
				"after", cursor.Sequence, "sequence", sequence)
		}
		if lost := item.report.GetLostCells(); lost > 0 {
			c.log.Warn("an agent lost telemetry", "agent_id", item.boot.AgentID, "cells", lost)
		}
		if left := item.report.GetUnitsLeftOut(); left > 0 {
			c.log.Warn("an agent counts a sample of the units only: there are more than it keeps apart", "agent_id", item.boot.AgentID, "requests_left_out", left)
		}
		cursor.Sequence = sequence
		cursors[item.boot] = cursor
		fresh = append(fresh, item)
	}
	return fresh
}

// holdersOf reads which of the agents were given the candidates that their reports name.
func holdersOf(ctx context.Context, tx *store.Tx, items []*received) (map[store.CandidateHolder]bool, error) {
	rollouts, agents := map[int64]bool{}, map[string]bool{}
	for _, item := range items {
		for _, cell := range item.report.GetCells() {
			if rollout := rolloutOf(cell); rollout != 0 {
				rollouts[rollout], agents[item.boot.AgentID] = true, true
			}
		}
		for _, unit := range item.report.GetUnits() {
			if rollout := rolloutIn(unit.GetRolloutId(), unit.GetSharePpm()); rollout != 0 {
				rollouts[rollout], agents[item.boot.AgentID] = true, true
			}
		}
		for _, shadow := range item.report.GetShadows() {
			if rollout, err := strconv.ParseInt(shadow.GetRolloutId(), 10, 64); err == nil {
				rollouts[rollout], agents[item.boot.AgentID] = true, true
			}
		}
	}
	if len(rollouts) == 0 {
		return nil, nil
	}
	holders, err := tx.CandidateHolders(ctx, keysOf(rollouts), keysOf(agents))
	if err != nil {
		return nil, fmt.Errorf("checking who may give evidence: %w", err)
	}
	return holders, nil
}

func keysOf[K comparable](set map[K]bool) []K {
	keys := make([]K, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	return keys
}

// bootsOf lists the boots that reported, each once.
func bootsOf(items []*received) []store.TelemetryBoot {
	set := map[store.TelemetryBoot]bool{}
	for _, item := range items {
		set[item.boot] = true
	}
	return keysOf(set)
}
