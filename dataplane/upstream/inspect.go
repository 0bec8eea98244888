package upstream

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// ServiceState shows a service as it is now, for people.
type ServiceState struct {
	Service string        `json:"service"`
	Policy  Policy        `json:"policy"`
	Source  string        `json:"discovery,omitempty"`
	Arms    []ArmState    `json:"arms"`
	Targets []TargetState `json:"targets"`
}

// ArmState is what one arm of a rollout knows of a service.
type ArmState struct {
	Arm     string `json:"arm"`
	Breaker string `json:"breaker"`
	// Opened counts how often the breaker opened, Refusals the requests that were not let through.
	Opened   uint64 `json:"opened"`
	Refusals uint64 `json:"refusals"`
	Retries  uint64 `json:"retries"`
	Hedges   uint64 `json:"hedges"`
	// Budget is how many retries there may be at once now.
	Budget int64 `json:"retry_budget"`
	// Pending is how many exchanges wait for a connection.
	Pending int64 `json:"pending"`
}

// TargetState shows a target as it is now.
type TargetState struct {
	URL    string `json:"url"`
	Weight uint32 `json:"weight"`
	Zone   string `json:"zone,omitempty"`
	// Healthy is what its health checks say; without any it is.
	Healthy bool `json:"healthy"`
	// Idle connections wait for use among those that are Open; -1 where that is not known.
	Idle int              `json:"idle"`
	Open int              `json:"open"`
	Arms []TargetArmState `json:"arms"`
}

// TargetArmState is what one arm of a rollout knows of a target.
type TargetArmState struct {
	Arm string `json:"arm"`
	// Ejected says that it is left out, Ejections how often that was.
	Ejected   bool   `json:"ejected"`
	Ejections uint64 `json:"ejections"`
	// Running is how many exchanges there are, Waiting how many of them wait for an answer.
	Running int64 `json:"running"`
	Waiting int64 `json:"waiting"`
	// Latency is the mean until the head of a response.
	Latency string `json:"latency"`
}

// arms are the names of the windows that are shown; the first window counts what belongs to no arm.
var arms = [Windows]string{1: "stable", 2: "candidate"}

// States shows all services, by name. A service of which there are several settings is shown once for each.
func (r *Registry) States() []ServiceState {
	now := r.clock.now()
	var out []ServiceState
	for _, s := range r.held() {
		state := ServiceState{Service: s.config.Name, Policy: s.config.Balancing.Policy, Targets: []TargetState{}}
		if source := s.config.Discovery.Source; source.Kind != "" {
			state.Source = source.String()
		}
		for window := Window(1); window < Windows; window++ {
			state.Arms = append(state.Arms, s.arm(window))
		}
		if set := s.current.Load(); set != nil {
			for i := range set.members {
				state.Targets = append(state.Targets, set.members[i].show(now))
			}
		}
		out = append(out, state)
	}
	return out
}

// held are the services that somebody holds, sorted by name.
func (r *Registry) held() []*Service {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.SortedFunc(maps.Values(r.services), func(a, b *Service) int {
		return cmp.Or(cmp.Compare(a.config.Name, b.config.Name), slices.Compare(a.identity[:], b.identity[:]))
	})
}

func (s *Service) arm(window Window) ArmState {
	w := &s.state.windows[window]
	return ArmState{
		Arm: arms[window], Breaker: w.breaker.now().String(), Opened: w.breaker.opened.Load(), Refusals: w.refusals.Load(),
		Retries: w.retries.Load(), Hedges: w.hedges.Load(), Budget: w.budget.tokens.Load() / wholeToken, Pending: w.pending.Load(),
	}
}

func (m *member) show(now int64) TargetState {
	t := m.target
	state := TargetState{
		URL: t.key.scheme + "://" + t.key.host + t.key.prefix, Weight: m.weight, Zone: m.zone, Healthy: m.healthy(),
	}
	state.Idle, state.Open = t.connections()
	for window := Window(1); window < Windows; window++ {
		w := &t.windows[window]
		state.Arms = append(state.Arms, TargetArmState{
			Arm: arms[window], Ejected: w.outlier.until.Load() != 0, Ejections: w.outlier.total.Load(),
			Running: w.load.running(), Waiting: w.load.waiting(), Latency: time.Duration(w.load.mean.at(now, false)).Round(time.Microsecond).String(),
		})
	}
	return state
}

func (m *member) healthy() bool { return m.prober == nil || m.prober.healthy.Load() }

// now is the breaker's state.
func (b *breaker) now() BreakerState {
	return BreakerState(b.state.Load()) //nolint:gosec // it holds states
}
