package fleet_test

import (
	"github.com/jackc/pgx/v5"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/proto/revision"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// rollOut opens the dials as the rollouts' controller would: the agents hold the candidate for a share of their traffic.
func (p *plane) rollOut(candidate int64, sharePPM int32, agents ...string) (id int64) {
	p.t.Helper()
	alpha, tolerance := 0.02, 1.5
	spec, err := revision.Encode(&configv1.Strategy{
		Steps: []*configv1.Step{{AgentsPercent: 100, TrafficPercent: 10}}, Alpha: &alpha, Tolerance: &tolerance,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	ctx := p.t.Context()
	p.inTx(func(tx *store.Tx) error {
		id, err = tx.QueueRollout(ctx, store.QueuedRollout{FleetID: p.fleet.ID, Revision: candidate, Strategy: "s", Spec: spec, Author: "test"})
		return err
	})
	connection, err := pgx.Connect(ctx, p.databaseURL)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = connection.Close(ctx) }()
	if _, err := connection.Exec(ctx, "UPDATE rollouts SET state = 'running', candidate_share_ppm = $2 WHERE id = $1", id, sharePPM); err != nil {
		p.t.Fatal(err)
	}
	for _, agent := range agents {
		if _, err := connection.Exec(ctx, "INSERT INTO rollout_members (rollout_id, agent_id, name, step) SELECT $1, id, name, 0 FROM agents WHERE id = $2", id, agent); err != nil {
			p.t.Fatal(err)
		}
	}
	p.inTx(func(tx *store.Tx) error {
		if _, err := tx.LockHead(ctx, p.fleet.ID); err != nil {
			return err
		}
		_, err := tx.RaiseGeneration(ctx, p.fleet.ID)
		return err
	})
	return id
}
