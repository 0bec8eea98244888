package rollout

import (
	"fmt"
	"slices"
	"time"
)

// Decide says what to do about one fleet's rollout at a moment, by the store's clock. It does at most one step of the state
// chart; whoever carries it out asks again. No action means that there is nothing to do yet.
func Decide(now time.Time, state State) []Action {
	d := newDecision(now, state)
	switch {
	case state.Rollout.Ended():
		return nil
	case state.Rollout.State == Queued:
		return d.queued()
	case (state.ClockOffset - state.Rollout.ClockOffset).Abs() > maxClockDrift:
		return []Action{ShiftClock{By: state.ClockOffset - state.Rollout.ClockOffset, Members: d.Members}}
	}
	actions := d.observe()
	if why := d.agentGate(); why != "" {
		return append(actions, d.rollBack(why))
	}
	verdicts, why := d.judge()
	if len(verdicts) > 0 {
		actions = append(actions, RecordVerdicts{verdicts})
	}
	if why == "" {
		_, why = d.askGates()
	}
	if why != "" {
		return append(actions, d.rollBack(why))
	}
	if d.Waiting != nil && d.Waiting.Supersede {
		return append(actions, GiveWay{fmt.Sprintf("revision %d does not wait: it takes its place, with the changes of both", d.Waiting.Revision)})
	}
	if carried := d.carryOut(); len(carried) > 0 {
		return append(actions, carried...)
	}
	return append(actions, d.progress()...)
}

// decision is a state at a moment.
type decision struct {
	State
	now time.Time
	// Agents by id, the names of agents, and the ids of members.
	byID    map[string]*Agent
	names   map[string]bool
	members map[string]bool
	// said is what was said last of each comparison; nil until somebody asks.
	said map[comparison]*Verdict
	// closely: every verdict is to have its interval; roughly: none is. looked is what judge said.
	closely, roughly bool
	looked           []Verdict
	// only are the metrics that are judged; nil: all.
	only map[string]bool
	// judging is the look that looked came from; nil: nothing was compared.
	judging *judging
}

func newDecision(now time.Time, state State) *decision {
	d := &decision{
		State: state, now: now, names: make(map[string]bool, len(state.Agents)),
		byID: make(map[string]*Agent, len(state.Agents)), members: make(map[string]bool, len(state.Members)),
	}
	d.Members = slices.Clone(d.Members) // observe changes it
	for i := range d.Agents {
		d.byID[d.Agents[i].ID], d.names[d.Agents[i].Name] = &d.Agents[i], true
	}
	for _, member := range d.Members {
		d.members[member.AgentID] = true
	}
	return d
}

// agent is nil if it was deleted.
func (d *decision) agent(id string) *Agent { return d.byID[id] }

// holds says whether an agent is a member.
func (d *decision) holds(id string) bool { return d.members[id] }

func (d *decision) step() Step { return d.Plan.Steps[min(d.Rollout.Step, d.Plan.last())] }

// begun says whether any dial was ever set; a rollout can wait for approval before.
func (d *decision) begun() bool { return !d.Rollout.StepAt.IsZero() }

// queued decides how a rollout begins, when no other is active.
func (d *decision) queued() []Action {
	if carried := d.carryOut(); len(carried) > 0 {
		return carried
	}
	if d.Unchanged && d.Rollout.StableRevision != 0 {
		return []Action{Complete{fmt.Sprintf("nothing changed for agents: revision %d has the content of revision %d", d.Rollout.Revision, d.Rollout.StableRevision)}}
	}
	if d.awaitsReturn() {
		return nil
	}
	return d.enter(d.first(), onStart, "", "", false)
}

// first is the first step for which there is an agent.
func (d *decision) first() int {
	for i, step := range d.Plan.Steps {
		if present, _ := d.eligibleFor(step); present > 0 {
			return i
		}
	}
	return d.Plan.last()
}

