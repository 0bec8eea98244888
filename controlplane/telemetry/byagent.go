package telemetry

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"tidegate.dev/controlplane/store"
)

// minuteLimit bounds the minutes of agents that one query reads: a day and some of a hundred agents.
const minuteLimit = 200_000

// pointsOfAgents answers a query that names agents from their minutes, sorted by group, then by time.
func (p *preparedQuery) pointsOfAgents(ctx context.Context, tx *store.Tx) ([]store.TelemetryPoint, error) {
	kept, err := tx.TelemetryMinutes(ctx, p.FleetID, p.agent, p.Since, p.Until, minuteLimit+1)
	if err != nil {
		return nil, err
	}
	if len(kept) > minuteLimit {
		return nil, fmt.Errorf("%w: it is about more than %d minutes of agents; ask for a shorter window, or for one agent", ErrQuery, minuteLimit)
	}
	type group struct {
		at  time.Time
		key store.TelemetryKey
	}
	found := map[group]*store.TelemetryCount{}
	for _, one := range kept {
		read, err := readMinute(one.Cells)
		if err != nil {
			return nil, err
		}
		at := p.Since.Add(one.At.Sub(p.Since) / p.Step * p.Step)
		for key, cell := range read.cells {
			if !p.chooses(key) {
				continue
			}
			in := group{at, p.grouped(key, one.AgentID)}
			if found[in] == nil {
				found[in] = &store.TelemetryCount{}
			}
			addCell(found[in], cell)
		}
	}
	points := make([]store.TelemetryPoint, 0, len(found))
	for in, count := range found {
		points = append(points, store.TelemetryPoint{Time: in.at, Key: in.key, TelemetryCount: *count})
	}
	slices.SortFunc(points, func(a, b store.TelemetryPoint) int {
		return cmp.Or(compareKeys(a.Key, b.Key), a.Time.Compare(b.Time))
	})
	return points, nil
}

func compareKeys(a, b store.TelemetryKey) int {
	return cmp.Or(cmp.Compare(a.AgentID, b.AgentID), cmp.Compare(a.Revision, b.Revision), cmp.Compare(a.Arm, b.Arm),
		cmp.Compare(a.Route, b.Route), cmp.Compare(a.StatusClass, b.StatusClass), cmp.Compare(a.Reason, b.Reason))
}

func (p *preparedQuery) chooses(key store.TelemetryKey) bool {
	return (p.Revision == 0 || key.Revision == p.Revision) && (p.Arm == 0 || key.Arm == p.Arm) && (p.Route == "" || key.Route == p.Route)
}

// grouped is the key with what is kept apart, and nothing else.
func (p *preparedQuery) grouped(key store.TelemetryKey, agentID string) store.TelemetryKey {
	group := store.TelemetryKey{FleetID: p.FleetID}
	if p.byAgent {
		group.AgentID = agentID
	}
	if p.ByRevision {
		group.Revision = key.Revision
	}
	if p.ByArm {
		group.Arm = key.Arm
	}
	if p.ByRoute {
		group.Route = key.Route
	}
	if p.ByStatusClass {
		group.StatusClass = key.StatusClass
	}
	if p.ByReason {
		group.Reason = key.Reason
	}
	return group
}
