package store

import (
	"context"
	"fmt"

	"tidegate.dev/controlplane/store/queries"
)

// ShadowKey says what samples of a rollout's shadow step have in common. Without decisions it is all of the candidate's route.
type ShadowKey struct {
	RolloutID                         int64
	StableRoute, StableDecision       string
	CandidateRoute, CandidateDecision string
}

// ShadowCount is how many samples there were, and one of them.
type ShadowCount struct {
	Requests int64
	Example  string
}

// ShadowDifference is one way in which a candidate decides otherwise than stable.
type ShadowDifference struct {
	StableRoute, StableDecision       string
	CandidateRoute, CandidateDecision string
	Requests                          int64
	Example                           string
	// Sampled is how many samples the candidate's route had.
	Sampled int64
}

// AddShadow adds what many agents sampled. The caller has checked that those agents are in those rollouts (CandidateHolders).
func (tx *Tx) AddShadow(ctx context.Context, counts map[ShadowKey]ShadowCount) error {
	if len(counts) == 0 {
		return nil
	}
	var p queries.AddShadowParams
	for key, count := range counts {
		p.Rollouts = append(p.Rollouts, key.RolloutID)
		p.StableRoutes, p.StableDecisions = append(p.StableRoutes, key.StableRoute), append(p.StableDecisions, key.StableDecision)
		p.CandidateRoutes = append(p.CandidateRoutes, key.CandidateRoute)
		p.CandidateDecisions = append(p.CandidateDecisions, key.CandidateDecision)
		p.Requests, p.Examples = append(p.Requests, count.Requests), append(p.Examples, count.Example)
	}
	if err := tx.queries.AddShadow(ctx, p); err != nil {
		return fmt.Errorf("adding %d counts of shadows: %w", len(counts), translate(err))
	}
	return nil
}

// Shadow returns how many requests were sampled beside a rollout, and its most frequent differences.
func (tx *Tx) Shadow(ctx context.Context, rolloutID int64, most int) (sampled, different int64, list []ShadowDifference, err error) {
	count, err := tx.queries.CountShadow(ctx, rolloutID)
	if err != nil {
		return 0, 0, nil, fmt.Errorf("counting the shadow of rollout %d: %w", rolloutID, translate(err))
	}
	if count.Different == 0 {
		return count.Sampled, 0, nil, nil
	}
	rows, err := tx.queries.ListShadow(ctx, queries.ListShadowParams{RolloutID: rolloutID, Most: int32(most)})
	if err != nil {
		return 0, 0, nil, fmt.Errorf("reading the shadow of rollout %d: %w", rolloutID, translate(err))
	}
	for _, row := range rows {
		list = append(list, ShadowDifference(row))
	}
	return count.Sampled, count.Different, list, nil
}
