package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/store"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// errNameTaken: an agent of that name is connected.
var errNameTaken = errors.New("an agent of that name is connected to the fleet; choose another name, or stop the other")

// enroll uses up a join token, makes an agent and certifies it, all or nothing: a request that fails leaves the token good.
func (s *Server) enroll(ctx context.Context, request *agentv1.EnrollRequest) (*agentv1.EnrollResponse, error) {
	hash, err := parseJoinToken(request.GetJoinToken())
	if err != nil {
		return nil, err
	}
	if err := checkTexts([]string{request.GetName()}, request.GetLabels()); err != nil {
		return nil, fmt.Errorf("%w: %w", errProtocol, err)
	}
	agent := store.AgentIdentity{ID: uuid.NewString(), Name: request.GetName()}
	var chain [][]byte
	err = s.store.InTx(ctx, func(tx *store.Tx) error {
		if agent.FleetID, err = tx.UseJoinToken(ctx, hash, agent.ID); err != nil {
			return asJoinTokenError(err)
		}
		joined, err := tx.FleetByID(ctx, agent.FleetID)
		if err != nil {
			return err
		}
		agent.Fleet = joined.Name
		var notAfter time.Time
		if chain, notAfter, err = s.certify(request.GetCertificateSigningRequest(), agent); err != nil {
			return err
		}
		return asNameError(tx.AddAgent(ctx, agent, request.GetLabels(), notAfter))
	})
	if err != nil {
		return nil, err
	}
	s.metrics.enrolments.Inc()
	s.log.Info("an agent joined", "fleet", agent.Fleet, "agent", agent.Name, "agent_id", agent.ID)
	return &agentv1.EnrollResponse{AgentId: agent.ID, Fleet: agent.Fleet, Credentials: s.credentials(chain)}, nil
}

func asJoinTokenError(err error) error {
	if errors.Is(err, store.ErrNotFound) {
		return errJoinToken
	}
	return err
}

func asNameError(err error) error {
	if errors.Is(err, store.ErrExists) {
		return errNameTaken
	}
	return err
}

// renew certifies an agent's new key.
func (s *Server) renew(ctx context.Context, agent store.AgentIdentity, request *agentv1.RenewRequest) (*agentv1.RenewResponse, error) {
	chain, notAfter, err := s.certify(request.GetCertificateSigningRequest(), agent)
	if err != nil {
		return nil, err
	}
	err = s.store.InTx(ctx, func(tx *store.Tx) error { return tx.SetAgentCertificate(ctx, agent.ID, notAfter) })
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("%w: it was deleted meanwhile", ErrUnauthenticated)
	}
	if err != nil {
		return nil, err
	}
	return &agentv1.RenewResponse{Credentials: s.credentials(chain)}, nil
}

func (s *Server) certify(request []byte, agent store.AgentIdentity) (chain [][]byte, notAfter time.Time, err error) {
	identity := keyring.Identity{Fleet: agent.Fleet, AgentID: agent.ID}
	return s.keyring.Authority().IssueAgent(request, identity, s.certificateLifetime)
}

func (s *Server) credentials(chain [][]byte) *agentv1.Credentials {
	id, public := s.keyring.SigningKey()
	return &agentv1.Credentials{
		CertificateChain: chain,
		Authorities:      s.keyring.Authority().Certificates(),
		SigningKeys:      []*agentv1.SigningKey{{Id: id, PublicKey: public}},
	}
}
