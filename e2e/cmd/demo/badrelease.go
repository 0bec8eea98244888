package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

const (
	warmUp      = 3 * time.Second // load before the change
	afterwards  = 5 * time.Second // load after it was taken back
	settle      = time.Second     // what is in flight when it is taken back may still fail
	longest     = 5 * time.Minute // a rollout that takes longer is not judged any more
	reportDelay = 2500 * time.Millisecond
)

// release is one broken change on its way.
type release struct {
	stack    *stack
	api      *api
	breakage breakage
	rate     float64
	load     *load

	before    adminv1.Fleet
	revision  int32
	rollout   adminv1.Rollout
	published time.Time
	ended     time.Time
	healed    loadState // a moment after it was taken back
	last      loadState

	// Requests through the candidate by the agents' own count, and those of them that went wrong.
	exposed, failed int64
}

func (r *release) run(ctx context.Context) error {
	resource, err := r.prepare(ctx)
	if err != nil {
		return err
	}
	r.load = newLoad(loadConfig{
		Targets: r.stack.proxies(), Path: r.breakage.path, Key: r.stack.Demo.Key, Rate: r.rate, Timeout: 10 * time.Second,
	})
	loading, stopLoad := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		r.load.run(loading)
		close(done)
	}()
	err = r.release(ctx, resource)
	stopLoad()
	<-done
	if err != nil {
		return err
	}
	r.last = r.load.state()
	return r.judge(ctx)
}

// prepare checks that all is calm and makes the broken resource of the healthy ones.
func (r *release) prepare(ctx context.Context) (*adminv1.Resource, error) {
	if err := r.api.get(ctx, "", &r.before); err != nil {
		return nil, err
	}
	if id := r.before.GetActiveRollout(); id != "" {
		return nil, fmt.Errorf("rollout %s runs; wait for it or abort it first", id)
	}
	var service adminv1.Service
	var route adminv1.Route
	if err := errors.Join(r.api.get(ctx, "/services/orders", &service), r.api.get(ctx, "/routes/orders", &route)); err != nil {
		return nil, fmt.Errorf("this needs the demo's service and route: %w", err)
	}
	return r.breakage.change(service.GetSpec(), route.GetSpec()), nil
}

// release publishes the broken change under load, watches it being taken back, and goes on for a while.
func (r *release) release(ctx context.Context, resource *adminv1.Resource) error {
	fmt.Printf("load: %.0f requests/s over %d agents\n", r.rate, len(r.stack.Agents))
	if !pause(ctx, warmUp) {
		return context.Cause(ctx)
	}
	if s := r.load.state(); s.Failures > 0 {
		return fmt.Errorf("%d of %d requests fail before anything is changed:\n%s", s.Failures, s.Requests, strings.Join(s.lines(), "\n"))
	}
	var applied adminv1.ApplyResponse
	request := &adminv1.ApplyRequest{Fleet: "default", Resources: []*adminv1.Resource{resource}, Message: "a bad release: " + r.breakage.kind}
	r.published = time.Now()
	if err := r.api.post(ctx, ":apply", request, &applied); err != nil {
		return err
	}
	r.revision = applied.GetPublished().GetRevision()
	fmt.Printf("published revision %d: %s\n", r.revision, r.breakage.about)
	if err := r.watch(ctx, applied.GetPublished().GetRollout()); err != nil {
		return err
	}
	if !pause(ctx, settle) {
		return context.Cause(ctx)
	}
	r.healed = r.load.state()
	if !pause(ctx, afterwards) {
		return context.Cause(ctx)
	}
	return nil
}

// watch prints what happens to the rollout until it ends.
func (r *release) watch(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, longest, fmt.Errorf("rollout %s has not ended within %s", id, longest))
	defer cancel()
	for shown := 0; ; {
		if err := r.api.get(ctx, "/rollouts/"+id, &r.rollout); err != nil {
			return err
		}
		for _, event := range r.rollout.GetEvents()[min(shown, len(r.rollout.GetEvents())):] {
			fmt.Printf("  %5.1fs  %-12s %s\n", event.GetTime().AsTime().Sub(r.published).Seconds(), event.GetType(), event.GetMessage())
			shown++
		}
		if r.rollout.GetEndTime() != nil {
			r.ended = r.rollout.GetEndTime().AsTime()
			return nil
		}
		if !pause(ctx, 100*time.Millisecond) {
			return context.Cause(ctx)
		}
	}
}

