package admin

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	"tidegate.dev/controlplane/config"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// secretServer is the API of secrets.
type secretServer struct {
	adminv1.UnimplementedSecretServiceServer
	resources[*adminv1.Secret, *configv1.Secret]
}

func newSecretServer(s *Server) *secretServer {
	return &secretServer{resources: resources[*adminv1.Secret, *configv1.Secret]{Server: s, kind: configv1.Kind_KIND_SECRET, show: showSecret}}
}

func showSecret(r config.Resource, spec *configv1.Secret) *adminv1.Secret {
	return &adminv1.Secret{
		Name: r.Name, Labels: r.Labels, Spec: spec, Etag: r.ETag, Sequence: int32(r.Sequence), UpdateTime: timestamp(r.UpdatedAt), State: r.State,
	}
}

// ListSecrets implements adminv1.SecretServiceServer.
func (s *secretServer) ListSecrets(ctx context.Context, r *adminv1.ListSecretsRequest) (*adminv1.ListSecretsResponse, error) {
	found, next, err := s.list(ctx, r)
	return &adminv1.ListSecretsResponse{Secrets: found, NextPageToken: next}, err
}

// GetSecret implements adminv1.SecretServiceServer.
func (s *secretServer) GetSecret(ctx context.Context, r *adminv1.GetSecretRequest) (*adminv1.Secret, error) {
	return s.get(ctx, r)
}

// CreateSecret implements adminv1.SecretServiceServer.
func (s *secretServer) CreateSecret(ctx context.Context, r *adminv1.CreateSecretRequest) (*adminv1.Secret, error) {
	return s.create(ctx, r.GetFleet(), r.GetChangeSet(), r.GetSecret())
}

// UpdateSecret implements adminv1.SecretServiceServer.
func (s *secretServer) UpdateSecret(ctx context.Context, r *adminv1.UpdateSecretRequest) (*adminv1.Secret, error) {
	return s.update(ctx, r, r.GetChangeSet(), r.GetSecret(), r.GetUpdateMask())
}

// UpsertSecret implements adminv1.SecretServiceServer.
func (s *secretServer) UpsertSecret(ctx context.Context, r *adminv1.UpsertSecretRequest) (*adminv1.Secret, error) {
	return s.upsert(ctx, r, r.GetChangeSet(), r.GetSecret())
}

// DeleteSecret implements adminv1.SecretServiceServer.
func (s *secretServer) DeleteSecret(ctx context.Context, r *adminv1.DeleteSecretRequest) (*emptypb.Empty, error) {
	return s.remove(ctx, r, r.GetChangeSet())
}
