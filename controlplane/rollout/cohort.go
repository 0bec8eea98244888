package rollout

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
)

// rank orders agents within a rollout. It depends on both, so that it is not always the same agent that goes first, and it
// never changes, so that the 10 % contains the 1 %.
func rank(rolloutID int64, agentID string) string {
	hash := sha256.New()
	_ = binary.Write(hash, binary.BigEndian, rolloutID) // a hash never fails
	hash.Write([]byte(agentID))
	return string(hash.Sum(nil))
}

// additions are the agents that must join so that the step has as many as it asks for, of those that are there and not
// draining. Members never leave, so they count first.
func (d *decision) additions(step Step) []Member {
	present, candidates := d.eligibleFor(step)
	missing := step.agentsOf(present) - (present - len(candidates))
	if missing <= 0 {
		return nil
	}
	ranks := make(map[string]string, len(candidates))
	for _, agent := range candidates {
		ranks[agent.ID] = rank(d.Rollout.ID, agent.ID)
	}
	slices.SortFunc(candidates, func(a, b Agent) int { return strings.Compare(ranks[a.ID], ranks[b.ID]) })
	return membersOf(candidates[:missing])
}

// eligible counts the agents that could hold the candidate, and returns those that do not yet.
func (d *decision) eligible() (present int, candidates []Agent) { return d.eligibleFor(Step{}) }

// eligibleFor is eligible among the agents that the step takes.
func (d *decision) eligibleFor(step Step) (present int, candidates []Agent) {
	for _, agent := range d.Agents {
		if !agent.Alive || agent.Drain || !step.takes(agent.Labels) {
			continue
		}
		present++
		if !d.holds(agent.ID) {
			candidates = append(candidates, agent)
		}
	}
	return present, candidates
}

func membersOf(agents []Agent) []Member {
	members := make([]Member, len(agents))
	for i, agent := range agents {
		members[i] = Member{AgentID: agent.ID, Name: agent.Name, BootID: agent.BootID}
	}
	return members
}
