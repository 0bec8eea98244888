package proxy

import (
	"tidegate.dev/dataplane/lane"
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
)

// askForArm is the header by which a caller asks for an arm, "stable" or "candidate", to look at a candidate before its coin falls.
const askForArm = "X-Tidegate-Arm"

// armScope is what the caller's key must be allowed.
var armScope = []string{"tidegate:arm"}

// askedArms are the arms of requests that asked for theirs. No coin chose these, so they are no evidence: they count under no
// rollout.
type askedArms struct{ stable, candidate *heldArm }

// newAskedArms returns nil unless there are two arms to choose from, and the candidate serves at all.
func (p *Proxy) newAskedArms(in snapshot.Installation) *askedArms {
	if in.Stable == nil || in.Candidate == nil || in.SharePPM == 0 {
		return nil
	}
	open := func(arm uint8, s *snapshot.Snapshot) *heldArm {
		return newHeldArm(p.counters.Open(telemetry.ArmKey{Revision: s.Revision(), Arm: arm}, s.Numbers()))
	}
	return &askedArms{stable: open(stableArm, in.Stable), candidate: open(candidateArm, in.Candidate)}
}

func (a *askedArms) release() {
	a.stable.release()
	a.candidate.release()
}

// takeAsked takes the arm that the request asks for, and tells whether it may. Who may not is as if nothing had been asked.
func (x *exchange) takeAsked() bool {
	g := x.generation
	if g.asked == nil || !x.header.Has(askForArm) {
		return false
	}
	if key, ok := x.presentedKey(""); !ok || !x.mayAsk(key) {
		return false
	}
	switch x.header.Get(askForArm) {
	case "stable":
		x.snapshot, x.arm = g.Stable, g.asked.stable
	case "candidate":
		x.snapshot, x.arm = g.Candidate, g.asked.candidate
	default:
		return false
	}
	return true
}

// mayAsk tells whether a key lets its consumer ask for an arm.
func (x *exchange) mayAsk(key *lane.Key) bool {
	if key.Expired(x.Started) || !key.HasScopes(armScope) {
		return false
	}
	consumer, ok := x.proxy.lane.Consumer(key.Consumer)
	return ok && !consumer.Disabled && !consumer.Blocked
}