// judge prints what it cost and checks that all is well again.
func (r *release) judge(ctx context.Context) error {
	if !pause(ctx, reportDelay) { // agents report once a second
		return context.Cause(ctx)
	}
	var err error
	if r.exposed, r.failed, err = r.exposure(ctx); err != nil {
		return err
	}
	since := func(t time.Time) string {
		if t.IsZero() {
			return "never"
		}
		return fmt.Sprintf("%.2fs after the publish", t.Sub(r.published).Seconds())
	}
	fmt.Printf(`
bad release   %s
requests      %d at %.0f/s over %d agents, p50 %s, p99 %s
exposed       %d went through the candidate, by the agents' own count
failed        %d of those; clients saw %d failures in all
first failure %s
last failure  %s
%-13s %s: %s
after that    %d requests, %d failed
`, r.breakage.kind, r.last.Requests, r.rate, len(r.stack.Agents), round(r.last.P50), round(r.last.P99), r.exposed, r.failed, r.last.Failures,
		since(r.last.FirstBad), since(r.last.LastBad), strings.ReplaceAll(r.rollout.GetState(), "_", " "), since(r.ended),
		r.rollout.GetReason(), r.last.Requests-r.healed.Requests, r.last.Failures-r.healed.Failures)
	for _, line := range r.last.lines() {
		fmt.Println(line)
	}
	return r.restore(ctx)
}

func (r *release) outcome() outcome {
	return outcome{
		kind: r.breakage.kind, exposed: r.exposed, failed: r.failed, took: r.ended.Sub(r.published),
		state: r.rollout.GetState(), explained: r.rollout.GetReason(),
	}
}

// exposure asks the control plane how many requests went through the candidate, and how many of them went wrong.
func (r *release) exposure(ctx context.Context) (exposed, failed int64, err error) {
	var answer adminv1.QueryTelemetryResponse
	request := &adminv1.QueryTelemetryRequest{
		Fleet: "default", Window: "15m", GroupBy: []string{"status_class", "reason"}, Revision: r.revision, Arm: "candidate",
	}
	if err := r.api.post(ctx, "/telemetry:query", request, &answer); err != nil {
		return 0, 0, err
	}
	for _, series := range answer.GetSeries() {
		for _, point := range series.GetPoints() {
			exposed += point.GetRequests()
			if class := series.GetLabels()["status_class"]; strings.HasPrefix(class, "4") || strings.HasPrefix(class, "5") {
				failed += point.GetRequests()
			}
		}
	}
	return exposed, failed, nil
}

// restore checks that the change is out of the way, and takes it out if nobody else did.
func (r *release) restore(ctx context.Context) error {
	if r.rollout.GetState() != "rolled_back" {
		var published adminv1.PublishResponse
		path := fmt.Sprintf("/revisions/%d:rollback", r.before.GetStableRevision())
		request := &adminv1.RollbackRevisionRequest{Fleet: "default", Number: r.before.GetStableRevision(), Reason: "the demo is over"}
		err := r.api.post(ctx, path, request, &published)
		return errors.Join(fmt.Errorf("the bad release was not taken back: its rollout is %s", r.rollout.GetState()), err)
	}
	if bad := r.last.Failures - r.healed.Failures; bad > 0 {
		return fmt.Errorf("%d requests failed after it was taken back", bad)
	}
	var agents adminv1.ListAgentsResponse
	var fleet adminv1.Fleet
	if err := errors.Join(r.api.get(ctx, "/agents", &agents), r.api.get(ctx, "", &fleet)); err != nil {
		return err
	}
	for _, agent := range agents.GetAgents() {
		if agent.GetAppliedStableRevision() != fleet.GetStableRevision() || agent.GetAppliedCandidateRevision() != 0 {
			return fmt.Errorf("%s serves revision %d and candidate %d, not %d alone", agent.GetName(),
				agent.GetAppliedStableRevision(), agent.GetAppliedCandidateRevision(), fleet.GetStableRevision())
		}
	}
	fmt.Printf("\nall is well: %d agents serve revision %d, and nothing fails\n", len(agents.GetAgents()), fleet.GetStableRevision())
	return nil
}
