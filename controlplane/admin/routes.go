package admin

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	"tidegate.dev/controlplane/config"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// routeServer is the API of routes.
type routeServer struct {
	adminv1.UnimplementedRouteServiceServer
	resources[*adminv1.Route, *configv1.Route]
}

func newRouteServer(s *Server) *routeServer {
	return &routeServer{resources: resources[*adminv1.Route, *configv1.Route]{Server: s, kind: configv1.Kind_KIND_ROUTE, show: showRoute}}
}

func showRoute(r config.Resource, spec *configv1.Route) *adminv1.Route {
	return &adminv1.Route{
		Name: r.Name, Labels: r.Labels, Spec: spec, Etag: r.ETag, Revision: int32(r.Revision), UpdateTime: timestamp(r.UpdatedAt), State: r.State,
	}
}

// ListRoutes implements adminv1.RouteServiceServer.
func (s *routeServer) ListRoutes(ctx context.Context, r *adminv1.ListRoutesRequest) (*adminv1.ListRoutesResponse, error) {
	found, next, err := s.list(ctx, r)
	return &adminv1.ListRoutesResponse{Routes: found, NextPageToken: next}, err
}

// GetRoute implements adminv1.RouteServiceServer.
func (s *routeServer) GetRoute(ctx context.Context, r *adminv1.GetRouteRequest) (*adminv1.Route, error) {
	return s.get(ctx, r)
}

// CreateRoute implements adminv1.RouteServiceServer.
func (s *routeServer) CreateRoute(ctx context.Context, r *adminv1.CreateRouteRequest) (*adminv1.Route, error) {
	return s.create(ctx, r.GetFleet(), r.GetChangeSet(), r.GetRoute())
}

// UpdateRoute implements adminv1.RouteServiceServer.
func (s *routeServer) UpdateRoute(ctx context.Context, r *adminv1.UpdateRouteRequest) (*adminv1.Route, error) {
	return s.update(ctx, r, r.GetChangeSet(), r.GetRoute(), r.GetUpdateMask())
}

// UpsertRoute implements adminv1.RouteServiceServer.
func (s *routeServer) UpsertRoute(ctx context.Context, r *adminv1.UpsertRouteRequest) (*adminv1.Route, error) {
	return s.upsert(ctx, r, r.GetChangeSet(), r.GetRoute())
}

// DeleteRoute implements adminv1.RouteServiceServer.
func (s *routeServer) DeleteRoute(ctx context.Context, r *adminv1.DeleteRouteRequest) (*emptypb.Empty, error) {
	return s.remove(ctx, r, r.GetChangeSet())
}
