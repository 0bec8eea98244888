package rollout

import (
	"time"

	"tidegate.dev/controlplane/store"
)

// rolloutOf and rowOf translate between what a decision sees and what Postgres keeps.
func rolloutOf(row store.Rollout) Rollout {
	return Rollout{
		ID: row.ID, FleetID: row.FleetID, Revision: row.Revision, StableRevision: row.StableRevision,
		State: row.State, Reason: row.Reason, Step: int(row.Step),
		Agents: int(row.CandidateAgents), SharePPM: row.CandidateSharePpm, Version: row.Version,
		CreatedAt: row.CreatedAt, StartedAt: timeOf(row.StartedAt), EndAt: timeOf(row.EndedAt),
		StepAt: timeOf(row.StepAt), ServingAt: timeOf(row.ServingAt), PausedAt: timeOf(row.PausedAt),
		Dials: Generation{Epoch: row.DialsEpoch, Number: row.DialsGeneration}, DialsAt: timeOf(row.DialsAt),
		Promoted: row.Promoted, Extensions: int(row.Extensions), BaseRequests: row.BaseRequests,
		JudgedAgents: int(row.JudgedAgents), JudgedRoutes: int(row.JudgedRoutes),
		ClockOffset: time.Duration(row.ClockOffsetMs) * time.Millisecond, Supersede: row.Supersede,
	}
}

func rowOf(change Change) store.Rollout {
	r := change.Rollout
	return store.Rollout{
		ID: r.ID, FleetID: r.FleetID, Revision: r.Revision, StableRevision: r.StableRevision,
		State: r.State, Reason: r.Reason, Step: int32(r.Step),
		CandidateAgents: int32(r.Agents), CandidateSharePpm: r.SharePPM, Version: change.Version,
		StartedAt: pointerTo(r.StartedAt), EndedAt: pointerTo(r.EndAt),
		StepAt: pointerTo(r.StepAt), ServingAt: pointerTo(r.ServingAt), PausedAt: pointerTo(r.PausedAt),
		DialsEpoch: r.Dials.Epoch, DialsGeneration: r.Dials.Number, DialsAt: pointerTo(r.DialsAt),
		Promoted: r.Promoted, Extensions: int32(r.Extensions), BaseRequests: r.BaseRequests,
		JudgedAgents: int32(r.JudgedAgents), JudgedRoutes: int32(r.JudgedRoutes), ClockOffsetMs: r.ClockOffset.Milliseconds(),
	}
}

// timeOf is zero where Postgres has NULL.
func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func pointerTo(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// take translates what belongs to a rollout.
func (s *State) take(agents []store.RolloutAgent, members []store.CohortMember, requests []store.RolloutCommand,
	verdicts []store.RolloutVerdict,
) {
	for _, a := range agents {
		s.Agents = append(s.Agents, Agent{
			ID: a.ID, Name: a.Name, BootID: a.BootID, Labels: a.Labels, Alive: a.Alive, ConnectedAt: timeOf(a.ConnectedAt),
			SeenAt: timeOf(a.SeenAt), Drain: a.Drain,
			Acknowledged: Generation{Epoch: a.Epoch, Number: a.Generation}, Status: a.Status, Error: a.Error,
			Candidate: a.CandidateRevision, FailedRollout: a.FailedRollout,
		})
	}
	for _, m := range members {
		s.Members = append(s.Members, Member{
			AgentID: m.AgentID, Name: m.Name, Step: int(m.Step), BootID: m.BootID, LostSince: timeOf(m.LostSince),
		})
	}
	for _, c := range requests {
		s.Requests = append(s.Requests, Request{
			ID: c.ID, RolloutID: c.RolloutID, Command: Command(c.Command), Actor: c.Actor, Reason: c.Reason,
		})
	}
	for _, v := range verdicts {
		s.Verdicts = append(s.Verdicts, Verdict{
			Metric: v.Metric, Route: v.Route, CandidateBad: v.CandidateBad, CandidateTotal: v.CandidateTotal,
			ControlBad: v.ControlBad, ControlTotal: v.ControlTotal, LogEvidence: v.LogEvidence, LogPeak: v.LogPeak,
			LogThreshold: v.LogThreshold, RatioLower: v.RatioLower, RatioUpper: v.RatioUpper,
			Verdict: v.Verdict, Explanation: v.Explanation, At: v.At,
		})
	}
}

// takeEvidence translates what was read of the sums.
func (s *State) takeEvidence(evidence store.Evidence) {
	s.Sums, s.NewRoutes = sumsOf(evidence.Sums), sumsOf(evidence.NewRoutes)
}

func sumsOf(rows []store.EvidenceSum) []Sum {
	sums := make([]Sum, len(rows))
	for i, row := range rows {
		sums[i] = Sum{
			Metric: row.Metric, Route: row.Route, SharePPM: row.SharePpm,
			Candidate: row.Candidate, Control: row.Control, InStable: row.InStable, Units: row.Units,
		}
	}
	return sums
}

func readingRow(reading *Reading) *store.Reading {
	if reading == nil {
		return nil
	}
	row := &store.Reading{Number: int32(reading.Number), At: reading.At, Step: int32(reading.Step), Counted: reading.Counted}
	for _, sum := range reading.Sums {
		row.Sums = append(row.Sums, store.ReadingSum{
			Metric: sum.Metric, Route: sum.Route, SharePpm: sum.SharePPM, Candidate: sum.Candidate, Control: sum.Control, Units: sum.Units,
			NewCandidate: sum.NewCandidate, NewControl: sum.NewControl,
		})
	}
	return row
}

func readingsOf(rows []store.Reading) []Reading {
	readings := make([]Reading, len(rows))
	for i, row := range rows {
		readings[i] = Reading{Number: int(row.Number), At: row.At, Step: int(row.Step), Counted: row.Counted}
		for _, sum := range row.Sums {
			readings[i].Sums = append(readings[i].Sums, ReadSum{
				Sum: Sum{
					Metric: sum.Metric, Route: sum.Route, SharePPM: sum.SharePpm, Candidate: sum.Candidate, Control: sum.Control, Units: sum.Units,
				},
				NewCandidate: sum.NewCandidate, NewControl: sum.NewControl,
			})
		}
	}
	return readings
}

func partsOf(change Change) store.RolloutParts {
	parts := store.RolloutParts{Answers: map[int64]string{}, Reading: readingRow(change.Reading)}
	for _, m := range change.Members {
		parts.Members = append(parts.Members, store.CohortMember{
			AgentID: m.AgentID, Name: m.Name, Step: int32(m.Step), BootID: m.BootID, LostSince: pointerTo(m.LostSince),
		})
	}
	for _, v := range change.Verdicts {
		parts.Verdicts = append(parts.Verdicts, store.RolloutVerdict{
			Metric: v.Metric, Route: v.Route, CandidateBad: v.CandidateBad, CandidateTotal: v.CandidateTotal,
			ControlBad: v.ControlBad, ControlTotal: v.ControlTotal, LogEvidence: v.LogEvidence, LogPeak: v.LogPeak,
			LogThreshold: v.LogThreshold, RatioLower: v.RatioLower, RatioUpper: v.RatioUpper,
			Verdict: v.Verdict, Explanation: v.Explanation,
		})
	}
	for _, e := range change.Events {
		parts.Events = append(parts.Events, store.RolloutEvent{
			Step: int32(e.Step), Type: e.Type, Message: e.Message, Actor: e.Actor,
		})
	}
	for _, answer := range change.Answers {
		parts.Answers[answer.Request] = answer.Result
	}
	return parts
}
