package store

import (
	"context"
	"fmt"
	"time"

	"tidegate.dev/controlplane/store/queries"
	"tidegate.dev/proto/revision"
)

// Origins of a revision.
const (
	OriginPublish  = "publish"
	OriginRollback = "rollback"
	OriginRevert   = "revert"
)

// States of a revision.
const (
	RevisionPending    = "pending"
	RevisionRollingOut = "rolling_out"
	RevisionServing    = "serving"
	RevisionSuperseded = "superseded"
	RevisionRejected   = "rejected"
)

// Revision is one immutable state of a fleet's staged content; only State changes.
type Revision struct {
	FleetID, Number, Parent int64
	Root                    revision.Digest
	// LaneSequence is what the fast lane had reached: an agent serves the revision only when it holds the lane up to there.
	LaneSequence int64
	Origin       string
	State        string
	Message      string
	Author       string
	// How many resources it created, updated and deleted against its parent.
	Created, Updated, Deleted int
	CreatedAt                 time.Time
}

// Revision returns one revision, or ErrNotFound.
func (tx *Tx) Revision(ctx context.Context, fleetID, number int64) (Revision, error) {
	row, err := tx.queries.GetRevision(ctx, queries.GetRevisionParams{FleetID: fleetID, Number: number})
	if err != nil {
		return Revision{}, fmt.Errorf("reading revision %d: %w", number, translate(err))
	}
	return revisionOf(row)
}

// Revisions lists up to limit revisions, the newest first, beginning below the number before (0 for the newest).
func (tx *Tx) Revisions(ctx context.Context, fleetID, before int64, limit int) ([]Revision, error) {
	rows, err := tx.queries.ListRevisions(ctx, queries.ListRevisionsParams{
		FleetID: fleetID, Before: before, PageSize: int32(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("listing revisions: %w", translate(err))
	}
	revisions := make([]Revision, len(rows))
	for i, row := range rows {
		if revisions[i], err = revisionOf(row); err != nil {
			return nil, err
		}
	}
	return revisions, nil
}

// SetRevisionState changes the state of a revision.
func (tx *Tx) SetRevisionState(ctx context.Context, fleetID, number int64, state string) error {
	changed, err := tx.queries.SetRevisionState(ctx, queries.SetRevisionStateParams{
		FleetID: fleetID, Number: number, State: state,
	})
	if err == nil && changed == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("setting revision %d to %s: %w", number, state, translate(err))
	}
	return nil
}

// RevisionStates returns the states of those revisions that exist.
func (tx *Tx) RevisionStates(ctx context.Context, fleetID int64, numbers []int64) (map[int64]string, error) {
	rows, err := tx.queries.GetRevisionStates(ctx, queries.GetRevisionStatesParams{FleetID: fleetID, Numbers: numbers})
	if err != nil {
		return nil, fmt.Errorf("reading the states of %d revisions: %w", len(numbers), translate(err))
	}
	states := make(map[int64]string, len(rows))
	for _, row := range rows {
		states[row.Number] = row.State
	}
	return states, nil
}

// CandidateRevision returns the revision that is rolling out; 0 if none is.
func (tx *Tx) CandidateRevision(ctx context.Context, fleetID int64) (int64, error) {
	numbers, err := tx.queries.ListCandidateRevisions(ctx, fleetID)
	if err != nil {
		return 0, fmt.Errorf("looking for the revision that is rolling out: %w", translate(err))
	}
	if len(numbers) == 0 {
		return 0, nil
	}
	return numbers[0], nil
}

// Content visits every resource of a revision's content as it comes from Postgres, in no order. Of the versions only Key,
// From, Body, Digest and Labels are set; the visited bytes may be kept.
func (tx *Tx) Content(ctx context.Context, fleetID, number int64, visit func(Version) error) error {
	const query = `SELECT kind, name, valid_from, body, digest, labels FROM resource_versions
WHERE fleet_id = $1 AND valid_from <= $2 AND (valid_until IS NULL OR valid_until > $2)`
	rows, err := tx.tx.Query(ctx, query, fleetID, number)
	if err != nil {
		return fmt.Errorf("reading the content of revision %d: %w", number, translate(err))
	}
	defer rows.Close()
	for rows.Next() {
		var row queries.ResourceVersion
		if err := rows.Scan(&row.Kind, &row.Name, &row.ValidFrom, &row.Body, &row.Digest, &row.Labels); err != nil {
			return fmt.Errorf("reading the content of revision %d: %w", number, translate(err))
		}
		version, err := versionOf(row)
		if err != nil {
			return err
		}
		if err := visit(version); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the content of revision %d: %w", number, translate(err))
	}
	return nil
}

func revisionOf(row queries.Revision) (Revision, error) {
	root, err := revision.DigestFrom(row.Root)
	if err != nil {
		return Revision{}, fmt.Errorf("reading the root of revision %d: %w", row.Number, err)
	}
	return Revision{
		FleetID: row.FleetID, Number: row.Number, Parent: row.Parent, Root: root, LaneSequence: row.LaneSequence,
		Origin: row.Origin, State: row.State, Message: row.Message, Author: row.Author,
		Created: int(row.Created), Updated: int(row.Updated), Deleted: int(row.Deleted), CreatedAt: row.CreatedAt,
	}, nil
}
