package store

import (
	"context"
	"fmt"
	"time"

	"tidegate.dev/controlplane/store/queries"
	"tidegate.dev/proto/revision"
)

// LaneExpired returns up to limit resources of the fast lane whose time was over at now, by fleet. fleetID 0 takes all fleets.
func (tx *Tx) LaneExpired(ctx context.Context, fleetID int64, now time.Time, limit int) (map[int64][]revision.Key, error) {
	rows, err := tx.queries.ListLaneExpired(ctx, queries.ListLaneExpiredParams{FleetID: fleetID, Now: now, PageSize: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("looking for what is over in the fast lane: %w", translate(err))
	}
	expired := map[int64][]revision.Key{}
	for _, row := range rows {
		expired[row.FleetID] = append(expired[row.FleetID], keyOf(row.Kind, row.Name))
	}
	return expired, nil
}
