package agent

import (
	"fmt"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// mostLane bounds the entries of a lane that comes in parts.
const mostLane = 1 << 24

// laneReset collects a lane that begins from nothing, until it is whole: what was held is served meanwhile.
type laneReset struct {
	epoch, through int64
	entries        []*agentv1.LaneEntry
}

// begun tells the control plane how far the parts came whose stream was cut; nil: there are none.
func (r *laneReset) begun() *agentv1.PartialLane {
	if r == nil {
		return nil
	}
	return &agentv1.PartialLane{Epoch: r.epoch, ThroughSequence: r.through}
}

// collect returns what takes effect now: a batch as it is, or all parts of a reset after the last; nil: parts are missing.
func (a *Agent) collect(batch *agentv1.LaneBatch) (*agentv1.LaneBatch, error) {
	begun := a.laneReset
	switch {
	case batch.GetReset_() && !batch.GetIncomplete():
		a.laneReset = nil
		return batch, nil
	case batch.GetReset_():
		if held := a.journal.State().LaneEpoch; batch.GetEpoch() < held {
			return nil, fmt.Errorf("the fast lane is of the epoch %d, and %d is held", batch.GetEpoch(), held)
		}
		begun = &laneReset{epoch: batch.GetEpoch()}
	case begun == nil:
		return batch, nil
	case batch.GetEpoch() != begun.epoch || batch.GetAfterSequence() != begun.through:
		a.laneReset = nil
		return nil, fmt.Errorf("a part of the fast lane goes on after (%d, %d), and (%d, %d) was due",
			batch.GetEpoch(), batch.GetAfterSequence(), begun.epoch, begun.through)
	}
	begun.through, begun.entries = batch.GetThroughSequence(), append(begun.entries, batch.GetEntries()...)
	if len(begun.entries) > mostLane {
		a.laneReset = nil
		return nil, fmt.Errorf("a fast lane has more than %d entries", mostLane)
	}
	if batch.GetIncomplete() {
		a.laneReset = begun
		return nil, nil //nolint:nilnil // nothing takes effect yet
	}
	a.laneReset = nil
	return &agentv1.LaneBatch{
		Fleet: batch.GetFleet(), Epoch: batch.GetEpoch(), Reset_: true, ThroughSequence: batch.GetThroughSequence(), Entries: begun.entries,
	}, nil
}
