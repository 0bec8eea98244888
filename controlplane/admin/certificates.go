package admin

import (
	"context"

	"google.golang.org/protobuf/types/known/emptypb"

	"tidegate.dev/controlplane/config"
	"tidegate.dev/controlplane/store"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// certificateServer is the API of certificates.
type certificateServer struct {
	adminv1.UnimplementedCertificateServiceServer
	resources[*adminv1.Certificate, *configv1.Certificate]
}

func newCertificateServer(s *Server) *certificateServer {
	return &certificateServer{resources: resources[*adminv1.Certificate, *configv1.Certificate]{Server: s, kind: configv1.Kind_KIND_CERTIFICATE, show: showCertificate}}
}

func showCertificate(r config.Resource, spec *configv1.Certificate) *adminv1.Certificate {
	return &adminv1.Certificate{
		Name: r.Name, Labels: r.Labels, Spec: spec, Etag: r.ETag, Sequence: int32(r.Sequence), UpdateTime: timestamp(r.UpdatedAt), State: r.State, NotAfter: timestamp(r.NotAfter),
		Issuance: showIssuance(r.Issuance),
	}
}

func showIssuance(i *store.ACMECertificate) *adminv1.Issuance {
	if i == nil {
		return nil
	}
	return &adminv1.Issuance{
		State: i.State, Error: i.Error, Failures: int32(i.Failures), Issuer: i.Issuer, IssueTime: optionalTimestamp(i.IssuedAt),
		RenewTime: optionalTimestamp(i.RenewAt), NextAttemptTime: timestamp(i.DueAt),
	}
}

// ListCertificates implements adminv1.CertificateServiceServer.
func (s *certificateServer) ListCertificates(ctx context.Context, r *adminv1.ListCertificatesRequest) (*adminv1.ListCertificatesResponse, error) {
	found, next, err := s.list(ctx, r)
	return &adminv1.ListCertificatesResponse{Certificates: found, NextPageToken: next}, err
}

// GetCertificate implements adminv1.CertificateServiceServer.
func (s *certificateServer) GetCertificate(ctx context.Context, r *adminv1.GetCertificateRequest) (*adminv1.Certificate, error) {
	return s.get(ctx, r)
}

// CreateCertificate implements adminv1.CertificateServiceServer.
func (s *certificateServer) CreateCertificate(ctx context.Context, r *adminv1.CreateCertificateRequest) (*adminv1.Certificate, error) {
	return s.create(ctx, r.GetFleet(), r.GetChangeSet(), r.GetCertificate())
}

// UpdateCertificate implements adminv1.CertificateServiceServer.
func (s *certificateServer) UpdateCertificate(ctx context.Context, r *adminv1.UpdateCertificateRequest) (*adminv1.Certificate, error) {
	return s.update(ctx, r, r.GetChangeSet(), r.GetCertificate(), r.GetUpdateMask())
}

// UpsertCertificate implements adminv1.CertificateServiceServer.
func (s *certificateServer) UpsertCertificate(ctx context.Context, r *adminv1.UpsertCertificateRequest) (*adminv1.Certificate, error) {
	return s.upsert(ctx, r, r.GetChangeSet(), r.GetCertificate())
}

// DeleteCertificate implements adminv1.CertificateServiceServer.
func (s *certificateServer) DeleteCertificate(ctx context.Context, r *adminv1.DeleteCertificateRequest) (*emptypb.Empty, error) {
	return s.remove(ctx, r, r.GetChangeSet())
}

// RenewCertificate implements adminv1.CertificateServiceServer.
func (s *certificateServer) RenewCertificate(ctx context.Context, r *adminv1.RenewCertificateRequest) (*adminv1.Certificate, error) {
	found, err := s.config.RenewCertificate(ctx, r.GetFleet(), r.GetName())
	return s.answer(ctx, found, err)
}
