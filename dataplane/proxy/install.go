package proxy

import (
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
)

// generation is an installation while it is served, and after that until its last exchange has ended.
type generation struct {
	// Set once.
	snapshot.Installation
	stableArm    *heldArm
	candidateArm *heldArm
	sticky       *stickyCoin // nil: the coin is thrown for each request
	asked        *askedArms  // nil: there is nothing to ask for

	// Atomic.
	shards  [generationShards]exchangeCount
	retired atomic.Bool
	closing sync.Once
}

// heldArm counts for its generation, and for the exchanges that let go of the generation and go on.
type heldArm struct {
	*telemetry.Arm

	// Atomic.
	holders atomic.Int64
}

func newHeldArm(arm *telemetry.Arm) *heldArm {
	h := &heldArm{Arm: arm}
	h.holders.Store(1)
	return h
}

func (h *heldArm) hold() { h.holders.Add(1) }

func (h *heldArm) release() {
	if h.holders.Add(-1) == 0 {
		h.Close()
	}
}

// generationShards spread the count of exchanges, so that processors do not wait for each other's cache lines.
const generationShards = 16

type exchangeCount struct {
	running atomic.Int64
	_       [56]byte
}

// certain is a probability of one, in parts per million.
const certain = 1_000_000

// Install serves from the installation from now on, and takes over the caller's references to its snapshots. Exchanges that
// run end as they began.
func (p *Proxy) Install(installation snapshot.Installation) {
	p.installing.Lock()
	defer p.installing.Unlock()
	p.adopt(installation)
	p.swap(p.generation(installation))
}

// adopt lets a new candidate begin with what stable knows of the upstreams, so that it need not find out again which target is
// down, and stable take over what a candidate that was promoted knows.
func (p *Proxy) adopt(next snapshot.Installation) {
	current := p.current.Load()
	if p.upstreams == nil || current == nil {
		return
	}
	before := current.Installation
	if before.Candidate != nil && next.Stable != nil && next.Stable.Revision() == before.Candidate.Revision() {
		p.upstreams.Adopt(candidateArm, stableArm)
	}
	if next.Candidate != nil && (before.Candidate == nil || before.RolloutID != next.RolloutID) {
		p.upstreams.Adopt(stableArm, candidateArm)
	}
}

// DropCandidate goes back to stable if the candidate of the rollout is served, and says whether it was.
func (p *Proxy) DropCandidate(rolloutID, reason string) bool {
	p.installing.Lock()
	defer p.installing.Unlock()
	current := p.current.Load()
	if current == nil || current.Candidate == nil || current.RolloutID != rolloutID {
		return false
	}
	p.log.Warn("dropping the candidate", slog.String("rollout", rolloutID),
		slog.Int64("revision", current.Candidate.Revision()), slog.String("reason", reason))
	current.Stable.Retain()
	p.swap(p.generation(snapshot.Installation{Stable: current.Stable}))
	return true
}

// Serving is what is served now. Its snapshots are held by the proxy, as long as they are served.
func (p *Proxy) Serving() snapshot.Installation {
	if current := p.current.Load(); current != nil {
		return current.Installation
	}
	return snapshot.Installation{}
}

func (p *Proxy) generation(in snapshot.Installation) *generation {
	g := &generation{Installation: in}
	key := telemetry.ArmKey{Arm: stableArm}
	if in.Candidate != nil {
		key.RolloutID, key.SharePPM = in.RolloutID, in.SharePPM
		candidate := key
		candidate.Revision, candidate.Arm = in.Candidate.Revision(), candidateArm
		g.candidateArm = newHeldArm(p.counters.Open(candidate, in.Candidate.Numbers()))
	}
	if in.Stable != nil {
		key.Revision = in.Stable.Revision()
		g.stableArm = newHeldArm(p.counters.Open(key, in.Stable.Numbers()))
	}
	g.sticky, g.asked = p.newStickyCoin(in), p.newAskedArms(in)
	return g
}

// swap is the one moment of a change. The caller holds installing.
func (p *Proxy) swap(next *generation) {
	before := p.current.Swap(next)
	if before == nil {
		return
	}
	p.remember(before)
	before.retired.Store(true)
	before.closeIfIdle()
}

// enter counts an exchange into the current generation, which therefore stays whole until leave. It returns nil if nothing is
// installed.
func (p *Proxy) enter() (g *generation, shard uint32) {
	shard = rand.Uint32() % generationShards
	for {
		g = p.current.Load()
		if g == nil {
			return nil, 0
		}
		g.shards[shard].running.Add(1)
		// A generation that was replaced in between may be closed already.
		if p.current.Load() == g {
			return g, shard
		}
		g.leave(shard)
	}
}

func (g *generation) leave(shard uint32) {
	g.shards[shard].running.Add(-1)
	if g.retired.Load() {
		g.closeIfIdle()
	}
}

// closeIfIdle lets go of a retired generation when no exchange is left in it. No count grows any more, except for a moment by
// an exchange that takes itself out again, so counts that are seen as zero one after the other are zero together.
func (g *generation) closeIfIdle() {
	for i := range g.shards {
		if g.shards[i].running.Load() != 0 {
			return
		}
	}
	g.closing.Do(func() {
		if g.stableArm != nil {
			g.stableArm.release()
			g.Stable.Release()
		}
		if g.candidateArm != nil {
			g.candidateArm.release()
			g.Candidate.Release()
		}
		if g.asked != nil {
			g.asked.release()
		}
		if g.sticky != nil {
			g.sticky.release()
		}
	})
}

// running is how many exchanges the generation serves.
func (g *generation) running() (sum int64) {
	for i := range g.shards {
		sum += g.shards[i].running.Load()
	}
	return sum
}

// arms are the snapshots by the name of their arm.
func (g *generation) arms() map[string]*snapshot.Snapshot {
	arms := make(map[string]*snapshot.Snapshot, 2)
	if g.Stable != nil {
		arms["stable"] = g.Stable
	}
	if g.Candidate != nil {
		arms["candidate"] = g.Candidate
	}
	return arms
}

// choose throws the coin: independent of everything that a client sends, and of every other exchange.
func (g *generation) choose() (*snapshot.Snapshot, *heldArm) {
	if g.Candidate == nil {
		return g.Stable, g.stableArm
	}
	if g.Stable == nil || g.SharePPM >= certain || g.SharePPM > 0 && rand.Uint32N(certain) < g.SharePPM {
		return g.Candidate, g.candidateArm
	}
	return g.Stable, g.stableArm
}
