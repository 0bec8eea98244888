package reporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tidegate.dev/dataplane/agent/backoff"
	"tidegate.dev/dataplane/telemetry"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// Config is what a reporter needs. All fields without a default must be set, but for KeyUses.
type Config struct {
	// StateDir is the agent's folder; the file of waiting reports is in it.
	StateDir   string
	BootID     string
	Connection grpc.ClientConnInterface
	Counters   *telemetry.Counters
	// Baseline is kept up to date by the reporter.
	Baseline *telemetry.Baseline
	// Shadows may be nil.
	Shadows *telemetry.Shadows
	KeyUses *telemetry.KeyUses
	Log     *slog.Logger

	// Interval is the time that a report covers; 0: one second.
	Interval time.Duration
	// MemoryLimit and DiskLimit bound what waits, in bytes; 0: 8 MiB and 64 MiB.
	MemoryLimit, DiskLimit int64
	// Farewell is how long the last report may take when the process ends; 0: one second.
	Farewell time.Duration
}

const (
	// inFlight bounds the reports that are sent and not acknowledged.
	inFlight = 32
	// mostRejected is how often in a row the control plane may call the first report wrong before it is thrown away.
	mostRejected = 5
)

// Reporter reports until its Run ends.
type Reporter struct {
	config Config
}

// New makes a reporter. It does nothing before Run.
func New(config Config) *Reporter {
	if config.Interval == 0 {
		config.Interval = time.Second
	}
	if config.Farewell == 0 {
		config.Farewell = time.Second
	}
	if config.MemoryLimit == 0 {
		config.MemoryLimit = 8 << 20
	}
	if config.DiskLimit == 0 {
		config.DiskLimit = 64 << 20
	}
	return &Reporter{config: config}
}

// Run counts from now on and reports until ctx is done. Then it tries for a moment to get rid of the last report, and keeps
// on the disk what it could not.
func (r *Reporter) Run(ctx context.Context) error {
	q, err := openQueue(filepath.Join(r.config.StateDir, "telemetry.spill"), r.config.MemoryLimit, r.config.DiskLimit)
	if err != nil {
		return err
	}
	sending, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	var group errgroup.Group
	group.Go(func() error {
		r.collectAll(ctx, q)
		r.farewell(q)
		stop(errors.New("the agent ends"))
		return nil
	})
	group.Go(func() error {
		r.sendAll(sending, q)
		return nil
	})
	return errors.Join(group.Wait(), q.close())
}

// collectAll cuts reports until ctx is done, and then one more.
func (r *Reporter) collectAll(ctx context.Context, q *queue) {
	c := newCollector(r.config, time.Now())
	ticks := time.NewTicker(r.config.Interval)
	defer ticks.Stop()
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-ticks.C:
		}
		c.collect(time.Now())
		if !q.hasRoom() {
			continue // the next report covers more time
		}
		for _, report := range c.cut(time.Now()) {
			if err := q.push(report); err != nil {
				c.lost += uint64(len(report.GetCells()))
				r.config.Log.ErrorContext(ctx, "telemetry lost", "cells", len(report.GetCells()), "error", err)
			}
		}
	}
}

// farewell waits until everything is sent, but not for long.
func (r *Reporter) farewell(q *queue) {
	end := time.NewTimer(r.config.Farewell)
	defer end.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for !q.empty() {
		select {
		case <-end.C:
			return
		case <-look.C:
		}
	}
}

// sendAll opens the stream again whenever it ends, as long as there is something to send.
func (r *Reporter) sendAll(ctx context.Context, q *queue) {
	rejected := 0
	for attempt := 0; ctx.Err() == nil; attempt++ {
		progress, err := r.converse(ctx, q)
		if err != nil && ctx.Err() == nil {
			r.config.Log.DebugContext(ctx, "no telemetry stream", "error", err)
		}
		if progress {
			attempt, rejected = 0, 0
		}
		if status.Code(err) == codes.InvalidArgument {
			rejected++
		}
		if rejected == mostRejected { // what the control plane cannot take must not hold up all that follows
			rejected = 0
			r.config.Log.ErrorContext(ctx, "telemetry refused by the control plane is thrown away", "error", err)
			q.dropFirst()
		}
		select {
		case <-ctx.Done():
		case <-time.After(backoff.Pause(attempt, err)):
		}
	}
}

// converse holds one stream: it sends what waits, and forgets what is acknowledged. progress says that something was.
func (r *Reporter) converse(ctx context.Context, q *queue) (progress bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := agentv1.NewAgentServiceClient(r.config.Connection).ReportTelemetry(ctx)
	if err != nil {
		return false, fmt.Errorf("opening the telemetry stream: %w", err)
	}
	answers, ended := make(chan *agentv1.ReportTelemetryResponse), make(chan error, 1)
	var receiving sync.WaitGroup
	receiving.Go(func() { ended <- receive(ctx, stream, answers) })
	defer receiving.Wait()
	defer cancel()
	for sent := 0; ; {
		for sent < inFlight {
			report, there := q.at(sent)
			if !there {
				break
			}
			if err := stream.Send(report); err != nil {
				return progress, fmt.Errorf("sending a report: %w", err)
			}
			sent++
		}
		select {
		case <-ctx.Done():
			return progress, nil
		case err := <-ended:
			return progress, fmt.Errorf("receiving acknowledgements: %w", err)
		case answer := <-answers:
			removed := q.acknowledge(answer.GetBootId(), answer.GetAcknowledgedSequence())
			sent, progress = max(0, sent-removed), progress || removed > 0
		case <-q.changed:
		}
	}
}

// receive hands over acknowledgements until the stream ends.
func receive(ctx context.Context, stream agentv1.AgentService_ReportTelemetryClient, answers chan<- *agentv1.ReportTelemetryResponse) error {
	for {
		answer, err := stream.Recv()
		if err != nil {
			return err
		}
		select {
		case answers <- answer:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
