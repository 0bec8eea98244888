package rollout

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Detail is a rollout as people see it. Times that have not come are zero.
type Detail struct {
	ID, Revision, StableRevision    int64
	State, Reason, Strategy, Author string
	// Message is that of the revision.
	Message string
	// Spec is the strategy as it is taken, with its defaults.
	Spec *configv1.Strategy `json:"-"`
	// Step counts from 0; Steps is how many there are, as they are taken.
	Step, Steps                           int
	CreatedAt, StartedAt, StepAt, EndedAt time.Time
	BakeEndAt, DeadlineAt                 time.Time
	CandidateAgents, TotalAgents          int
	TrafficPercent                        float64
	Agents                                []AgentView
	Evidence                              []EvidenceView
	Events                                []EventView
	Possible                              []Command
	// Shadow is what the shadow step found, and Expectations what the change means to bring about.
	Shadow       Shadow
	Expectations []*configv1.Expectation `json:"-"`
	// Gates are what the strategy's own gates say.
	Gates []GateView
}

// AgentView is one agent's part in a rollout. State is "pending", "serving", "refused", "dropped" or "lost".
type AgentView struct {
	ID, Name  string
	Candidate bool
	State     string
	Error     string
}

// EvidenceView is one comparison. RatioUpper is 0 while nothing bounds the ratio.
type EvidenceView struct {
	Metric, Route                string
	CandidateBad, CandidateTotal int64
	ControlBad, ControlTotal     int64
	Evidence, Threshold          float64
	RatioLower, RatioUpper       float64
	Verdict, Explanation         string
}

// EventView is one thing that happened.
type EventView struct {
	At                   time.Time
	Step                 int
	Type, Message, Actor string
}

// fingerprint tells whether two details differ. A value of plain fields has always a JSON form.
func (d Detail) fingerprint() string {
	text, _ := json.Marshal(d)
	return string(text)
}

// headOf is a rollout without its parts.
func headOf(ctx context.Context, tx *store.Tx, row store.Rollout) (Detail, error) {
	rollout := rolloutOf(row)
	detail := Detail{
		ID: row.ID, Revision: row.Revision, StableRevision: row.StableRevision, State: row.State, Reason: row.Reason,
		Strategy: row.Strategy, Author: row.Author, Spec: &configv1.Strategy{}, Step: rollout.Step,
		CreatedAt: row.CreatedAt, StartedAt: rollout.StartedAt, StepAt: rollout.StepAt, EndedAt: rollout.EndAt,
		CandidateAgents: rollout.Agents, TrafficPercent: float64(row.CandidateSharePpm) / wholePPM * 100,
		Possible: Possible(row.State),
	}
	if err := proto.Unmarshal(row.Spec, detail.Spec); err != nil {
		return Detail{}, fmt.Errorf("decoding the strategy of rollout %d: %w", row.ID, err)
	}
	detail.Spec = AsTaken(detail.Spec, row.StableRevision == 0)
	plan, err := planOf(row)
	if err != nil {
		return Detail{}, err
	}
	detail.Steps = len(plan.Steps)
	var expected configv1.Expectations
	if err := proto.Unmarshal(row.Expectations, &expected); err != nil {
		return Detail{}, fmt.Errorf("decoding the expectations of rollout %d: %w", row.ID, err)
	}
	detail.Expectations = expected.GetList()
	detail.setDeadlines(plan, rollout)
	revision, err := tx.Revision(ctx, row.FleetID, row.Revision)
	if err != nil {
		return Detail{}, err
	}
	detail.Message = revision.Message
	return detail, nil
}

// setDeadlines says when the present step may end and must have ended; while its clock stands, nobody can say.
func (d *Detail) setDeadlines(plan Plan, rollout Rollout) {
	if rollout.State != Running || rollout.ServingAt.IsZero() {
		return
	}
	step := plan.Steps[min(rollout.Step, plan.last())]
	d.BakeEndAt = rollout.ServingAt.Add(step.Bake)
	d.DeadlineAt = rollout.ServingAt.Add(step.Maximum * time.Duration(1+rollout.Extensions))
}