// returnsWithin is how long a fleet of which nobody is connected, but somebody was a moment ago, is waited for. After a restart
// of the control plane or an outage of Postgres agents come back within seconds; a revision that was published in between must
// not count as one for an empty fleet, which would skip every step.
const returnsWithin = 30 * time.Second

func (d *decision) awaitsReturn() bool {
	if present, _ := d.eligible(); present > 0 {
		return false
	}
	for _, agent := range d.Agents {
		if !agent.Drain && d.now.Before(agent.SeenAt.Add(returnsWithin)) {
			return true
		}
	}
	return false
}

// enter sets the dials of a step, or waits for approval of it. why and actor are a person's, if one asked.
func (d *decision) enter(step int, on trigger, why, actor string, waive bool) []Action {
	if present, _ := d.eligible(); present == 0 && len(d.Members) == 0 {
		return []Action{Complete{fmt.Sprintf("no agent is connected: revision %d is stable at once, and agents that join get it", d.Rollout.Revision)}}
	}
	to := d.Plan.Steps[step]
	if to.Approval && (on == onStart || on == onAdvance || on == onPromote && !waive) {
		text := fmt.Sprintf("%s waits for approval: %s", d.stepName(step), d.dials(to))
		return []Action{StopClock{On: onAwaitApproval, Why: join(text, why), Actor: actor}}
	}
	add := d.additions(to)
	text := fmt.Sprintf("%s: %s", d.stepName(step), d.dials(to))
	if d.Rollout.StableRevision == 0 {
		text += "; the first revision has nothing to be compared with, so agents' own checks decide alone"
	}
	return []Action{EnterStep{
		Step: step, SharePPM: to.SharePPM, Add: add, On: on, Waive: waive, Why: join(text, why), Actor: actor,
	}}
}

// dials says in words what a step sets.
func (d *decision) dials(step Step) string {
	present, candidates := d.eligibleFor(step)
	agents := max(step.agentsOf(present), present-len(candidates))
	who := fmt.Sprintf("%d of %d agents%s", agents, present, step.who())
	if agents == present {
		who = "all agents" + step.who()
		if present == 1 {
			who = "the one agent" + step.who()
		}
	}
	if step.ShadowPPM > 0 {
		return fmt.Sprintf("%s, in shadow: it decides beside %s of their requests and serves none", who, percentOf(step.ShadowPPM))
	}
	if step.SharePPM == wholePPM {
		return who + ", all traffic"
	}
	share := fmt.Sprintf("%s, %s of their traffic", who, percentOf(step.SharePPM))
	if d.Plan.Sticky != "" {
		share += ", one coin for each " + d.Plan.Sticky
	}
	return share
}

// stepName counts from 1, as people do.
func (d *decision) stepName(step int) string {
	return fmt.Sprintf("step %d of %d", step+1, len(d.Plan.Steps))
}

// following is the step after the present one. Steps that would change neither dial are passed over, so that a fleet of one
// agent uses only the traffic dial; the last, and one that waits for a person, never are.
func (d *decision) following() int {
	if !d.begun() {
		return d.first()
	}
	for i := d.Rollout.Step + 1; i < d.Plan.last(); i++ {
		step := d.Plan.Steps[i]
		if step.Approval || step.SharePPM != d.Rollout.SharePPM || len(d.additions(step)) > 0 {
			return i
		}
	}
	return d.Plan.last()
}

func (d *decision) inLastStep() bool { return d.begun() && d.Rollout.Step >= d.Plan.last() }

func (d *decision) rollBack(why string) Action {
	since, of := d.Rollout.StepAt, fmt.Sprintf("step %d", d.Rollout.Step+1)
	return RollBack{fmt.Sprintf("%s; rolled back %s after %s began", why, lengthOf(d.now.Sub(since)), of)}
}

// join appends a person's reason.
func join(text, reason string) string {
	if reason == "" {
		return text
	}
	return text + " (" + reason + ")"
}
