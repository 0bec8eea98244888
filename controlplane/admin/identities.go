package admin

import (
	"context"
	"net/http"
	"strconv"

	"google.golang.org/protobuf/types/known/emptypb"

	"tidegate.dev/controlplane/identity"
	"tidegate.dev/controlplane/store"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// identityServer is the API of tokens, sessions and the audit.
type identityServer struct {
	adminv1.UnimplementedIdentityServiceServer
	*Server
}

// ListTokens implements adminv1.IdentityServiceServer.
func (s *identityServer) ListTokens(ctx context.Context, _ *adminv1.ListTokensRequest) (*adminv1.ListTokensResponse, error) {
	found, err := s.identity.Tokens(ctx)
	if err != nil {
		return nil, err
	}
	answer := &adminv1.ListTokensResponse{}
	for _, one := range found {
		answer.Tokens = append(answer.Tokens, showToken(one))
	}
	return answer, nil
}

// CreateToken implements adminv1.IdentityServiceServer.
func (s *identityServer) CreateToken(ctx context.Context, r *adminv1.CreateTokenRequest) (*adminv1.CreateTokenResponse, error) {
	role, err := identity.ParseRole(r.GetToken().GetRole())
	if err != nil {
		return nil, invalidField("role", "string.in", "must be admin, publisher or viewer")
	}
	lifetime, err := duration("ttl", r.GetToken().GetTtl(), identity.DefaultTokenLifetime)
	if err != nil {
		return nil, err
	}
	secret, made, err := s.identity.CreateToken(ctx, r.GetToken().GetName(), role, lifetime)
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateTokenResponse{Token: showToken(made), Secret: secret}, nil
}

// RevokeToken implements adminv1.IdentityServiceServer.
func (s *identityServer) RevokeToken(ctx context.Context, r *adminv1.RevokeTokenRequest) (*emptypb.Empty, error) {
	_, err := s.identity.RevokeToken(ctx, r.GetId())
	return &emptypb.Empty{}, err
}

// CreateSession answers with a cookie, so it is of use over HTTP only.
func (s *identityServer) CreateSession(ctx context.Context, r *adminv1.CreateSessionRequest) (*adminv1.Session, error) {
	c := callOf(ctx)
	session, who, err := s.identity.SignIn(ctx, r.GetToken(), c.source)
	if err != nil {
		return nil, err
	}
	c.cookie = sessionCookie(session, int(identity.SessionLifetime.Seconds()), c.secure)
	return showSession(who), nil
}

// GetSession implements adminv1.IdentityServiceServer.
func (s *identityServer) GetSession(ctx context.Context, _ *adminv1.GetSessionRequest) (*adminv1.Session, error) {
	return showSession(callOf(ctx).who), nil
}

// DeleteSession ends the session of the cookie. A caller with a token has none, and nothing happens.
func (s *identityServer) DeleteSession(ctx context.Context, _ *adminv1.DeleteSessionRequest) (*emptypb.Empty, error) {
	c := callOf(ctx)
	if c.session == "" {
		return &emptypb.Empty{}, nil
	}
	c.cookie = sessionCookie("", -1, c.secure)
	return &emptypb.Empty{}, s.identity.SignOut(ctx, c.session)
}

// ListAuditEvents implements adminv1.IdentityServiceServer.
func (s *identityServer) ListAuditEvents(ctx context.Context, r *adminv1.ListAuditEventsRequest) (*adminv1.ListAuditEventsResponse, error) {
	terms, err := parseFilter(r.GetFilter(), "fleet", "actor", "action", "resource")
	if err != nil {
		return nil, err
	}
	filter := store.AuditFilter{Fleet: terms["fleet"], Actor: terms["actor"], Action: terms["action"], Resource: terms["resource"]}
	after, err := pageStart(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	if after != "" {
		if filter.Before, err = strconv.ParseInt(after, 10, 64); err != nil {
			return nil, invalidField("page_token", "page_token", "is not a page token that this list gave")
		}
	}
	size := pageSize(r.GetPageSize())
	found, err := s.identity.AuditEvents(ctx, filter, int32(size)+1)
	if err != nil {
		return nil, err
	}
	shown, next := page(found, size, func(e store.AuditEvent) string { return strconv.FormatInt(e.ID, 10) })
	answer := &adminv1.ListAuditEventsResponse{NextPageToken: next}
	for _, e := range shown {
		answer.AuditEvents = append(answer.AuditEvents, &adminv1.AuditEvent{
			Id: e.ID, Time: timestamp(e.At), Actor: e.Actor, Action: e.Action, Fleet: e.Fleet, Resource: e.Resource,
			Reason: e.Reason, RequestId: e.RequestID, Source: e.Source,
		})
	}
	return answer, nil
}

// sessionCookie is read by no script and sent with no other site's page. Who signed in by HTTPS sends it by HTTPS alone; the
// default address speaks plain HTTP on the loopback.
func sessionCookie(value string, maxAge int, secure bool) *http.Cookie {
	return &http.Cookie{
		Name: SessionCookie, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode,
	}
}

func showToken(t store.Token) *adminv1.Token {
	return &adminv1.Token{
		Id: t.ID, Name: t.Name, Role: t.Role, CreateTime: timestamp(t.CreatedAt), ExpireTime: timestamp(t.ExpiresAt),
		LastUsedTime: optionalTimestamp(t.LastUsedAt),
	}
}

func showSession(who identity.Principal) *adminv1.Session {
	return &adminv1.Session{Subject: who.Name, Role: who.Role.String(), ExpireTime: timestamp(who.ExpiresAt)}
}
