package fleetagent

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// As an agent with a proxy does (package backoff of the data plane).
const (
	firstPause = 250 * time.Millisecond
	mostPause  = 5 * time.Second
)

// Run holds the streams until ctx ends, and opens them again whenever they end, with pauses of chance that grow.
func (a *Agent) Run(ctx context.Context) error {
	for attempt, at := 0, 0; ctx.Err() == nil; attempt++ {
		sessions := a.State().Sessions
		err := a.live(ctx, a.config.Addresses[at%len(a.config.Addresses)])
		if a.State().Sessions > sessions {
			attempt = 0
		}
		wait := pause(attempt)
		switch {
		case errors.Is(err, errMove):
			wait, at = 0, at+1
		case retryAfter(err) > 0:
			wait = retryAfter(err) + rand.N(retryAfter(err)/2+1)
		default:
			at++
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
	return nil
}

// pause lies anywhere below a limit that doubles from attempt to attempt: full jitter.
func pause(attempt int) time.Duration {
	return rand.N(min(mostPause, firstPause<<min(attempt, 6)))
}

// retryAfter is how long the control plane asks to wait; 0: it does not say.
func retryAfter(err error) time.Duration {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration()
		}
	}
	return 0
}

// live holds one connection with both streams until one of them ends.
func (a *Agent) live(ctx context.Context, address string) error {
	connection, err := a.config.Identity.connect(address, a.dial)
	if err != nil {
		return err
	}
	a.mu.Lock()
	a.connection = connection
	a.mu.Unlock()
	welcomed := make(chan struct{})
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return newSession(a, address, welcomed).run(ctx, connection)
	})
	if a.config.Report != nil {
		group.Go(func() error { return a.report(ctx, connection, welcomed) })
	}
	err = group.Wait()
	_ = connection.Close() // nothing is lost with it
	a.update(func(s *State) {
		if !isClosed(welcomed) {
			s.Refused++
		}
		s.Connected, s.Fault = false, err.Error()
	})
	return err
}

func isClosed(signal <-chan struct{}) bool {
	select {
	case <-signal:
		return true
	default:
		return false
	}
}

// connect opens the configuration stream.
func connect(ctx context.Context, connection grpc.ClientConnInterface) (agentv1.AgentService_ConnectClient, error) {
	return agentv1.NewAgentServiceClient(connection).Connect(ctx)
}
