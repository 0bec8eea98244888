package agent

import (
	"context"
	"errors"
	"time"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// loop is the one goroutine that decides. Nothing in it waits for the network or for the compiler.
func (a *Agent) loop(ctx context.Context) error {
	defer close(a.ended)
	heartbeat := time.NewTicker(a.heartbeat)
	defer heartbeat.Stop()
	look := time.NewTimer(a.config.GuardInterval)
	defer look.Stop()
	for ctx.Err() == nil {
		interval := a.heartbeat
		select {
		case <-ctx.Done():
		case e := <-a.events:
			a.onEvent(ctx, e)
		case o := <-a.done:
			a.onCompiled(ctx, o)
		case <-look.C:
			look.Reset(a.onLook(ctx, time.Now()))
		case <-heartbeat.C:
			a.onHeartbeat()
		case q := <-a.asks:
			err := q.do(ctx)
			a.publish()
			q.answer <- err
		}
		if a.heartbeat != interval {
			heartbeat.Reset(a.heartbeat)
		}
		a.publish()
	}
	return nil
}

func (a *Agent) onEvent(ctx context.Context, e event) {
	switch {
	case e.err != nil:
		if e.link == a.link {
			a.link, a.welcomed = nil, false // what has come of a transfer is kept: it may go on
			a.away = time.Now()
		}
	case e.message == nil:
		a.link, a.welcomed, a.failed, a.staleLane = e.link, false, failedTransfer{}, false
		a.link.send(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Hello{Hello: a.hello()}})
	case e.link == a.link:
		if err := a.onMessage(ctx, e.message); err != nil {
			a.link.cancel(err)
		}
	}
}

// onMessage takes a message. An error ends the stream: what follows would make no sense, and Hello says anew what is held.
func (a *Agent) onMessage(ctx context.Context, message *agentv1.ConnectResponse) error {
	if welcome := message.GetWelcome(); welcome != nil {
		a.onWelcome(ctx, welcome)
		return nil
	}
	if !a.welcomed {
		return errors.New("the control plane did not say welcome first")
	}
	switch m := message.GetMessage().(type) {
	case *agentv1.ConnectResponse_LaneBatch:
		return a.onLane(ctx, m.LaneBatch)
	case *agentv1.ConnectResponse_Content:
		return a.onContent(ctx, m.Content)
	case *agentv1.ConnectResponse_DesiredState:
		a.onSignedState(ctx, m.DesiredState)
	case *agentv1.ConnectResponse_LocalActionsStored:
		a.onActionsStored(ctx, m.LocalActionsStored)
	case *agentv1.ConnectResponse_Move:
		a.move(ctx)
	}
	return nil // a message of a newer control plane
}

// move goes to another replica of the control plane, which has fewer agents. What is served does not depend on it.
func (a *Agent) move(ctx context.Context) {
	if a.config.Move == nil {
		return
	}
	a.log.InfoContext(ctx, "asked to go to another replica of the control plane")
	if err := a.config.Move(); err != nil {
		a.log.WarnContext(ctx, "staying with this replica of the control plane", "error", err)
	}
}

func (a *Agent) hello() *agentv1.Hello {
	state := a.journal.State()
	hello := &agentv1.Hello{
		BootId: a.bootID, Version: a.config.Version, PluginTypes: a.config.PluginTypes,
		Holds: state.Holds(), Dropped: state.Dropped,
		Epoch: state.Desired.GetEpoch(), Generation: state.Desired.GetGeneration(),
		Labels: a.config.Labels, PartialContent: a.transfer.begun(), PartialLane: a.laneReset.begun(),
	}
	if a.config.Listeners != nil {
		hello.Listeners = a.config.Listeners()
	}
	if state.LaneEpoch >= hello.GetEpoch() {
		hello.LaneSequence = state.LaneSequence
	}
	return hello
}

const (
	leastHeartbeat = 50 * time.Millisecond
	mostHeartbeat  = time.Minute
)

func (a *Agent) onWelcome(ctx context.Context, welcome *agentv1.Welcome) {
	a.welcomed, a.away = true, time.Time{}
	if interval := time.Duration(welcome.GetHeartbeatIntervalMs()) * time.Millisecond; interval > 0 {
		a.heartbeat = min(max(interval, leastHeartbeat), mostHeartbeat)
	}
	a.takeKeyHashKey(ctx, welcome.GetKeyHashKey())
	a.takeTicketSecret(ctx, welcome.GetSessionTicketSecret())
	a.log.InfoContext(ctx, "connected to the control plane")
	a.actions.changed = true // nobody knows what the last one was told
	a.onHeartbeat()
}

func (a *Agent) onHeartbeat() {
	if a.welcomed {
		beat := &agentv1.Heartbeat{Serving: a.servingMessage()}
		a.link.send(&agentv1.ConnectRequest{Message: &agentv1.ConnectRequest_Heartbeat{Heartbeat: beat}})
		a.tellActions(time.Now())
	}
}

func (a *Agent) servingMessage() *agentv1.Serving {
	message := &agentv1.Serving{
		StableRevision: a.serving.stable.reference.GetRevision(), LaneSequence: a.journal.State().LaneSequence,
	}
	if c := a.serving.candidate; c != nil {
		message.CandidateRevision, message.CandidateSharePpm = c.reference.GetRevision(), a.serving.sharePPM
	}
	return message
}
