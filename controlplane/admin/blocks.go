package admin

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	"tidegate.dev/controlplane/config"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// blockServer is the API of blocks.
type blockServer struct {
	adminv1.UnimplementedBlockServiceServer
	resources[*adminv1.Block, *configv1.Block]
}

func newBlockServer(s *Server) *blockServer {
	return &blockServer{resources: resources[*adminv1.Block, *configv1.Block]{Server: s, kind: configv1.Kind_KIND_BLOCK, show: showBlock}}
}

func showBlock(r config.Resource, spec *configv1.Block) *adminv1.Block {
	return &adminv1.Block{
		Name: r.Name, Labels: r.Labels, Spec: spec, Etag: r.ETag, Sequence: int32(r.Sequence), UpdateTime: timestamp(r.UpdatedAt), State: r.State,
	}
}

// ListBlocks implements adminv1.BlockServiceServer.
func (s *blockServer) ListBlocks(ctx context.Context, r *adminv1.ListBlocksRequest) (*adminv1.ListBlocksResponse, error) {
	found, next, err := s.list(ctx, r)
	return &adminv1.ListBlocksResponse{Blocks: found, NextPageToken: next}, err
}

// GetBlock implements adminv1.BlockServiceServer.
func (s *blockServer) GetBlock(ctx context.Context, r *adminv1.GetBlockRequest) (*adminv1.Block, error) {
	return s.get(ctx, r)
}

// CreateBlock implements adminv1.BlockServiceServer.
func (s *blockServer) CreateBlock(ctx context.Context, r *adminv1.CreateBlockRequest) (*adminv1.Block, error) {
	return s.create(ctx, r.GetFleet(), r.GetChangeSet(), r.GetBlock())
}

// UpdateBlock implements adminv1.BlockServiceServer.
func (s *blockServer) UpdateBlock(ctx context.Context, r *adminv1.UpdateBlockRequest) (*adminv1.Block, error) {
	return s.update(ctx, r, r.GetChangeSet(), r.GetBlock(), r.GetUpdateMask())
}

// UpsertBlock implements adminv1.BlockServiceServer.
func (s *blockServer) UpsertBlock(ctx context.Context, r *adminv1.UpsertBlockRequest) (*adminv1.Block, error) {
	return s.upsert(ctx, r, r.GetChangeSet(), r.GetBlock())
}

// DeleteBlock implements adminv1.BlockServiceServer.
func (s *blockServer) DeleteBlock(ctx context.Context, r *adminv1.DeleteBlockRequest) (*emptypb.Empty, error) {
	return s.remove(ctx, r, r.GetChangeSet())
}
