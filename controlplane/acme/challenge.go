package acme

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/keyring"
	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

const (
	// challengeLife is how long agents answer a challenge that nobody takes away.
	challengeLife = time.Hour
	// agentsPoll is how often Postgres is asked whether agents have acknowledged. They report once a second.
	agentsPoll = 100 * time.Millisecond
)

var (
	errNotOffered = errors.New("the authority does not offer to prove it by acme.challenge")
	errNoAgents   = errors.New("no agent is connected that could answer the authority")
)

// show has every connected agent answer the challenges: whichever the authority meets must know them.
func (a *attempt) show(ctx context.Context, challenges []acme.Challenge) error {
	expiresAt := time.Now().Add(challengeLife).Unix()
	writes := make([]store.LaneWrite, len(challenges))
	for i, challenge := range challenges {
		key := challengeKey(challenge)
		material := &agentv1.AcmeChallengeMaterial{KeyAuthorization: challenge.KeyAuthorization, ExpiresAt: expiresAt}
		if challenge.Type == acme.ChallengeTypeTLSALPN01 {
			material.ServerName = challenge.Identifier.Value
		}
		body, err := proto.Marshal(material)
		if err != nil {
			return fmt.Errorf("encoding a challenge: %w", err)
		}
		sealed, err := a.config.Keyring.Seal(body, keyring.ResourceContext(a.claim.FleetID, key.Kind, key.Name))
		if err != nil {
			return err
		}
		writes[i] = store.LaneWrite{Key: key, Owner: a.claim.Name, Body: sealed}
	}
	sequence, err := a.writeChallenges(ctx, writes)
	if err != nil {
		return fmt.Errorf("handing the challenges to agents: %w", err)
	}
	return a.awaitAgents(ctx, sequence)
}

func challengeKey(challenge acme.Challenge) revision.Key {
	return revision.Key{Kind: configv1.Kind_KIND_ACME_CHALLENGE, Name: challenge.Token}
}

// writeChallenges writes challenges, and takes out those that an earlier attempt left behind.
func (a *attempt) writeChallenges(ctx context.Context, writes []store.LaneWrite) (sequence int64, err error) {
	written := map[revision.Key]bool{}
	for _, write := range writes {
		written[write.Key] = true
	}
	err = a.inTx(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.LockLane(ctx, a.claim.FleetID); err != nil {
			return err
		}
		if err := tx.HoldACME(ctx, a.claim, a.config.Lease); err != nil {
			return err
		}
		old, err := tx.ACMEChallenges(ctx, a.claim.FleetID, a.claim.Name)
		if err != nil {
			return err
		}
		all := writes
		for _, write := range old {
			if !written[write.Key] {
				all = append(all, write)
			}
		}
		sequence, err = tx.AppendLane(ctx, a.claim.FleetID, author, all)
		return err
	})
	return sequence, err
}

// awaitAgents waits until all connected agents hold the fast lane up to a sequence.
func (a *attempt) awaitAgents(ctx context.Context, sequence int64) error {
	deadline := time.NewTimer(a.config.AgentsDeadline)
	defer deadline.Stop()
	tick := time.NewTicker(agentsPoll)
	defer tick.Stop()
	for {
		var connected int
		var behind []string
		err := a.inTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			connected, behind, err = tx.AgentsBehind(ctx, a.claim.FleetID, sequence)
			return err
		})
		if err != nil {
			return err
		}
		if connected > 0 && len(behind) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-tick.C:
		case <-deadline.C:
			if connected == 0 {
				return errNoAgents
			}
			return &agentsError{connected: connected, behind: behind}
		}
	}
}

// agentsError: agents did not acknowledge a challenge in time.
type agentsError struct {
	connected int
	behind    []string
}

// Error names a few of them.
func (e *agentsError) Error() string {
	named := strings.Join(e.behind[:min(len(e.behind), 5)], ", ")
	return fmt.Sprintf("%d of %d connected agents did not acknowledge the challenge in time (%s)", len(e.behind), e.connected, named)
}

// withdraw takes challenges out of the lane that are still there.
func (a *attempt) withdraw(ctx context.Context, challenges []acme.Challenge) {
	keys := make([]revision.Key, len(challenges))
	for i, challenge := range challenges {
		keys[i] = challengeKey(challenge)
	}
	err := a.atLast(ctx, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.LockLane(ctx, a.claim.FleetID); err != nil {
			return err
		}
		found, err := tx.Lane(ctx, a.claim.FleetID, keys)
		if err != nil {
			return err
		}
		var writes []store.LaneWrite
		for key, version := range found {
			if !version.Deleted {
				writes = append(writes, store.LaneWrite{Key: key, Delete: true, Owner: a.claim.Name})
			}
		}
		_, err = tx.AppendLane(ctx, a.claim.FleetID, author, writes)
		return err
	})
	if err != nil {
		a.log.Warn("taking challenges back; agents forget them by themselves", "error", err)
	}
}
