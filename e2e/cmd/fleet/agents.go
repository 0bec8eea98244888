package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"

	"tidegate.dev/e2e/fleetagent"
)

const (
	enrolmentsAtOnce = 8
	look             = 10 * time.Millisecond
)

// pause waits a moment between two looks.
func pause(ctx context.Context) error {
	timer := time.NewTimer(look)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// fleet is all agents.
type fleet struct {
	plane   *controlPlane
	agents  []*fleetagent.Agent
	watch   *watch
	began   time.Time
	cancel  context.CancelFunc
	running sync.WaitGroup
}

// startFleet enrols the agents and lets them run. They begin at a replica by chance.
func startFleet(ctx context.Context, o *options, plane *controlPlane) (*fleet, error) {
	f := &fleet{plane: plane, agents: make([]*fleetagent.Agent, o.Agents), watch: newWatch()}
	contents, reported := fleetagent.NewContents(), cellsOf(o.ReportedRoutes)
	group, enrolling := errgroup.WithContext(ctx)
	group.SetLimit(enrolmentsAtOnce)
	for i := range f.agents {
		group.Go(func() error {
			identity, err := enrol(enrolling, plane, fmt.Sprintf("fleet-%05d", i))
			if err != nil {
				return err
			}
			f.agents[i] = fleetagent.New(fleetagent.Config{
				Identity: identity, Contents: contents, Addresses: shuffled(plane.Replicas), Report: reported,
				Served:    func(state *agentv1.DesiredState) { f.watch.served(i, state) },
				Delivered: func(batch *agentv1.LaneBatch) { f.watch.delivered(i, batch) },
			})
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, fmt.Errorf("enrolling agents: %w", err)
	}
	fmt.Fprintf(os.Stderr, "%d agents have enrolled\n", o.Agents)
	ctx, f.cancel = context.WithCancel(context.WithoutCancel(ctx))
	f.began = time.Now()
	for _, agent := range f.agents {
		f.running.Go(func() { _ = agent.Run(ctx) }) // it ends with ctx alone
	}
	return f, nil
}

func enrol(ctx context.Context, plane *controlPlane, name string) (*fleetagent.Identity, error) {
	var token adminv1.CreateJoinTokenResponse
	if err := plane.call(ctx, http.MethodPost, "/v1/joinTokens", &adminv1.CreateJoinTokenRequest{Fleet: "default"}, &token); err != nil {
		return nil, err
	}
	return fleetagent.Enroll(ctx, fleetagent.Enrolment{Address: plane.Replicas[0].AgentAddress, JoinToken: token.GetToken(), Name: name})
}

func shuffled(replicas []replica) (addresses []string) {
	for _, i := range rand.Perm(len(replicas)) {
		addresses = append(addresses, replicas[i].AgentAddress)
	}
	return addresses
}

// cellsOf makes what an agent reports each second of so many routes; nil: nothing.
func cellsOf(routes int) func() []*agentv1.Cell {
	if routes == 0 {
		return nil
	}
	var cells []*agentv1.Cell
	for i := range routes {
		cells = append(cells, &agentv1.Cell{
			Revision: 1, Arm: agentv1.Arm_ARM_STABLE, Route: fmt.Sprintf("fleet-route-%06d", i), StatusClass: 2, Requests: 100,
			Buckets: []uint32{20, 21, 22, 23, 24, 30}, BucketCounts: []uint64{10, 20, 40, 20, 9, 1},
		})
	}
	return func() []*agentv1.Cell { return cells }
}

// stop ends the agents.
func (f *fleet) stop() {
	f.cancel()
	f.running.Wait()
}

// all waits until the state of each agent satisfies a condition.
func (f *fleet) all(ctx context.Context, what string, is func(fleetagent.State) bool) error {
	for i, agent := range f.agents {
		if state, err := agent.Await(ctx, is); err != nil {
			return fmt.Errorf("agent %d of %d is not %s: %w; it is %+v", i, len(f.agents), what, err, state)
		}
	}
	return nil
}
