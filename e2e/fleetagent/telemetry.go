package fleetagent

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// reports are those that are not acknowledged. They outlive the stream, so that each is counted once.
type reports struct {
	mu      sync.Mutex
	last    int64 // the highest sequence given out
	waiting []*agentv1.ReportTelemetryRequest
}

// waitingLimit bounds what waits, in reports; beyond it a report covers more time.
const waitingLimit = 64

func (r *reports) cut(bootID string, cells []*agentv1.Cell, interval time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) >= waitingLimit {
		return
	}
	r.last++
	r.waiting = append(r.waiting, &agentv1.ReportTelemetryRequest{
		BootId: bootID, Sequence: r.last, StartUnixMs: time.Now().Add(-interval).UnixMilli(), DurationMs: uint32(interval.Milliseconds()), Cells: cells,
	})
}

// after returns those behind a sequence.
func (r *reports) after(sequence int64) []*agentv1.ReportTelemetryRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, report := range r.waiting {
		if report.GetSequence() > sequence {
			return append([]*agentv1.ReportTelemetryRequest(nil), r.waiting[i:]...)
		}
	}
	return nil
}

// stored forgets reports, and says how many.
func (r *reports) stored(sequence int64) (count int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.waiting) > 0 && r.waiting[0].GetSequence() <= sequence {
		r.waiting = r.waiting[1:]
		count++
	}
	return count
}

// report holds the telemetry stream once the agent is welcomed.
func (a *Agent) report(ctx context.Context, connection grpc.ClientConnInterface, welcomed <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-welcomed:
	}
	stream, err := agentv1.NewAgentServiceClient(connection).ReportTelemetry(ctx)
	if err != nil {
		return fmt.Errorf("opening the telemetry stream: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.sendReports(ctx, stream) })
	group.Go(func() error {
		for {
			answer, err := stream.Recv()
			if err != nil {
				return fmt.Errorf("receiving what was stored: %w", err)
			}
			if answer.GetBootId() == a.bootID {
				stored := a.reports.stored(answer.GetAcknowledgedSequence())
				a.update(func(s *State) { s.ReportsStored += stored })
			}
		}
	})
	return group.Wait()
}

func (a *Agent) sendReports(ctx context.Context, stream agentv1.AgentService_ReportTelemetryClient) error {
	ticker := time.NewTicker(a.config.ReportInterval)
	defer ticker.Stop()
	for sent := int64(0); ; {
		for _, report := range a.reports.after(sent) {
			if err := stream.Send(report); err != nil {
				return nil // whoever receives learns why
			}
			sent = report.GetSequence()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
			a.reports.cut(a.bootID, a.config.Report(), a.config.ReportInterval)
		}
	}
}
