package admin

import (
	"context"
	"net/url"

	"google.golang.org/protobuf/types/known/emptypb"

	"tidegate.dev/controlplane/config"
	"tidegate.dev/controlplane/fleet"
	"tidegate.dev/controlplane/identity"
	"tidegate.dev/controlplane/store"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// fleetServer is the API of fleets and their agents.
type fleetServer struct {
	adminv1.UnimplementedFleetServiceServer
	*Server
}

// ListFleets implements adminv1.FleetServiceServer.
func (s *fleetServer) ListFleets(ctx context.Context, r *adminv1.ListFleetsRequest) (*adminv1.ListFleetsResponse, error) {
	after, err := pageStart(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := pageSize(r.GetPageSize())
	found, err := s.directory.Fleets(ctx, after, size+1)
	if err != nil {
		return nil, err
	}
	shown, next := page(found, size, func(f fleet.Fleet) string { return f.Name })
	answer := &adminv1.ListFleetsResponse{NextPageToken: next}
	for _, one := range shown {
		fleet, err := showFleet(ctx, one)
		if err != nil {
			return nil, err
		}
		answer.Fleets = append(answer.Fleets, fleet)
	}
	return answer, nil
}

// GetFleet implements adminv1.FleetServiceServer.
func (s *fleetServer) GetFleet(ctx context.Context, r *adminv1.GetFleetRequest) (*adminv1.Fleet, error) {
	found, err := s.directory.Fleet(ctx, r.GetFleet())
	if err != nil {
		return nil, err
	}
	return showFleet(ctx, found)
}

// CreateFleet implements adminv1.FleetServiceServer.
func (s *fleetServer) CreateFleet(ctx context.Context, r *adminv1.CreateFleetRequest) (*adminv1.Fleet, error) {
	made, err := s.directory.CreateFleet(ctx, r.GetFleet().GetName())
	if err != nil {
		return nil, err
	}
	return showFleet(ctx, made)
}

// UpdateFleetPolicy implements adminv1.FleetServiceServer.
func (s *fleetServer) UpdateFleetPolicy(ctx context.Context, r *adminv1.UpdateFleetPolicyRequest) (*adminv1.Fleet, error) {
	if err := s.config.SetPolicy(ctx, r.GetFleet(), r.GetPolicy()); err != nil {
		return nil, err
	}
	return s.GetFleet(ctx, &adminv1.GetFleetRequest{Fleet: r.GetFleet()})
}

// OpenEpoch implements adminv1.FleetServiceServer.
func (s *fleetServer) OpenEpoch(ctx context.Context, r *adminv1.OpenEpochRequest) (*adminv1.OpenEpochResponse, error) {
	epoch, err := s.directory.OpenEpoch(ctx, r.GetFleet())
	if err != nil {
		return nil, err
	}
	return &adminv1.OpenEpochResponse{Epoch: int32(epoch)}, nil
}

// ListAgents implements adminv1.FleetServiceServer.
func (s *fleetServer) ListAgents(ctx context.Context, r *adminv1.ListAgentsRequest) (*adminv1.ListAgentsResponse, error) {
	after, err := pageStart(r.GetPageToken())
	if err != nil {
		return nil, err
	}
	size := pageSize(r.GetPageSize())
	found, err := s.directory.Agents(ctx, r.GetFleet(), after, size+1)
	if err != nil {
		return nil, err
	}
	shown, next := page(found, size, func(a store.Agent) string { return a.Name })
	answer := &adminv1.ListAgentsResponse{NextPageToken: next}
	for _, one := range shown {
		answer.Agents = append(answer.Agents, showAgent(one))
	}
	return answer, nil
}

// GetAgent implements adminv1.FleetServiceServer.
func (s *fleetServer) GetAgent(ctx context.Context, r *adminv1.GetAgentRequest) (*adminv1.Agent, error) {
	found, err := s.directory.Agent(ctx, r.GetFleet(), r.GetId())
	if err != nil {
		return nil, err
	}
	return showAgent(found), nil
}

// DrainAgent implements adminv1.FleetServiceServer.
func (s *fleetServer) DrainAgent(ctx context.Context, r *adminv1.DrainAgentRequest) (*adminv1.Agent, error) {
	drained, err := s.directory.Drain(ctx, r.GetFleet(), r.GetId(), true)
	if err != nil {
		return nil, err
	}
	return showAgent(drained), nil
}

// DeleteAgent implements adminv1.FleetServiceServer.
func (s *fleetServer) DeleteAgent(ctx context.Context, r *adminv1.DeleteAgentRequest) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, s.directory.Delete(ctx, r.GetFleet(), r.GetId())
}

// CreateJoinToken implements adminv1.FleetServiceServer.
func (s *fleetServer) CreateJoinToken(ctx context.Context, r *adminv1.CreateJoinTokenRequest) (*adminv1.CreateJoinTokenResponse, error) {
	lifetime, err := duration("ttl", r.GetTtl(), 0)
	if err != nil {
		return nil, err
	}
	made, err := s.directory.CreateJoinToken(ctx, r.GetFleet(), callOf(ctx).who.Name, lifetime)
	if err != nil {
		return nil, err
	}
	return &adminv1.CreateJoinTokenResponse{Token: made.Token, ExpireTime: timestamp(made.ExpiresAt)}, nil
}

// Explain implements adminv1.FleetServiceServer.
func (s *fleetServer) Explain(ctx context.Context, r *adminv1.ExplainRequest) (*adminv1.ExplainResponse, error) {
	found, err := s.config.Explain(ctx, r.GetFleet(), r.GetView(), config.Asked{
		Method: r.GetMethod(), URL: r.GetUrl(), Headers: r.GetHeaders(),
	})
	if err != nil {
		return nil, err
	}
	answer := &adminv1.ExplainResponse{
		Route: found.Route, Service: found.Service, Pattern: found.Pattern, Parameters: found.Parameters, Conditions: found.Conditions,
		Backends: found.Backends, Action: found.Action,
	}
	for _, plugin := range found.Plugins {
		answer.Plugins = append(answer.Plugins, &adminv1.ExplainedPlugin{
			Name: plugin.Name, Type: plugin.Type, Phase: plugin.Phase, Reason: plugin.Reason,
		})
	}
	for _, other := range found.Others {
		answer.Others = append(answer.Others, &adminv1.ExplainedRoute{Name: other.Name, Reason: other.Reason})
	}
	return answer, nil
}

// showFleet shows addresses of notifications whole to administrators alone: they may hold a secret.
func showFleet(ctx context.Context, f fleet.Fleet) (*adminv1.Fleet, error) {
	policy, err := config.Policy(f.Fleet)
	if err != nil {
		return nil, err
	}
	if callOf(ctx).who.Role < identity.Admin {
		for _, notification := range policy.GetNotifications() {
			notification.Url = hostOnly(notification.GetUrl())
		}
	}
	return &adminv1.Fleet{
		Name: f.Name, HeadRevision: int32(f.Head.Revision), StableRevision: int32(f.Head.Stable), LaneSequence: int32(f.Head.LaneSequence),
		ActiveRollout: identifier(f.ActiveRollout), AgentsConnected: int32(f.AgentsConnected), AgentsTotal: int32(f.AgentsTotal),
		CreateTime: timestamp(f.CreatedAt), Policy: policy,
	}, nil
}

// hostOnly is a URL without what may be secret in it.
func hostOnly(text string) string {
	parsed, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return parsed.Scheme + "://" + parsed.Host + "/…"
}

// millionths in a percent.
const ppmPerPercent = 10_000

func showAgent(a store.Agent) *adminv1.Agent {
	return &adminv1.Agent{
		Id: a.ID, Name: a.Name, Labels: a.Labels, State: fleet.AgentState(a), Version: a.Version,
		DesiredStableRevision: int32(a.DesiredStable), DesiredCandidateRevision: int32(a.DesiredCandidate),
		AppliedStableRevision: int32(a.Stable), AppliedCandidateRevision: int32(a.Candidate),
		CandidatePercent: float64(a.SharePPM) / ppmPerPercent, LaneSequence: int32(a.LaneSequence), Error: a.Error,
		ConnectTime: optionalTimestamp(a.ConnectedAt), LastSeenTime: optionalTimestamp(a.SeenAt),
		CertificateExpireTime: timestamp(a.CertificateExpiresAt), Listeners: a.Listeners,
	}
}
