package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"tidegate.dev/controlplane/rollout"
)

// simulation is a Store in memory, with a fleet of agents that do as they like. It checks with every change that nothing
// happens that must never happen. Its clock is that of the bubble it runs in.
type simulation struct {
	t      testing.TB
	random *rand.Rand

	mu      sync.Mutex
	lease   rollout.Lease
	until   time.Time
	waiters map[chan struct{}]bool

	// One fleet. Rollouts that have ended are in ended.
	strategy           rollout.Plan
	stable, last       int64
	generation         int64
	active, queued     *rollout.Rollout
	ended              map[int64]rollout.Rollout
	members            map[int64]map[string]rollout.Member
	entered            map[[2]int64]bool
	agents             []rollout.Agent
	sums               map[int64]map[int32]*rollout.Sum
	verdicts           map[int64]map[[2]string]rollout.Verdict
	requests           []rollout.Request
	requested          int64
	answered           map[int64]string
	applied, fencedOff int

	// unreliable makes a share of all calls fail, before or after they had their effect.
	unreliable float64
	// set is by how much its clock was set.
	set time.Duration
}

func newSimulation(t testing.TB, seed uint64) *simulation {
	s := &simulation{
		t: t, random: rand.New(rand.NewPCG(seed, 1)), waiters: map[chan struct{}]bool{}, ended: map[int64]rollout.Rollout{},
		members: map[int64]map[string]rollout.Member{}, entered: map[[2]int64]bool{}, sums: map[int64]map[int32]*rollout.Sum{},
		verdicts: map[int64]map[[2]string]rollout.Verdict{}, answered: map[int64]string{}, stable: 1, last: 1,
	}
	return s
}

var errBroken = errors.New("the connection broke")

// breaks says whether a call fails at this point.
func (s *simulation) breaks() bool { return s.random.Float64() < s.unreliable }

func (s *simulation) Rollouts() (<-chan struct{}, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	signal := make(chan struct{}, 1)
	s.waiters[signal] = true
	return signal, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waiters, signal)
	}
}

func (s *simulation) wake() {
	for waiter := range s.waiters {
		select {
		case waiter <- struct{}{}:
		default:
		}
	}
}

func (s *simulation) Lead(_ context.Context, holder string, length time.Duration) (rollout.Lease, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if s.breaks() {
		return rollout.Lease{}, false, errBroken
	}
	if now.Before(s.until) && s.until.Before(now.Add(3*length)) {
		return rollout.Lease{Asked: now, ClockOffset: s.lease.ClockOffset}, false, nil
	}
	s.lease = rollout.Lease{Holder: holder, Token: s.lease.Token + 1, Asked: now, ClockOffset: s.lease.ClockOffset}
	s.until = now.Add(length)
	return s.lease, true, nil
}

func (s *simulation) Renew(_ context.Context, lease rollout.Lease, length time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.breaks() {
		return errBroken
	}
	if !s.holds(lease) {
		return rollout.ErrStale
	}
	s.until, s.lease.ClockOffset = s.now().Add(length), lease.ClockOffset
	return nil
}

// now is the store's clock.
func (s *simulation) now() time.Time { return time.Now().Add(s.set) }

func (s *simulation) holds(lease rollout.Lease) bool {
	return lease.Token == s.lease.Token && lease.Holder == s.lease.Holder && s.now().Before(s.until)
}

func (s *simulation) Fleets(context.Context) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.breaks() {
		return nil, errBroken
	}
	if s.active == nil && s.queued == nil {
		return nil, nil
	}
	return []int64{1}, nil
}

