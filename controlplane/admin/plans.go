package admin

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	"tidegate.dev/controlplane/config"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// planServer is the API of plans.
type planServer struct {
	adminv1.UnimplementedPlanServiceServer
	resources[*adminv1.Plan, *configv1.Plan]
}

func newPlanServer(s *Server) *planServer {
	return &planServer{resources: resources[*adminv1.Plan, *configv1.Plan]{Server: s, kind: configv1.Kind_KIND_PLAN, show: showPlan}}
}

func showPlan(r config.Resource, spec *configv1.Plan) *adminv1.Plan {
	return &adminv1.Plan{
		Name: r.Name, Labels: r.Labels, Spec: spec, Etag: r.ETag, Revision: int32(r.Revision), UpdateTime: timestamp(r.UpdatedAt), State: r.State,
	}
}

// ListPlans implements adminv1.PlanServiceServer.
func (s *planServer) ListPlans(ctx context.Context, r *adminv1.ListPlansRequest) (*adminv1.ListPlansResponse, error) {
	found, next, err := s.list(ctx, r)
	return &adminv1.ListPlansResponse{Plans: found, NextPageToken: next}, err
}

// GetPlan implements adminv1.PlanServiceServer.
func (s *planServer) GetPlan(ctx context.Context, r *adminv1.GetPlanRequest) (*adminv1.Plan, error) {
	return s.get(ctx, r)
}

// CreatePlan implements adminv1.PlanServiceServer.
func (s *planServer) CreatePlan(ctx context.Context, r *adminv1.CreatePlanRequest) (*adminv1.Plan, error) {
	return s.create(ctx, r.GetFleet(), r.GetChangeSet(), r.GetPlan())
}

// UpdatePlan implements adminv1.PlanServiceServer.
func (s *planServer) UpdatePlan(ctx context.Context, r *adminv1.UpdatePlanRequest) (*adminv1.Plan, error) {
	return s.update(ctx, r, r.GetChangeSet(), r.GetPlan(), r.GetUpdateMask())
}

// UpsertPlan implements adminv1.PlanServiceServer.
func (s *planServer) UpsertPlan(ctx context.Context, r *adminv1.UpsertPlanRequest) (*adminv1.Plan, error) {
	return s.upsert(ctx, r, r.GetChangeSet(), r.GetPlan())
}

// DeletePlan implements adminv1.PlanServiceServer.
func (s *planServer) DeletePlan(ctx context.Context, r *adminv1.DeletePlanRequest) (*emptypb.Empty, error) {
	return s.remove(ctx, r, r.GetChangeSet())
}
