package admin

import (
	"context"
	"time"

	"tidegate.dev/controlplane/config"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// defaultOverlap is how long a key that was rotated goes on working.
const defaultOverlap = time.Hour

// keyServer is the API of consumers' keys.
type keyServer struct {
	adminv1.UnimplementedKeyServiceServer
	*Server
}

// ListKeys implements adminv1.KeyServiceServer.
func (s *keyServer) ListKeys(ctx context.Context, r *adminv1.ListKeysRequest) (*adminv1.ListKeysResponse, error) {
	found, next, err := s.config.Keys(ctx, r.GetFleet(), r.GetConsumer(), config.ListOptions{
		PageSize: pageSize(r.GetPageSize()), PageToken: r.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	answer := &adminv1.ListKeysResponse{NextPageToken: next}
	for _, one := range found {
		answer.Keys = append(answer.Keys, showKey(one))
	}
	return answer, nil
}

// GetKey implements adminv1.KeyServiceServer.
func (s *keyServer) GetKey(ctx context.Context, r *adminv1.GetKeyRequest) (*adminv1.Key, error) {
	found, err := s.config.Key(ctx, r.GetFleet(), r.GetConsumer(), r.GetKey())
	return answerKey(ctx, found, err)
}

// CreateKey implements adminv1.KeyServiceServer.
func (s *keyServer) CreateKey(ctx context.Context, r *adminv1.CreateKeyRequest) (*adminv1.CreateKeyResponse, error) {
	spec := r.GetKey().GetSpec()
	if spec == nil {
		spec = new(configv1.Key)
	}
	made, secret, err := s.config.CreateKey(ctx, callOf(ctx).who.Name, r.GetFleet(), r.GetConsumer(), spec)
	return answerNewKey(ctx, made, secret, err)
}

// RotateKey implements adminv1.KeyServiceServer.
func (s *keyServer) RotateKey(ctx context.Context, r *adminv1.RotateKeyRequest) (*adminv1.CreateKeyResponse, error) {
	overlap, err := duration("overlap", r.GetOverlap(), defaultOverlap)
	if err != nil {
		return nil, err
	}
	made, secret, err := s.config.RotateKey(ctx, callOf(ctx).who.Name, r.GetFleet(), r.GetConsumer(), r.GetKey(), overlap, incoming(ctx, headerIfMatch))
	return answerNewKey(ctx, made, secret, err)
}

// RevokeKey implements adminv1.KeyServiceServer.
func (s *keyServer) RevokeKey(ctx context.Context, r *adminv1.RevokeKeyRequest) (*adminv1.Key, error) {
	revoked, err := s.config.RevokeKey(ctx, callOf(ctx).who.Name, r.GetFleet(), r.GetConsumer(), r.GetKey(), r.GetReason(), incoming(ctx, headerIfMatch))
	return answerKey(ctx, revoked, err)
}

func answerKey(ctx context.Context, found config.Key, err error) (*adminv1.Key, error) {
	if err != nil {
		return nil, err
	}
	callOf(ctx).setHeader(headerETag, found.ETag)
	return showKey(found), nil
}

func answerNewKey(ctx context.Context, made config.Key, secret string, err error) (*adminv1.CreateKeyResponse, error) {
	shown, err := answerKey(ctx, made, err)
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateKeyResponse{Key: shown, Secret: secret}, nil
}

func showKey(k config.Key) *adminv1.Key {
	return &adminv1.Key{
		Id: k.ID, Consumer: k.Consumer, Spec: k.Spec, Sequence: int32(k.Sequence), CreateTime: timestamp(k.CreatedAt),
		LastUsedTime: optionalTimestamp(k.LastUsedAt), RevokeTime: optionalTimestamp(k.RevokedAt), State: k.State, Etag: k.ETag,
	}
}

// duration reads a length of time as people write it. The schema has checked its shape.
func duration(field, text string, fallback time.Duration) (time.Duration, error) {
	if text == "" {
		return fallback, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, invalidField(field, "string.duration", "must be a duration such as 250ms, 10s or 1h")
	}
	return d, nil
}
