package admin

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/rollout"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// rolloutServer is the API of rollouts.
type rolloutServer struct {
	adminv1.UnimplementedRolloutServiceServer
	*Server
}

// ListRollouts implements adminv1.RolloutServiceServer.
func (s *rolloutServer) ListRollouts(ctx context.Context, r *adminv1.ListRolloutsRequest) (*adminv1.ListRolloutsResponse, error) {
	options, err := rolloutListOptions(r)
	if err != nil {
		return nil, err
	}
	found, before, err := s.rollouts.List(ctx, r.GetFleet(), options)
	if err != nil {
		return nil, err
	}
	answer := &adminv1.ListRolloutsResponse{}
	if before > 0 {
		answer.NextPageToken = pageToken(identifier(before))
	}
	for _, one := range found {
		answer.Rollouts = append(answer.Rollouts, showRollout(one))
	}
	return answer, nil
}

func rolloutListOptions(r *adminv1.ListRolloutsRequest) (options rollout.ListOptions, err error) {
	terms, err := parseFilter(r.GetFilter(), "state", "revision")
	if err != nil {
		return options, err
	}
	options.State, options.Limit = terms["state"], pageSize(r.GetPageSize())
	if text, ok := terms["revision"]; ok {
		if options.Revision, err = strconv.ParseInt(text, 10, 32); err != nil {
			return options, invalidField("filter", "filter.revision", fmt.Sprintf("%q is not a revision", text))
		}
	}
	after, err := pageStart(r.GetPageToken())
	if err == nil && after != "" {
		if options.Before, err = strconv.ParseInt(after, 10, 64); err != nil {
			err = invalidField("page_token", "page_token", "is not a page token that this list gave")
		}
	}
	return options, err
}

// GetRollout implements adminv1.RolloutServiceServer.
func (s *rolloutServer) GetRollout(ctx context.Context, r *adminv1.GetRolloutRequest) (*adminv1.Rollout, error) {
	id, err := rolloutID(r.GetId())
	if err != nil {
		return nil, err
	}
	found, err := s.rollouts.Get(ctx, r.GetFleet(), id)
	if err != nil {
		return nil, err
	}
	return showRollout(found), nil
}

// WatchRollout implements adminv1.RolloutServiceServer.
func (s *rolloutServer) WatchRollout(r *adminv1.WatchRolloutRequest, stream grpc.ServerStreamingServer[adminv1.Rollout]) error {
	id, err := rolloutID(r.GetId())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	stop := context.AfterFunc(s.ending, func() { cancel(errStopping) })
	defer stop()
	err = s.rollouts.Watch(ctx, r.GetFleet(), id, func(d rollout.Detail) error { return stream.Send(showRollout(d)) })
	if err != nil && errors.Is(context.Cause(ctx), errStopping) {
		return errStopping
	}
	return err
}

// PauseRollout implements adminv1.RolloutServiceServer.
func (s *rolloutServer) PauseRollout(ctx context.Context, r *adminv1.PauseRolloutRequest) (*adminv1.Rollout, error) {
	return s.command(ctx, r, rollout.Pause)
}

// ResumeRollout implements adminv1.RolloutServiceServer.
func (s *rolloutServer) ResumeRollout(ctx context.Context, r *adminv1.ResumeRolloutRequest) (*adminv1.Rollout, error) {
	return s.command(ctx, r, rollout.Resume)
}

// PromoteRollout implements adminv1.RolloutServiceServer.
func (s *rolloutServer) PromoteRollout(ctx context.Context, r *adminv1.PromoteRolloutRequest) (*adminv1.Rollout, error) {
	if r.GetFull() {
		return s.command(ctx, r, rollout.PromoteFull)
	}
	return s.command(ctx, r, rollout.Promote)
}

// ApproveRollout implements adminv1.RolloutServiceServer.
func (s *rolloutServer) ApproveRollout(ctx context.Context, r *adminv1.ApproveRolloutRequest) (*adminv1.Rollout, error) {
	return s.command(ctx, r, rollout.Approve)
}

// AbortRollout implements adminv1.RolloutServiceServer.
func (s *rolloutServer) AbortRollout(ctx context.Context, r *adminv1.AbortRolloutRequest) (*adminv1.Rollout, error) {
	return s.command(ctx, r, rollout.Abort)
}