func (s *simulation) Load(context.Context, int64) (rollout.State, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.breaks() {
		return rollout.State{}, time.Time{}, errBroken
	}
	subject := s.active
	if subject == nil {
		subject = s.queued
	}
	if subject == nil {
		return rollout.State{}, s.now(), nil
	}
	state := rollout.State{Rollout: *subject, Plan: s.strategy, Routes: 5, Agents: slices.Clone(s.agents), Requests: slices.Clone(s.requests)}
	if subject == s.queued {
		state.Rollout.StableRevision = s.stable
	} else if s.queued != nil {
		waiting := *s.queued
		state.Waiting = &waiting
	}
	if state.Rollout.StableRevision == 0 {
		state.Plan, _ = rollout.PlanOf(rollout.Shipped("immediate"), true)
	}
	for _, member := range s.members[subject.ID] {
		state.Members = append(state.Members, member)
	}
	for _, sum := range s.sums[subject.ID] {
		bad := *sum
		bad.Metric, bad.Candidate, bad.Control = "upstream_5xx", sum.Candidate/100, sum.Control/100
		state.Sums = append(state.Sums, *sum, bad)
	}
	for _, verdict := range s.verdicts[subject.ID] {
		state.Verdicts = append(state.Verdicts, verdict)
	}
	return state, s.now(), nil
}

func (s *simulation) Apply(_ context.Context, lease rollout.Lease, change rollout.Change) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.breaks() {
		return errBroken
	}
	subject := s.open(change.Rollout.ID)
	if !s.holds(lease) || subject == nil || subject.Version != change.Version {
		s.fencedOff++
		return rollout.ErrStale
	}
	s.check(*subject, change)
	s.write(subject, change)
	s.applied++
	s.wake()
	if s.breaks() {
		return errBroken // it was written all the same
	}
	return nil
}

func (s *simulation) open(id int64) *rollout.Rollout {
	for _, r := range []*rollout.Rollout{s.active, s.queued} {
		if r != nil && r.ID == id {
			return r
		}
	}
	return nil
}

// check says what must never happen.
func (s *simulation) check(before rollout.Rollout, change rollout.Change) {
	after := change.Rollout
	plan := s.strategy
	lastStep := len(plan.Steps) - 1
	mostBefore := int32(950_000) // the default holdback
	if before.Active() && after.State == rollout.Queued || before.Ended() {
		s.t.Errorf("rollout %d went from %s to %s", after.ID, before.State, after.State)
	}
	if before.State == rollout.Queued && after.Active() && s.active != nil {
		s.t.Errorf("rollout %d begins while rollout %d is active", after.ID, s.active.ID)
	}
	if after.StableRevision != 0 && after.Active() && after.Step < lastStep && after.SharePPM > mostBefore {
		s.t.Errorf("rollout %d: share %d before the last step leaves no holdback", after.ID, after.SharePPM)
	}
	if after.Active() && !after.StepAt.Equal(before.StepAt) && after.ClockOffset == before.ClockOffset {
		key := [2]int64{after.ID, int64(after.Step)}
		if s.entered[key] {
			s.t.Errorf("rollout %d: step %d was taken twice", after.ID, after.Step)
		}
		s.entered[key] = true
		if !before.StepAt.IsZero() && after.Step <= before.Step {
			s.t.Errorf("rollout %d went from step %d back to %d", after.ID, before.Step, after.Step)
		}
	}
	if after.Agents < before.Agents {
		s.t.Errorf("rollout %d: %d agents became %d", after.ID, before.Agents, after.Agents)
	}
}

