package admin

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	"tidegate.dev/controlplane/config"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// consumerServer is the API of consumers.
type consumerServer struct {
	adminv1.UnimplementedConsumerServiceServer
	resources[*adminv1.Consumer, *configv1.Consumer]
}

func newConsumerServer(s *Server) *consumerServer {
	return &consumerServer{resources: resources[*adminv1.Consumer, *configv1.Consumer]{Server: s, kind: configv1.Kind_KIND_CONSUMER, show: showConsumer}}
}

func showConsumer(r config.Resource, spec *configv1.Consumer) *adminv1.Consumer {
	return &adminv1.Consumer{
		Name: r.Name, Labels: r.Labels, Spec: spec, Etag: r.ETag, Sequence: int32(r.Sequence), UpdateTime: timestamp(r.UpdatedAt), State: r.State,
	}
}

// ListConsumers implements adminv1.ConsumerServiceServer.
func (s *consumerServer) ListConsumers(ctx context.Context, r *adminv1.ListConsumersRequest) (*adminv1.ListConsumersResponse, error) {
	found, next, err := s.list(ctx, r)
	return &adminv1.ListConsumersResponse{Consumers: found, NextPageToken: next}, err
}

// GetConsumer implements adminv1.ConsumerServiceServer.
func (s *consumerServer) GetConsumer(ctx context.Context, r *adminv1.GetConsumerRequest) (*adminv1.Consumer, error) {
	return s.get(ctx, r)
}

// CreateConsumer implements adminv1.ConsumerServiceServer.
func (s *consumerServer) CreateConsumer(ctx context.Context, r *adminv1.CreateConsumerRequest) (*adminv1.Consumer, error) {
	return s.create(ctx, r.GetFleet(), r.GetChangeSet(), r.GetConsumer())
}

// UpdateConsumer implements adminv1.ConsumerServiceServer.
func (s *consumerServer) UpdateConsumer(ctx context.Context, r *adminv1.UpdateConsumerRequest) (*adminv1.Consumer, error) {
	return s.update(ctx, r, r.GetChangeSet(), r.GetConsumer(), r.GetUpdateMask())
}

// UpsertConsumer implements adminv1.ConsumerServiceServer.
func (s *consumerServer) UpsertConsumer(ctx context.Context, r *adminv1.UpsertConsumerRequest) (*adminv1.Consumer, error) {
	return s.upsert(ctx, r, r.GetChangeSet(), r.GetConsumer())
}

// DeleteConsumer implements adminv1.ConsumerServiceServer.
func (s *consumerServer) DeleteConsumer(ctx context.Context, r *adminv1.DeleteConsumerRequest) (*emptypb.Empty, error) {
	return s.remove(ctx, r, r.GetChangeSet())
}
