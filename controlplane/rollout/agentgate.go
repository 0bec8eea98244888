package rollout

import (
	"fmt"
	"strings"
	"time"
)

// How long an agent may take before it stops a rollout. What the leader did not see, because it did not lead yet, does not
// count.
const (
	// lostGrace is how long a member may be away.
	lostGrace = 10 * time.Second
	// acknowledgeWithin is how long a member may take to serve what it should.
	acknowledgeWithin = 30 * time.Second
)

// observe notes which members went missing or came back since the last look.
func (d *decision) observe() []Action {
	var changed []Member
	for i := range d.Members {
		member := &d.Members[i]
		agent := d.agent(member.AgentID)
		missed := agent != nil && !agent.Alive && !agent.Drain
		switch {
		case missed && member.LostSince.IsZero():
			member.LostSince = d.now
		case !missed && !member.LostSince.IsZero():
			member.LostSince = time.Time{}
		default:
			continue
		}
		changed = append(changed, *member)
	}
	if len(changed) == 0 {
		return nil
	}
	return []Action{Observe{changed}}
}

// agentGate says why a member stops the rollout; one is enough. Agents that drain are excused: they go on purpose.
func (d *decision) agentGate() string {
	for _, gate := range []func(Member, *Agent) string{d.refused, d.restarted, d.lost, d.late} {
		for _, member := range d.Members {
			agent := d.agent(member.AgentID)
			if agent != nil && agent.Drain {
				continue
			}
			if why := gate(member, agent); why != "" {
				return why
			}
		}
	}
	return ""
}

func (d *decision) refused(member Member, agent *Agent) string {
	if agent == nil {
		return ""
	}
	failed := agent.FailedRollout == d.Rollout.ID
	refuses := agent.Status == statusRefused && !agent.Acknowledged.before(d.Rollout.Dials)
	if !failed && !refuses {
		return ""
	}
	verb := "refused"
	if agent.Status == statusDropped || failed && agent.Status != statusRefused {
		verb = "took back"
	}
	text := fmt.Sprintf("agent %s %s revision %d", member.Name, verb, d.Rollout.Revision)
	if agent.Error != "" {
		text += ": " + strings.TrimSpace(agent.Error)
	}
	return text
}

// restarted notices another process under the member's name: it crashed, or was restarted, while it held the candidate.
func (d *decision) restarted(member Member, agent *Agent) string {
	switch {
	case agent == nil && d.names[member.Name]:
		return fmt.Sprintf("agent %s came back with a new identity while it held revision %d", member.Name, d.Rollout.Revision)
	case agent == nil || !agent.Alive || member.BootID == "" || agent.BootID == member.BootID:
		return ""
	}
	return fmt.Sprintf("agent %s restarted while it held revision %d", member.Name, d.Rollout.Revision)
}

func (d *decision) lost(member Member, agent *Agent) string {
	if agent == nil || member.LostSince.IsZero() {
		return ""
	}
	away := d.now.Sub(latest(member.LostSince, d.LeadingSince))
	if away < lostGrace {
		return ""
	}
	return fmt.Sprintf("agent %s was lost for %s while it held revision %d", member.Name, lengthOf(away), d.Rollout.Revision)
}

func (d *decision) late(member Member, agent *Agent) string {
	if agent == nil || !agent.Alive || d.acknowledged(*agent) {
		return ""
	}
	waited := d.now.Sub(latest(d.Rollout.DialsAt, agent.ConnectedAt, d.LeadingSince))
	if waited < acknowledgeWithin {
		return ""
	}
	return fmt.Sprintf("agent %s did not serve revision %d within %s", member.Name, d.Rollout.Revision, acknowledgeWithin)
}

// acknowledged says whether an agent serves what the dials ask for.
func (d *decision) acknowledged(agent Agent) bool {
	return agent.Alive && agent.Status == statusServing && agent.Candidate == d.Rollout.Revision &&
		!agent.Acknowledged.before(d.Rollout.Dials)
}

// allServe says whether every member does, but for those that drain or were deleted.
func (d *decision) allServe() bool {
	for _, member := range d.Members {
		agent := d.agent(member.AgentID)
		if agent != nil && !agent.Drain && !d.acknowledged(*agent) {
			return false
		}
	}
	return true
}

func latest(times ...time.Time) time.Time {
	var last time.Time
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}