func detailOf(ctx context.Context, tx *store.Tx, row store.Rollout) (Detail, error) {
	detail, err := headOf(ctx, tx, row)
	if err != nil {
		return Detail{}, err
	}
	state := State{Rollout: rolloutOf(row)}
	if state.Plan, err = planOf(row); err != nil {
		return Detail{}, err
	}
	if state.Rollout.Expected, err = expectedOf(row); err != nil {
		return Detail{}, err
	}
	if err := loadParts(ctx, tx, row, nil, &state); err != nil {
		return Detail{}, err
	}
	detail.Shadow = state.Shadow
	detail.addAgents(state)
	now := state.Rollout.EndAt
	if now.IsZero() {
		if now, err = tx.Now(ctx); err != nil {
			return Detail{}, err
		}
	}
	detail.addEvidence(Look(now, state))
	detail.Gates, _ = newDecision(now, state).askGates()
	events, err := tx.RolloutEvents(ctx, row.ID, eventsShown)
	if err != nil {
		return Detail{}, err
	}
	for _, e := range slices.Backward(events) {
		detail.Events = append(detail.Events, EventView{
			At: e.At, Step: int(e.Step), Type: e.Type, Message: e.Message, Actor: e.Actor,
		})
	}
	return detail, nil
}

// weight is evidence as people read it, and no more than JSON can write. Where there is no control there is none.
func weight(logarithm, logThreshold float64) float64 {
	if logThreshold <= 0 {
		return 0
	}
	return min(math.Exp(logarithm), math.MaxFloat64)
}

// addEvidence takes what the judge says of all that is counted by now: reports that come after the end count too.
func (d *Detail) addEvidence(verdicts []Verdict) {
	for _, v := range verdicts {
		d.Evidence = append(d.Evidence, EvidenceView{
			Metric: v.Metric, Route: v.Route, CandidateBad: v.CandidateBad, CandidateTotal: v.CandidateTotal,
			ControlBad: v.ControlBad, ControlTotal: v.ControlTotal,
			Evidence: weight(v.LogEvidence, v.LogThreshold), Threshold: weight(v.LogThreshold, v.LogThreshold),
			RatioLower: v.RatioLower, RatioUpper: v.RatioUpper, Verdict: v.Verdict, Explanation: v.Explanation,
		})
	}
}

func (d *Detail) addAgents(state State) {
	known := newDecision(time.Time{}, state)
	shown := map[string]bool{}
	for _, agent := range state.Agents {
		if agent.Alive || known.holds(agent.ID) {
			d.Agents = append(d.Agents, known.agentView(agent))
			shown[agent.ID] = true
		}
	}
	for _, member := range state.Members {
		if !shown[member.AgentID] { // deleted since
			d.Agents = append(d.Agents, AgentView{ID: member.AgentID, Name: member.Name, Candidate: true, State: "lost"})
		}
	}
	slices.SortFunc(d.Agents, func(a, b AgentView) int { return strings.Compare(a.Name, b.Name) })
	d.TotalAgents = len(d.Agents)
}

// agentView is what an agent is in this rollout, as far as it can be told now: a rollout that has ended keeps only who was in.
func (d *decision) agentView(agent Agent) AgentView {
	view := AgentView{ID: agent.ID, Name: agent.Name, Candidate: d.holds(agent.ID), State: "pending"}
	failed := agent.FailedRollout == d.Rollout.ID
	switch {
	case failed && agent.Status == statusRefused:
		view.State, view.Error = statusRefused, agent.Error
	case failed:
		view.State, view.Error = statusDropped, agent.Error
	case !agent.Alive:
		view.State = "lost"
	case agent.Status == statusRefused:
		view.State, view.Error = statusRefused, agent.Error
	case agent.Status == statusServing && (!view.Candidate || !d.Rollout.Active() || d.acknowledged(agent)):
		view.State = statusServing
	}
	return view
}
