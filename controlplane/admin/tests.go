package admin

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	"tidegate.dev/controlplane/config"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// testServer is the API of tests.
type testServer struct {
	adminv1.UnimplementedTestServiceServer
	resources[*adminv1.Test, *configv1.Test]
}

func newTestServer(s *Server) *testServer {
	return &testServer{resources: resources[*adminv1.Test, *configv1.Test]{Server: s, kind: configv1.Kind_KIND_TEST, show: showTest}}
}

func showTest(r config.Resource, spec *configv1.Test) *adminv1.Test {
	return &adminv1.Test{
		Name: r.Name, Labels: r.Labels, Spec: spec, Etag: r.ETag, Revision: int32(r.Revision), UpdateTime: timestamp(r.UpdatedAt), State: r.State,
	}
}

// ListTests implements adminv1.TestServiceServer.
func (s *testServer) ListTests(ctx context.Context, r *adminv1.ListTestsRequest) (*adminv1.ListTestsResponse, error) {
	found, next, err := s.list(ctx, r)
	return &adminv1.ListTestsResponse{Tests: found, NextPageToken: next}, err
}

// GetTest implements adminv1.TestServiceServer.
func (s *testServer) GetTest(ctx context.Context, r *adminv1.GetTestRequest) (*adminv1.Test, error) {
	return s.get(ctx, r)
}

// CreateTest implements adminv1.TestServiceServer.
func (s *testServer) CreateTest(ctx context.Context, r *adminv1.CreateTestRequest) (*adminv1.Test, error) {
	return s.create(ctx, r.GetFleet(), r.GetChangeSet(), r.GetTest())
}

// UpdateTest implements adminv1.TestServiceServer.
func (s *testServer) UpdateTest(ctx context.Context, r *adminv1.UpdateTestRequest) (*adminv1.Test, error) {
	return s.update(ctx, r, r.GetChangeSet(), r.GetTest(), r.GetUpdateMask())
}

// UpsertTest implements adminv1.TestServiceServer.
func (s *testServer) UpsertTest(ctx context.Context, r *adminv1.UpsertTestRequest) (*adminv1.Test, error) {
	return s.upsert(ctx, r, r.GetChangeSet(), r.GetTest())
}

// DeleteTest implements adminv1.TestServiceServer.
func (s *testServer) DeleteTest(ctx context.Context, r *adminv1.DeleteTestRequest) (*emptypb.Empty, error) {
	return s.remove(ctx, r, r.GetChangeSet())
}
