package admin

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	"tidegate.dev/controlplane/config"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// pluginServer is the API of plugins.
type pluginServer struct {
	adminv1.UnimplementedPluginServiceServer
	resources[*adminv1.Plugin, *configv1.Plugin]
}

func newPluginServer(s *Server) *pluginServer {
	return &pluginServer{resources: resources[*adminv1.Plugin, *configv1.Plugin]{Server: s, kind: configv1.Kind_KIND_PLUGIN, show: showPlugin}}
}

func showPlugin(r config.Resource, spec *configv1.Plugin) *adminv1.Plugin {
	shown := &adminv1.Plugin{
		Name: r.Name, Labels: r.Labels, Spec: spec, Etag: r.ETag, Revision: int32(r.Revision), UpdateTime: timestamp(r.UpdatedAt), State: r.State,
	}
	if kind, ok := configv1.LookupPluginType(spec.GetType()); ok {
		shown.Phase = kind.PhaseName()
	}
	if settings, err := spec.Settings(); err == nil {
		if limit, ok := settings.(*configv1.RateLimit); ok && limit.GetSync() != "shared" {
			shown.Notes = append(shown.Notes, "sync is local: each agent counts for itself, so a fleet of n agents admits up to n times the limit")
		}
	}
	return shown
}

// ListPlugins implements adminv1.PluginServiceServer.
func (s *pluginServer) ListPlugins(ctx context.Context, r *adminv1.ListPluginsRequest) (*adminv1.ListPluginsResponse, error) {
	found, next, err := s.list(ctx, r)
	return &adminv1.ListPluginsResponse{Plugins: found, NextPageToken: next}, err
}

// GetPlugin implements adminv1.PluginServiceServer.
func (s *pluginServer) GetPlugin(ctx context.Context, r *adminv1.GetPluginRequest) (*adminv1.Plugin, error) {
	return s.get(ctx, r)
}

// CreatePlugin implements adminv1.PluginServiceServer.
func (s *pluginServer) CreatePlugin(ctx context.Context, r *adminv1.CreatePluginRequest) (*adminv1.Plugin, error) {
	return s.create(ctx, r.GetFleet(), r.GetChangeSet(), r.GetPlugin())
}

// UpdatePlugin implements adminv1.PluginServiceServer.
func (s *pluginServer) UpdatePlugin(ctx context.Context, r *adminv1.UpdatePluginRequest) (*adminv1.Plugin, error) {
	return s.update(ctx, r, r.GetChangeSet(), r.GetPlugin(), r.GetUpdateMask())
}

// UpsertPlugin implements adminv1.PluginServiceServer.
func (s *pluginServer) UpsertPlugin(ctx context.Context, r *adminv1.UpsertPluginRequest) (*adminv1.Plugin, error) {
	return s.upsert(ctx, r, r.GetChangeSet(), r.GetPlugin())
}

// DeletePlugin implements adminv1.PluginServiceServer.
func (s *pluginServer) DeletePlugin(ctx context.Context, r *adminv1.DeletePluginRequest) (*emptypb.Empty, error) {
	return s.remove(ctx, r, r.GetChangeSet())
}
