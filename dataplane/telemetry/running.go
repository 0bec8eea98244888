package telemetry

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// A request counts as slow when its age crosses a line, not when it ends: one that hangs is seen. While a coin is thrown an arm
// therefore knows the requests that run, and a sweep a few times a second counts those that have become too old. What was
// counted so is not counted again at the end. Without a coin an arm knows nothing of this, and nothing is paid for it.

// Running is a request that has not ended. It is the caller's memory, in a list of the arm's from Enter to Leave, and may be used
// again after that.
type Running struct {
	// Guarded by the shard's mu.
	next, previous *Running
	shard          *runningShard
	number         uint32
	route          string
	started        time.Time
	unit           Unit
	// counted is of how many of the Quantiles it is known that the request is slower.
	counted int
}

// agedClass is added to the class of the status of a request that was counted while it ran.
const agedClass = 8

const runningShards = 16

// runningSet are the requests of one arm that run, and what was counted of them.
type runningSet struct {
	shards [runningShards]runningShard

	// Guarded by mu: by the number of the route, what only grows.
	mu      sync.Mutex
	overdue map[uint32]*overdue
}

type overdue struct {
	route  string
	slower Slower
}

// runningShard is one of the lists, so that processors seldom wait for each other.
type runningShard struct {
	// Guarded by mu.
	mu    sync.Mutex
	first *Running
	// lines are those of the last sweep.
	lines *Lines
	_     [40]byte
}

// OpenSticky is Open for an arm whose coin is thrown for units, not for requests: it is they who are counted for the comparison.
// Without units nobody is.
func (c *Counters) OpenSticky(key ArmKey, routes int, units *Units) *Arm {
	key.RolloutID, key.SharePPM = "", 0 // no coin was thrown for the requests
	return c.open(&Arm{ArmKey: key, counters: c, pages: make([]page, routes/pageSize+1), units: units})
}

// watchRunning has the arm know its requests, if a coin decides about them.
func (a *Arm) watchRunning() {
	if a.units != nil || a.RolloutID != "" && a.SharePPM > 0 && a.SharePPM < wholePPM {
		a.running = &runningSet{overdue: make(map[uint32]*overdue)}
	}
}

// wholePPM is a share of one in parts per million.
const wholePPM = 1_000_000

// Enter says that a request has found its route. It does nothing unless a coin chose the arm.
func (a *Arm) Enter(r *Running, number uint32, route string, started time.Time) {
	if a.running != nil {
		a.running.enter(r, number, route, started)
	}
}

// Throw says for which unit the arm was chosen, before Enter.
func (a *Arm) Throw(r *Running, unit Unit) { r.unit = unit }

// Leave says that the request has ended: on its route, with the class of its status and the index of the gateway's reason, after it
// took so long. It returns the class with which it is to be recorded.
func (a *Arm) Leave(r *Running, route string, class, reason uint8, took time.Duration) uint8 {
	switch {
	case a.running == nil:
		return class
	case a.units != nil:
		a.leaveUnit(r, route, class, reason, took)
		return class
	case r.shard == nil:
		return class
	}
	return class | a.running.leave(r, took, reason == 0)
}

// leaveUnit counts the unit whose request has ended.
func (a *Arm) leaveUnit(r *Running, route string, class, reason uint8, took time.Duration) {
	metrics := append(make([]int, 0, 2+len(Quantiles)), unitSeen)
	switch {
	case reason != 0:
		metrics = append(metrics, unitReasons+int(reason))
	case class == 5:
		metrics = append(metrics, unitUpstream5xx)
	}
	if r.shard != nil {
		lines := r.shard.remove(r)
		r.shard = nil
		if reason == 0 && a.units.warm(lines) && r.age(lines, took) || r.counted > 0 {
			for i := range r.counted {
				metrics = append(metrics, unitSlower+i)
			}
		}
	}
	a.units.count(r.unit, a.ArmKey.Arm, route, metrics...)
	r.unit = Unit{}
}

// warm tells whether durations are compared.
func (u *Units) warm(lines *Lines) bool { return lines != nil && lines.warm[u.coin()] }

func (u *Units) coin() coin { return coin{u.config.RolloutID, u.config.SharePPM} }

