package admin

import (
	"context"
	"strconv"
	"time"

	"tidegate.dev/controlplane/rollout"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// defaultTrial is how far back a gate is tried if nobody says.
const defaultTrial = 7 * 24 * time.Hour

// TryGate implements adminv1.RolloutServiceServer.
func (s *rolloutServer) TryGate(ctx context.Context, r *adminv1.TryGateRequest) (*adminv1.TryGateResponse, error) {
	options := rollout.TryOptions{Limit: pageSize(r.GetPageSize())}
	var err error
	if options.Within, err = duration("since", r.GetSince(), defaultTrial); err != nil {
		return nil, err
	}
	after, err := pageStart(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	if after != "" {
		if options.Before, err = strconv.ParseInt(after, 10, 64); err != nil {
			return nil, invalidField("page_token", "page_token", "is not a page token that this list gave")
		}
	}
	found, before, err := s.rollouts.TryGate(ctx, r.GetFleet(), trialOf(r), options)
	if err != nil {
		return nil, err
	}
	answer := &adminv1.TryGateResponse{Caveats: rollout.Caveats()}
	if before > 0 {
		answer.NextPageToken = pageToken(identifier(before))
	}
	for _, one := range found {
		answer.Rollouts = append(answer.Rollouts, showTried(one))
	}
	return answer, nil
}

func trialOf(r *adminv1.TryGateRequest) rollout.Trial {
	comparison := r.GetComparison()
	return rollout.Trial{
		Compares: comparison != nil, Tolerance: comparison.GetTolerance(), Alpha: comparison.GetAlpha(), Metrics: comparison.GetMetrics(),
		Objectives: rollout.ObjectivesOf(r.GetObjectives()),
	}
}

func showTried(one rollout.Tried) *adminv1.TriedRollout {
	shown := &adminv1.TriedRollout{
		Id: identifier(one.Rollout.ID), Revision: int32(one.Rollout.Revision), Message: one.Rollout.Message,
		State: one.Rollout.State, Reason: one.Rollout.Reason, StartTime: timestamp(one.Rollout.StartedAt), EndTime: timestamp(one.Rollout.EndedAt),
		Verdict: one.Outcome.Verdict.String(), Difference: one.Outcome.Difference, Gate: one.Outcome.Gate,
		Metric: one.Outcome.Metric, Route: one.Outcome.Route, Explanation: one.Outcome.Explanation,
		Step: int32(one.Outcome.Step), CandidateRequests: one.Outcome.CandidateRequests, Moment: one.Outcome.Moment, Moments: int32(one.Outcome.Moments),
	}
	if one.Outcome.Moment == rollout.MomentReading {
		shown.After = one.Outcome.After.Round(time.Millisecond).String()
	}
	return shown
}