// command leaves a command for the leader, and after the commit waits a moment for what came of it.
func (s *rolloutServer) command(ctx context.Context, asked interface {
	GetFleet() string
	GetId() string
	GetReason() string
}, command rollout.Command,
) (*adminv1.Rollout, error) {
	id, err := rolloutID(asked.GetId())
	if err != nil {
		return nil, err
	}
	c := callOf(ctx)
	ticket, err := s.rollouts.Request(ctx, asked.GetFleet(), id, command, c.who.Name, asked.GetReason())
	if err != nil {
		return nil, err
	}
	present, err := s.rollouts.Get(ctx, asked.GetFleet(), id)
	if err != nil {
		return nil, err
	}
	c.afterCommit = func(ctx context.Context) (proto.Message, error) {
		outcome, err := s.rollouts.Await(ctx, ticket)
		if err != nil {
			return nil, err
		}
		return showRollout(outcome), nil
	}
	return showRollout(present), nil
}

// rolloutID reads an id. What is no number names nothing.
func rolloutID(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id <= 0 {
		return 0, newProblem(problemNotFound, fmt.Sprintf("rollout %q: not found", text))
	}
	return id, nil
}

func showRollout(d rollout.Detail) *adminv1.Rollout {
	shown := &adminv1.Rollout{
		Id: identifier(d.ID), Revision: int32(d.Revision), StableRevision: int32(d.StableRevision), State: d.State, Reason: d.Reason,
		Strategy: d.Strategy, Spec: d.Spec, Step: int32(d.Step), CreateTime: timestamp(d.CreatedAt), StepTime: timestamp(d.StepAt),
		EndTime: timestamp(d.EndedAt), CandidateAgents: int32(d.CandidateAgents), TotalAgents: int32(d.TotalAgents),
		TrafficPercent: d.TrafficPercent, BakeEndTime: timestamp(d.BakeEndAt), DeadlineTime: timestamp(d.DeadlineAt),
		Author: d.Author, Message: d.Message, Expectations: d.Expectations, Shadow: showShadow(d.Shadow),
	}
	for _, g := range d.Gates {
		shown.Gates = append(shown.Gates, &adminv1.GateResult{
			Name: g.Name, DryRun: g.DryRun, Verdict: g.Verdict, Explanation: g.Explanation, Time: timestamp(g.At),
		})
	}
	for _, command := range d.Possible {
		shown.PossibleCommands = append(shown.PossibleCommands, string(command))
	}
	for _, a := range d.Agents {
		shown.Agents = append(shown.Agents, &adminv1.RolloutAgent{Agent: a.Name, Candidate: a.Candidate, State: a.State, Error: a.Error})
	}
	for _, e := range d.Evidence {
		shown.Evidence = append(shown.Evidence, &adminv1.Evidence{
			Metric: e.Metric, Route: e.Route, CandidateBad: e.CandidateBad, CandidateTotal: e.CandidateTotal,
			ControlBad: e.ControlBad, ControlTotal: e.ControlTotal, Evidence: e.Evidence, Threshold: e.Threshold,
			Verdict: e.Verdict, Explanation: e.Explanation, RatioLower: e.RatioLower, RatioUpper: e.RatioUpper,
		})
	}
	for _, e := range d.Events {
		shown.Events = append(shown.Events, &adminv1.RolloutEvent{
			Time: timestamp(e.At), Type: e.Type, Message: e.Message, Actor: e.Actor, Step: int32(e.Step),
		})
	}
	return shown
}

// showShadow is nil if nothing was sampled.
func showShadow(s rollout.Shadow) *adminv1.ShadowResult {
	if s.Sampled == 0 {
		return nil
	}
	shown := &adminv1.ShadowResult{Sampled: s.Sampled, Different: s.Different, Proposals: s.Proposals()}
	for _, d := range s.Differences {
		shown.Differences = append(shown.Differences, &adminv1.ShadowDifference{
			StableRoute: d.StableRoute, StableDecision: d.StableDecision, CandidateRoute: d.CandidateRoute,
			CandidateDecision: d.CandidateDecision, Requests: d.Requests, Example: d.Example,
		})
	}
	return shown
}