func (s *runningSet) enter(r *Running, number uint32, route string, started time.Time) {
	shard := &s.shards[rand.Uint32()%runningShards]
	r.shard, r.number, r.route, r.started, r.counted, r.previous = shard, number, route, started, 0, nil
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if r.next = shard.first; r.next != nil {
		r.next.previous = r
	}
	shard.first = r
}

func (s *runningSet) leave(r *Running, took time.Duration, answered bool) (class uint8) {
	lines := r.shard.remove(r)
	r.shard = nil
	if r.counted == 0 {
		return 0
	}
	// The end tells what the next sweep would have.
	if before := r.counted; answered && r.age(lines, took) {
		s.count(r, before)
	}
	return agedClass
}

// remove takes a request out of its list, and returns the lines that the list was last held against.
func (s *runningShard) remove(r *Running) *Lines {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.previous == nil {
		s.first = r.next
	} else {
		r.previous.next = r.next
	}
	if r.next != nil {
		r.next.previous = r.previous
	}
	r.next, r.previous = nil, nil
	return s.lines
}

// age moves the request past the lines that it has crossed at an age, and tells whether there were any.
func (r *Running) age(lines *Lines, age time.Duration) (crossed bool) {
	limits, known := lines.routes[r.route]
	if !known {
		return false
	}
	for r.counted < len(limits) && limits[r.counted] < Buckets-1 && age > Bound(int(limits[r.counted])) {
		r.counted++
		crossed = true
	}
	return crossed
}

// count adds the lines that a request has crossed since it had crossed so many.
func (s *runningSet) count(r *Running, before int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.overdue[r.number]
	if o == nil {
		o = &overdue{route: r.route}
		s.overdue[r.number] = o
	}
	for i := before; i < r.counted; i++ {
		o.slower[i]++
	}
}

// sweep counts the requests that have become slower than the lines.
func (s *runningSet) sweep(lines *Lines, now time.Time, count func(r *Running, before int)) {
	for i := range s.shards {
		shard := &s.shards[i]
		shard.mu.Lock()
		shard.lines = lines
		for r := shard.first; r != nil; r = r.next {
			if before := r.counted; r.age(lines, now.Sub(r.started)) {
				count(r, before)
			}
		}
		shard.mu.Unlock()
	}
}

// countUnit counts a unit whose request has become slow.
func (a *Arm) countUnit(r *Running, _ int) {
	metrics := append(make([]int, 0, 1+len(Quantiles)), unitSeen)
	for i := range r.counted {
		metrics = append(metrics, unitSlower+i)
	}
	a.units.count(r.unit, a.ArmKey.Arm, r.route, metrics...)
}

// Sweep counts the requests that run still and are slower than the lines, each line once. It costs what runs while a coin is
// thrown, and nothing else.
func (c *Counters) Sweep(lines *Lines, now time.Time) {
	for _, arm := range c.watched() {
		switch {
		case arm.units != nil && arm.units.warm(lines):
			arm.running.sweep(lines, now, arm.countUnit)
		case arm.units == nil && lines.warm[coin{arm.RolloutID, arm.SharePPM}]:
			arm.running.sweep(lines, now, arm.running.count)
		}
	}
}

// watched are the arms that know what runs.
func (c *Counters) watched() (arms []*Arm) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, arm := range c.arms {
		if arm.running != nil {
			arms = append(arms, arm)
		}
	}
	return arms
}

// EachOverdue calls visit for the requests of each arm and route that were counted as slow while they ran, with how many those
// were since the arm began. They are requests that [Counters.Each] shows as aged when they have ended, or will. A request
// is slower than the first of the Quantiles before it is slower than another, so the first number is that of the requests.
func (c *Counters) EachOverdue(visit func(key CellKey, slower Slower)) {
	for _, arm := range c.watched() {
		for _, o := range arm.running.counts() {
			visit(CellKey{
				Revision: arm.Revision, Arm: arm.Arm, RolloutID: arm.RolloutID, SharePPM: arm.SharePPM, Route: o.route, Aged: true,
				Opening: arm.opening,
			}, o.slower)
		}
	}
}

func (s *runningSet) counts() []overdue {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]overdue, 0, len(s.overdue))
	for _, o := range s.overdue {
		all = append(all, *o)
	}
	return slices.Clip(all)
}

// Since is what was counted since a reading before.
func (s Slower) Since(before Slower) (fresh Slower) {
	for i := range s {
		fresh[i] = s[i] - before[i]
	}
	return fresh
}
