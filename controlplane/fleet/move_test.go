package fleet_test

import (
	"fmt"
	"testing"
)

// When a second replica is there, the first parts with agents until both hold as many, one after the other, and with none while a
// rollout is under way.
func TestAgentsGoToAReplicaThatCameBack(t *testing.T) {
	t.Parallel()
	p := newPlane(t)
	first := p.start("a")
	p.publish(map[string]string{"a": "http://127.0.0.1:1"})
	agents := make([]*fakeAgent, 6)
	for i := range agents {
		agents[i] = p.enrolled(first.address, fmt.Sprint("agent-", i))
		agents[i].connect(first.address)
		agents[i].untilStable(1)
		agents[i].acknowledge(serving, agents[i].serving())
	}
	other := map[string]string{"a": p.start("b").address, "b": first.address}
	moved := 0
	until(t, "as many agents at both replicas", func() bool {
		for _, agent := range agents {
			select {
			case got := <-agent.messages:
				if got.message.GetMove() == nil {
					continue
				}
				moved++
				at := p.agent(agent.id).Replica
				agent.cut()
				agent.connect(other[at])
			default:
			}
		}
		held := map[string]int{}
		for _, agent := range agents {
			held[p.agent(agent.id).Replica]++
		}
		return held["a"] == 3 && held["b"] == 3
	})
	if moved != 3 {
		t.Errorf("%d agents were asked to go, want 3", moved)
	}
}
