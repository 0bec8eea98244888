package simulation

import (
	"math/rand/v2"

	"tidegate.dev/proto/evidence"
)

// Agent is one agent's traffic and health.
type Agent struct {
	RequestsPerSecond float64
	// BadShare is its probability of a bad request of each metric, with the
	// control's configuration.
	BadShare float64
}

// Step is a step of the rollout. The first HoldingAgents agents hold the
// candidate and throw the coin with SharePPM.
type Step struct {
	Seconds       float64
	HoldingAgents int
	SharePPM      uint32
}

// Method is how arms are assigned and counts combined.
type Method int

const (
	// Coin is the right way: a coin for each request, log-factors added.
	Coin Method = iota
	// ArmByClient is wrong on purpose: a client stays in its arm, but requests
	// are counted as if each had thrown a coin.
	ArmByClient
	// CountsAdded is wrong on purpose: the fleet's judge adds up counts over all
	// agents, those without the candidate too, and uses the fleet's average share.
	CountsAdded
)

// Fleet is a whole rollout: agents that look at their own traffic, a judge of
// the fleet that looks at their reports, metrics, and routes.
type Fleet struct {
	Agents           []Agent
	Steps            []Step
	Clients          Clients
	Spending         evidence.Spending
	Method           Method
	LooksPerSecond   int // by each agent
	ReportsPerSecond int // to the fleet's judge; divides LooksPerSecond
	// Ratio multiplies the candidate's bad requests of the first metric; 1 is a
	// harmless candidate.
	Ratio float64
	// JudgeOnly leaves out the agents' own looks.
	JudgeOnly bool
}

// FleetOutcome is how one rollout ended.
type FleetOutcome struct {
	Failed bool
	// ByAgent says that an agent's guard failed it, not the fleet's judge.
	ByAgent bool
	Seconds float64
	// CandidateRequests is the expected number until then, in the whole fleet.
	CandidateRequests float64
	CandidateBad      int
}

// run is the state of one simulated rollout.
type run struct {
	fleet   Fleet
	rng     *rand.Rand
	test    *evidence.Test
	clients population
	// armSeed makes each client's fixed arm, for ArmByClient.
	armSeed uint64

	guards  []judge
	overall judge
	broken  []breakage
	out     FleetOutcome
}

// breakage is a client that is broken at an agent until a time.
type breakage struct {
	agent, client, metric, route int
	until                        float64
}

// Run plays the rollout once.
func (f Fleet) Run(test *evidence.Test, rng *rand.Rand) FleetOutcome {
	r := &run{
		fleet: f, rng: rng, test: test,
		clients: newPopulation(f.Clients.Number),
		armSeed: rng.Uint64(),
		guards:  make([]judge, len(f.Agents)),
	}
	for i := range r.guards {
		r.guards[i] = newJudge(f.Spending, f.Spending.Agent())
	}
	r.overall = newJudge(f.Spending, f.Spending.Fleet())

	for _, step := range f.Steps {
		if r.step(step) {
			r.out.Failed = true
			break
		}
	}
	return r.out
}

// step plays one step and says whether a judge has failed the candidate.
func (r *run) step(step Step) bool {
	shares := r.shares(step)
	tick := 1 / float64(r.fleet.LooksPerSecond)
	lookEvery := r.fleet.LooksPerSecond / r.fleet.ReportsPerSecond
	for look := 1; look <= int(step.Seconds*float64(r.fleet.LooksPerSecond)); look++ {
		r.out.Seconds += tick
		for agent := range r.fleet.Agents {
			r.traffic(agent, step, shares, tick)
			if !r.fleet.JudgeOnly && r.guards[agent].look() {
				r.out.ByAgent = true
				return true
			}
		}
		if look%lookEvery == 0 && r.overall.look() {
			return true
		}
	}
	return false
}

// stepShares are the weights that a step's counts are judged with: the coin's by
// an agent, and for the fleet's judge the same, unless the method is wrong.
type stepShares struct {
	agent, fleet evidence.Share
}

func (r *run) shares(step Step) stepShares {
	s := stepShares{agent: r.test.Share(step.SharePPM)}
	s.fleet = s.agent
	if r.fleet.Method == CountsAdded {
		var holding, all float64
		for i, a := range r.fleet.Agents {
			all += a.RequestsPerSecond
			if i < step.HoldingAgents {
				holding += a.RequestsPerSecond
			}
		}
		s.fleet = r.test.Share(uint32(float64(step.SharePPM) * holding / all))
	}
	return s
}

// traffic makes one tick's bad requests at one agent and counts them.
func (r *run) traffic(agent int, step Step, shares stepShares, tick float64) {
	a := r.fleet.Agents[agent]
	holds := agent < step.HoldingAgents
	coin := 0.0
	if holds {
		coin = probability(step.SharePPM)
		r.out.CandidateRequests += a.RequestsPerSecond * coin * tick
	}
	if !holds && r.fleet.Method != CountsAdded {
		return // not compared
	}
	for metric := range r.fleet.Spending.Metrics {
		mean := a.RequestsPerSecond * a.BadShare * tick
		ratio := 1.0
		if metric == 0 {
			ratio = r.fleet.Ratio
		}
		for range poisson(r.rng, mean*(1-coin+coin*ratio)) {
			client := r.clients.pick(r.rng)
			in := r.inCandidate(client, coin*ratio/(1-coin+coin*ratio))
			r.count(agent, metric, r.route(client), b2u(in), b2u(!in), holds, shares)
		}
	}
	r.breakages(agent, coin, holds, shares, tick)
}

// breakages lets clients break and counts what the broken send.
func (r *run) breakages(agent int, coin float64, holds bool, shares stepShares, tick float64) {
	c := r.fleet.Clients
	for range poisson(r.rng, c.BreaksPerSecond*tick) {
		client := r.clients.pick(r.rng)
		r.broken = append(r.broken, breakage{
			agent: agent, client: client, route: r.route(client),
			metric: r.rng.IntN(r.fleet.Spending.Metrics),
			until:  r.out.Seconds + c.BrokenSeconds*r.rng.ExpFloat64(),
		})
	}
	kept := r.broken[:0]
	for _, b := range r.broken {
		if b.until > r.out.Seconds {
			kept = append(kept, b)
		}
		if b.agent != agent {
			continue
		}
		var candidate, control uint64
		for range poisson(r.rng, r.fleet.Agents[agent].RequestsPerSecond*r.clients.share(b.client)*tick) {
			if r.inCandidate(b.client, coin) {
				candidate++
			} else {
				control++
			}
		}
		r.count(agent, b.metric, b.route, candidate, control, holds, shares)
	}
	r.broken = kept
}

func (r *run) inCandidate(client int, p float64) bool {
	if r.fleet.Method != ArmByClient {
		return r.rng.Float64() < p
	}
	fixed := rand.New(rand.NewPCG(r.armSeed, uint64(client)))
	return fixed.Float64() < p
}

// route is the one route that a client uses.
func (r *run) route(client int) int {
	if r.fleet.Spending.Routes == 0 {
		return 0
	}
	return client % r.fleet.Spending.Routes
}

func (r *run) count(agent, metric, route int, candidate, control uint64, holds bool, shares stepShares) {
	if candidate+control == 0 {
		return
	}
	r.out.CandidateBad += int(candidate)
	if holds && !r.fleet.JudgeOnly {
		r.guards[agent].add(metric, route, &shares.agent, candidate, control)
	}
	r.overall.add(metric, route, &shares.fleet, candidate, control)
}

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
