package harness

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tidegate.dev/e2e/fleetagent"
)

// enrolmentsAtOnce is how many agents enrol at a time.
const enrolmentsAtOnce = 8

// Enrol gives an agent an identity in the default fleet.
func (s *Stack) Enrol(ctx context.Context, name string) (*fleetagent.Identity, error) {
	var token struct {
		Token string `json:"token"`
	}
	r, err := s.TryAdmin(http.MethodPost, "/v1/joinTokens", map[string]string{"fleet": "default"}, &token)
	if err == nil && r.Status != http.StatusOK {
		err = fmt.Errorf("making a join token: %d %s", r.Status, r.Body)
	}
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return fleetagent.Enroll(ctx, fleetagent.Enrolment{Address: s.Ready.AgentAddress, JoinToken: token.Token, Name: name})
}

// AgentAddresses are where agents reach the replicas of the control plane.
func (s *Stack) AgentAddresses() (addresses []string) {
	for _, replica := range s.Ready.Replicas {
		addresses = append(addresses, replica.AgentAddress)
	}
	return addresses
}

// FleetAgents runs agents of the protocol, without a proxy, until the test ends. shape may change the configuration of each.
// They begin at one replica after another.
func (s *Stack) FleetAgents(count int, shape func(i int, config *fleetagent.Config)) []*fleetagent.Agent {
	s.t.Helper()
	agents, contents, addresses := make([]*fleetagent.Agent, count), fleetagent.NewContents(), s.AgentAddresses()
	group, enrolling := errgroup.WithContext(s.t.Context())
	group.SetLimit(enrolmentsAtOnce)
	for i := range agents {
		group.Go(func() error {
			identity, err := s.Enrol(enrolling, fmt.Sprintf("fleet-%05d", i))
			if err != nil {
				return err
			}
			first := i % len(addresses)
			config := fleetagent.Config{
				Identity: identity, Contents: contents,
				Addresses: append(append([]string(nil), addresses[first:]...), addresses[:first]...),
			}
			if shape != nil {
				shape(i, &config)
			}
			agents[i] = fleetagent.New(config)
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		s.t.Fatalf("enrolling agents: %v", err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	var running sync.WaitGroup
	for _, agent := range agents {
		running.Go(func() { _ = agent.Run(ctx) }) // it ends with ctx alone
	}
	s.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return agents
}
