package upstream

// twoChoices draws two targets by weight and takes the one that costs less.
type twoChoices struct {
	lottery *lottery
	cost    func(m *member, c choice) float64
}

func (p *twoChoices) pick(c choice) *member {
	first := p.lottery.pick(c)
	if first == nil || first.target.windows[c.window].outlier.until.Load() != 0 {
		// One that was left out may be tried once, and that is this time.
		return first
	}
	// The second is another one, if there is another that is usable.
	for range drawsAtMost {
		second := p.lottery.members[p.lottery.draw()]
		if second == first {
			continue
		}
		if p.cost(second, c) < p.cost(first, c) && c.admits(second) {
			return second
		}
		return first
	}
	return first
}

// runningCost is the number of exchanges that run, per weight. When nothing runs, the draw alone decides.
func runningCost(m *member, c choice) float64 {
	return float64(m.target.windows[c.window].load.running()) / float64(m.weight)
}

// unknownWait stands for the latency of a target that has requests and has never answered.
const unknownWait = 1e9

// waitCost is how long a request would wait: the latency, which rises at once and falls slowly, for each exchange that runs and
// for this one.
func waitCost(m *member, c choice) float64 {
	l := &m.target.windows[c.window].load
	running := float64(l.running())
	peak := l.peak.at(c.now, true)
	if peak == 0 && running > 0 {
		peak = unknownWait
	}
	return peak * (running + 1) / float64(m.weight)
}
