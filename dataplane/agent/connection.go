package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"tidegate.dev/dataplane/agent/backoff"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

const (
	// steadyAfter is how long a stream must have lived for the next attempt to come soon again.
	steadyAfter = 10 * time.Second
	// outbound bounds what waits to be sent. A control plane that does not take it is gone.
	outbound = 32
)

// link is one life of the configuration stream.
type link struct {
	out    chan *agentv1.ConnectRequest
	cancel context.CancelCauseFunc
}

// send queues a message, or ends a link that takes none.
func (l *link) send(request *agentv1.ConnectRequest) {
	if l == nil {
		return
	}
	select {
	case l.out <- request:
	default:
		l.cancel(errors.New("the control plane does not read its stream"))
	}
}

// event is what happened to a link: it was opened (neither message nor err), it brought a message, or it ended with err.
type event struct {
	link    *link
	message *agentv1.ConnectResponse
	err     error
}

// keepConnected opens the stream again whenever it ends, with pauses that grow and differ from agent to agent.
func (a *Agent) keepConnected(ctx context.Context) error {
	for attempt := 0; ctx.Err() == nil; attempt++ {
		began := time.Now()
		err := a.converse(ctx)
		if err != nil && ctx.Err() == nil {
			a.log.WarnContext(ctx, "no stream to the control plane", "error", err)
		}
		if time.Since(began) > steadyAfter {
			attempt = 0
		}
		select {
		case <-ctx.Done():
		case <-time.After(backoff.Pause(attempt, err)):
		}
	}
	return nil
}

// converse holds one stream from its beginning to its end.
func (a *Agent) converse(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stream, err := agentv1.NewAgentServiceClient(a.config.Connection).Connect(ctx)
	if err != nil {
		return fmt.Errorf("opening the stream: %w", err)
	}
	l := &link{out: make(chan *agentv1.ConnectRequest, outbound), cancel: cancel}
	if !a.tell(ctx, event{link: l}) {
		return context.Cause(ctx)
	}
	group, sending := errgroup.WithContext(ctx)
	group.Go(func() error {
		err := sendAll(sending, stream, l.out)
		cancel(err)
		return err
	})
	group.Go(func() error { return a.receiveAll(ctx, stream, l) })
	err = group.Wait()
	a.tell(context.WithoutCancel(ctx), event{link: l, err: err})
	return err
}

// tell gives an event to the loop, unless ctx or the loop ends first.
func (a *Agent) tell(ctx context.Context, e event) bool {
	select {
	case a.events <- e:
		return true
	case <-ctx.Done():
		return false
	case <-a.ended:
		return false
	}
}

func (a *Agent) receiveAll(ctx context.Context, stream agentv1.AgentService_ConnectClient, l *link) error {
	for {
		message, err := stream.Recv()
		if err != nil {
			return errors.Join(fmt.Errorf("receiving: %w", err), context.Cause(ctx))
		}
		if !a.tell(ctx, event{link: l, message: message}) {
			return context.Cause(ctx)
		}
	}
}

func sendAll(ctx context.Context, stream agentv1.AgentService_ConnectClient, out <-chan *agentv1.ConnectRequest) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case request := <-out:
			if err := stream.Send(request); err != nil {
				return fmt.Errorf("sending: %w", err)
			}
		}
	}
}
