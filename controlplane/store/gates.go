package store

import (
	"context"
	"fmt"
	"time"

	"tidegate.dev/controlplane/store/queries"
)

// GatedRollout is an active rollout as external gates are told of it.
type GatedRollout struct {
	ID                int64
	FleetID           int64
	Fleet             string
	Revision          int64
	StableRevision    int64
	State             string
	Step              int32
	CandidateAgents   int32
	CandidateSharePpm int32
	Spec              []byte
}

// GateAnswer is what an external gate said last. Times that have not come are nil.
type GateAnswer struct {
	Name, Verdict, Explanation string
	PassedAt, At               *time.Time
}

// GatedRollouts returns the rollouts whose gates are asked now.
func (tx *Tx) GatedRollouts(ctx context.Context) ([]GatedRollout, error) {
	rows, err := tx.queries.ListGatedRollouts(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the rollouts that have gates: %w", translate(err))
	}
	rollouts := make([]GatedRollout, len(rows))
	for i, row := range rows {
		rollouts[i] = GatedRollout(row)
	}
	return rollouts, nil
}

// ClaimGate takes it on to ask a gate. It is false if somebody did within the interval.
func (tx *Tx) ClaimGate(ctx context.Context, rolloutID int64, name string, interval time.Duration) (bool, error) {
	claimed, err := tx.queries.ClaimGate(ctx, queries.ClaimGateParams{RolloutID: rolloutID, Name: name, IntervalSeconds: interval.Seconds()})
	if err != nil {
		return false, fmt.Errorf("taking on gate %q of rollout %d: %w", name, rolloutID, translate(err))
	}
	return claimed > 0, nil
}

// AnswerGate notes what a gate said. A "fail" counts as one when it came so many times in a row as are not tolerated.
func (tx *Tx) AnswerGate(ctx context.Context, rolloutID int64, name, verdict, explanation string, tolerated int) error {
	err := tx.queries.AnswerGate(ctx, queries.AnswerGateParams{
		RolloutID: rolloutID, Name: name, Verdict: verdict, Explanation: explanation, Tolerated: int32(tolerated),
	})
	if err != nil {
		return fmt.Errorf("noting what gate %q of rollout %d says: %w", name, rolloutID, translate(err))
	}
	return nil
}

// Gates returns what the external gates of a rollout said last.
func (tx *Tx) Gates(ctx context.Context, rolloutID int64) ([]GateAnswer, error) {
	rows, err := tx.queries.ListGates(ctx, rolloutID)
	if err != nil {
		return nil, fmt.Errorf("reading the gates of rollout %d: %w", rolloutID, translate(err))
	}
	answers := make([]GateAnswer, len(rows))
	for i, row := range rows {
		answers[i] = GateAnswer(row)
	}
	return answers, nil
}
