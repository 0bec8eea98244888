package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tidegate.dev/controlplane/store/queries"
)

// Reading is what a rollout's sums had come to at a moment.
type Reading struct {
	// Number counts from 1.
	Number int32
	At     time.Time
	Step   int32
	// Counted is what all totals come to together: whether anything has changed since.
	Counted int64
	Sums    []ReadingSum
}

// ReadingSum is one sum of a reading. Of a total, New… are the requests on routes that only the candidate has.
type ReadingSum struct {
	Metric, Route            string
	SharePpm                 int32
	Candidate, Control       int64
	NewCandidate, NewControl int64
	// Units: it is units that were counted, not requests.
	Units bool
}

// LastReading is a rollout's last reading without its sums; its number is 0 if there is none.
func (tx *Tx) LastReading(ctx context.Context, rolloutID int64) (Reading, error) {
	row, err := tx.queries.GetLastReading(ctx, rolloutID)
	switch err = translate(err); {
	case errors.Is(err, ErrNotFound):
		return Reading{}, nil
	case err != nil:
		return Reading{}, fmt.Errorf("reading when rollout %d was read last: %w", rolloutID, err)
	}
	return Reading{Number: row.Number, At: row.At, Counted: row.Counted}, nil
}

// Readings returns all readings of a rollout, in their order. Each holds the sums that had changed since the one before.
func (tx *Tx) Readings(ctx context.Context, rolloutID int64) ([]Reading, error) {
	rows, err := tx.queries.ListReadings(ctx, rolloutID)
	if err != nil {
		return nil, fmt.Errorf("listing the readings of rollout %d: %w", rolloutID, translate(err))
	}
	sums, err := tx.queries.ListReadingSums(ctx, rolloutID)
	if err != nil {
		return nil, fmt.Errorf("listing the sums that were read of rollout %d: %w", rolloutID, translate(err))
	}
	readings := make([]Reading, len(rows))
	for i, row := range rows {
		readings[i] = Reading{Number: row.Number, At: row.At, Step: row.Step}
		for len(sums) > 0 && sums[0].Number == row.Number {
			metric, units := strings.CutPrefix(sums[0].Metric, UnitsPrefix)
			readings[i].Sums = append(readings[i].Sums, ReadingSum{
				Metric: metric, Route: sums[0].Route, SharePpm: sums[0].SharePpm, Candidate: sums[0].Candidate,
				Control: sums[0].Control, NewCandidate: sums[0].NewCandidate, NewControl: sums[0].NewControl, Units: units,
			})
			sums = sums[1:]
		}
	}
	return readings, nil
}

// saveReading keeps what changed since the reading before.
func (tx *Tx) saveReading(ctx context.Context, rolloutID int64, reading Reading) error {
	err := tx.queries.InsertReading(ctx, queries.InsertReadingParams{
		RolloutID: rolloutID, Number: reading.Number, At: reading.At, Step: reading.Step, Counted: reading.Counted,
	})
	if err != nil {
		return fmt.Errorf("keeping reading %d of rollout %d: %w", reading.Number, rolloutID, translate(err))
	}
	p := queries.InsertReadingSumsParams{RolloutID: rolloutID, Number: reading.Number}
	for _, sum := range reading.Sums {
		metric := sum.Metric
		if sum.Units {
			metric = UnitsPrefix + metric
		}
		p.Metrics, p.Routes, p.SharesPpm = append(p.Metrics, metric), append(p.Routes, sum.Route), append(p.SharesPpm, sum.SharePpm)
		p.Candidates, p.Controls = append(p.Candidates, sum.Candidate), append(p.Controls, sum.Control)
		p.NewCandidates, p.NewControls = append(p.NewCandidates, sum.NewCandidate), append(p.NewControls, sum.NewControl)
	}
	if err := tx.queries.InsertReadingSums(ctx, p); err != nil {
		return fmt.Errorf("keeping %d sums of rollout %d: %w", len(reading.Sums), rolloutID, translate(err))
	}
	return nil
}
