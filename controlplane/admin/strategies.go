package admin

import (
	"context"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/emptypb"

	"tidegate.dev/controlplane/rollout"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// strategyServer is the API of strategies.
type strategyServer struct {
	adminv1.UnimplementedStrategyServiceServer
	*Server
}

// ListStrategies implements adminv1.StrategyServiceServer.
func (s *strategyServer) ListStrategies(ctx context.Context, r *adminv1.ListStrategiesRequest) (*adminv1.ListStrategiesResponse, error) {
	found, err := s.rollouts.Strategies(ctx, r.GetFleet())
	if err != nil {
		return nil, err
	}
	answer := &adminv1.ListStrategiesResponse{}
	for _, one := range found {
		answer.Strategies = append(answer.Strategies, showStrategy(one))
	}
	return answer, nil
}

// GetStrategy implements adminv1.StrategyServiceServer.
func (s *strategyServer) GetStrategy(ctx context.Context, r *adminv1.GetStrategyRequest) (*adminv1.Strategy, error) {
	found, err := s.rollouts.Strategy(ctx, r.GetFleet(), r.GetName())
	return answerStrategy(ctx, found, err)
}

// UpsertStrategy implements adminv1.StrategyServiceServer.
func (s *strategyServer) UpsertStrategy(ctx context.Context, r *adminv1.UpsertStrategyRequest) (*adminv1.Strategy, error) {
	if err := sameName(r.GetName(), r.GetStrategy().GetName()); err != nil {
		return nil, err
	}
	version, err := strategyVersion(incoming(ctx, headerIfMatch))
	if err != nil {
		return nil, err
	}
	stored, err := s.rollouts.PutStrategy(ctx, r.GetFleet(), r.GetName(), r.GetStrategy().GetSpec(), r.GetStrategy().GetIsDefault(), version)
	return answerStrategy(ctx, stored, err)
}

// DeleteStrategy implements adminv1.StrategyServiceServer.
func (s *strategyServer) DeleteStrategy(ctx context.Context, r *adminv1.DeleteStrategyRequest) (*emptypb.Empty, error) {
	version, err := strategyVersion(incoming(ctx, headerIfMatch))
	if err != nil {
		return nil, err
	}
	return &emptypb.Empty{}, s.rollouts.DeleteStrategy(ctx, r.GetFleet(), r.GetName(), version)
}

func answerStrategy(ctx context.Context, found rollout.StrategyView, err error) (*adminv1.Strategy, error) {
	if err != nil {
		return nil, err
	}
	callOf(ctx).setHeader(headerETag, strategyETag(found))
	return showStrategy(found), nil
}

func strategyETag(view rollout.StrategyView) string {
	return `"v` + strconv.FormatInt(view.Version, 10) + `"`
}

// strategyVersion reads what strategyETag wrote; 0 is any version.
func strategyVersion(etag string) (int64, error) {
	if etag == "" || etag == "*" {
		return 0, nil
	}
	version, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimPrefix(etag, `"v`), `"`), 10, 64)
	if err != nil || version <= 0 {
		return 0, newProblem(problemStale, "If-Match "+etag+" was never an etag of a strategy that can be changed")
	}
	return version, nil
}

func showStrategy(view rollout.StrategyView) *adminv1.Strategy {
	return &adminv1.Strategy{Name: view.Name, Spec: view.Spec, BuiltIn: view.BuiltIn, IsDefault: view.Default, Etag: strategyETag(view)}
}