func (s *simulation) write(subject *rollout.Rollout, change rollout.Change) {
	after := change.Rollout
	after.Version = change.Version + 1
	if change.NewDials {
		s.generation++
		after.Dials, after.DialsAt = rollout.Generation{Epoch: 1, Number: s.generation}, change.Now
	}
	if s.members[after.ID] == nil {
		s.members[after.ID] = map[string]rollout.Member{}
		s.verdicts[after.ID] = map[[2]string]rollout.Verdict{}
	}
	for _, member := range change.Members {
		s.members[after.ID][member.AgentID] = member
	}
	if after.Active() && len(s.members[after.ID]) != after.Agents {
		s.t.Errorf("rollout %d: %d members, but %d agents", after.ID, len(s.members[after.ID]), after.Agents)
	}
	for _, verdict := range change.Verdicts {
		s.verdicts[after.ID][[2]string{verdict.Route, verdict.Metric}] = verdict
	}
	for _, answer := range change.Answers {
		if _, twice := s.answered[answer.Request]; twice {
			s.t.Errorf("request %d was dealt with twice", answer.Request)
		}
		s.answered[answer.Request] = answer.Result
	}
	s.requests = slices.DeleteFunc(s.requests, func(r rollout.Request) bool {
		_, done := s.answered[r.ID]
		return done || after.Ended() && r.RolloutID == after.ID
	})
	*subject = after
	switch {
	case after.Ended():
		s.ended[after.ID] = after
		if subject == s.active {
			s.active = nil
		} else {
			s.queued = nil
		}
		if change.Ending == rollout.Accept {
			s.stable = after.Revision
		}
	case subject == s.queued && after.Active():
		s.active, s.queued = s.queued, nil
	}
}

// publish queues the next revision; who waited is superseded.
func (s *simulation) publish() (id int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	if s.queued != nil {
		superseded := *s.queued
		superseded.State = rollout.Superseded
		s.ended[superseded.ID] = superseded
	}
	s.queued = &rollout.Rollout{ID: s.last, FleetID: 1, Revision: s.last, StableRevision: s.stable, State: rollout.Queued, Version: 1}
	s.wake()
	return s.last
}

func (s *simulation) ask(id int64, command rollout.Command) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requested++
	s.requests = append(s.requests, rollout.Request{ID: s.requested, RolloutID: id, Command: command, Actor: "ada"})
	s.wake()
}

// join adds agents that serve what they should.
func (s *simulation) join(count int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for range count {
		name := fmt.Sprintf("edge-%d", len(s.agents)+1)
		s.agents = append(s.agents, rollout.Agent{ID: name, Name: name, BootID: "b1", Alive: true, ConnectedAt: s.now(), Status: "pending"})
	}
}

// turn lets every agent take what it should serve and count, or misbehave with the given probability.
func (s *simulation) turn(trouble float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.agents {
		agent := &s.agents[i]
		switch roll := s.random.Float64(); {
		case roll < trouble/4:
			agent.Alive = !agent.Alive
		case roll < trouble/3:
			agent.BootID += "'"
		case roll < trouble/2:
			agent.Drain = !agent.Drain
		case roll < trouble*3/4 && s.active != nil:
			if _, member := s.members[s.active.ID][agent.ID]; member {
				agent.Status, agent.FailedRollout = "refused", s.active.ID
			}
		case roll < 0.7:
			s.acknowledge(agent)
		}
	}
}

func (s *simulation) acknowledge(agent *rollout.Agent) {
	if !agent.Alive {
		return
	}
	agent.Acknowledged, agent.Status, agent.Candidate = rollout.Generation{Epoch: 1, Number: s.generation}, "serving", 0
	if s.active == nil {
		return
	}
	if _, member := s.members[s.active.ID][agent.ID]; !member {
		return
	}
	agent.Candidate = s.active.Revision
	if s.active.SharePPM == 1_000_000 {
		return
	}
	if s.sums[s.active.ID] == nil {
		s.sums[s.active.ID] = map[int32]*rollout.Sum{}
	}
	sum := s.sums[s.active.ID][s.active.SharePPM]
	if sum == nil {
		sum = &rollout.Sum{Metric: "requests", SharePPM: s.active.SharePPM, InStable: true}
		s.sums[s.active.ID][s.active.SharePPM] = sum
	}
	for range 100 {
		if s.random.Int32N(1_000_000) < s.active.SharePPM {
			sum.Candidate++
		} else {
			sum.Control++
		}
	}
}

func (s *simulation) stateOf(id int64) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if ended, ok := s.ended[id]; ok {
		return ended.State
	}
	if r := s.open(id); r != nil {
		return r.State
	}
	return "unknown"
}

func (s *simulation) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active == nil && s.queued == nil
}
