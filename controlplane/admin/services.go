package admin

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	"tidegate.dev/controlplane/config"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// serviceServer is the API of services.
type serviceServer struct {
	adminv1.UnimplementedServiceServiceServer
	resources[*adminv1.Service, *configv1.Service]
}

func newServiceServer(s *Server) *serviceServer {
	return &serviceServer{resources: resources[*adminv1.Service, *configv1.Service]{Server: s, kind: configv1.Kind_KIND_SERVICE, show: showService}}
}

func showService(r config.Resource, spec *configv1.Service) *adminv1.Service {
	return &adminv1.Service{
		Name: r.Name, Labels: r.Labels, Spec: spec, Etag: r.ETag, Revision: int32(r.Revision), UpdateTime: timestamp(r.UpdatedAt), State: r.State,
	}
}

// ListServices implements adminv1.ServiceServiceServer.
func (s *serviceServer) ListServices(ctx context.Context, r *adminv1.ListServicesRequest) (*adminv1.ListServicesResponse, error) {
	found, next, err := s.list(ctx, r)
	return &adminv1.ListServicesResponse{Services: found, NextPageToken: next}, err
}

// GetService implements adminv1.ServiceServiceServer.
func (s *serviceServer) GetService(ctx context.Context, r *adminv1.GetServiceRequest) (*adminv1.Service, error) {
	return s.get(ctx, r)
}

// CreateService implements adminv1.ServiceServiceServer.
func (s *serviceServer) CreateService(ctx context.Context, r *adminv1.CreateServiceRequest) (*adminv1.Service, error) {
	return s.create(ctx, r.GetFleet(), r.GetChangeSet(), r.GetService())
}

// UpdateService implements adminv1.ServiceServiceServer.
func (s *serviceServer) UpdateService(ctx context.Context, r *adminv1.UpdateServiceRequest) (*adminv1.Service, error) {
	return s.update(ctx, r, r.GetChangeSet(), r.GetService(), r.GetUpdateMask())
}

// UpsertService implements adminv1.ServiceServiceServer.
func (s *serviceServer) UpsertService(ctx context.Context, r *adminv1.UpsertServiceRequest) (*adminv1.Service, error) {
	return s.upsert(ctx, r, r.GetChangeSet(), r.GetService())
}

// DeleteService implements adminv1.ServiceServiceServer.
func (s *serviceServer) DeleteService(ctx context.Context, r *adminv1.DeleteServiceRequest) (*emptypb.Empty, error) {
	return s.remove(ctx, r, r.GetChangeSet())
}
