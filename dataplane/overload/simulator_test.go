package overload

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// The simulator: Poisson arrivals, limiters in front of an upstream of so many workers with one queue, and a clock that jumps
// from event to event.

// world is an upstream, which may change, and what is asked of it.
type world struct {
	// workers and service describe the upstream at a time.
	workers func(at time.Duration) int
	service func(at time.Duration, random *rand.Rand) time.Duration
	// arrivals is how many come in a second.
	arrivals func(at time.Duration) float64
	// kinds is what share of arrivals is sheddable, and what critical.
	sheddable, critical float64
	limiters            int
	length              time.Duration
}

// gate is what is simulated: a limiter, or a rival.
type gate interface {
	TryAcquire(now time.Time, c Criticality) (Ticket, bool)
	Release(t Ticket, now time.Time, o Outcome)
	Limit() int
}

type event struct {
	at   time.Duration
	call func()
}

type events []event

func (e events) Len() int           { return len(e) }
func (e events) Less(i, j int) bool { return e[i].at < e[j].at }
func (e events) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)        { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	old := *e
	last := old[len(old)-1]
	*e = old[:len(old)-1]
	return last
}

// done is an exchange that was admitted.
type done struct {
	began, took time.Duration
	kind        Criticality
	gate        int
}

// outcome is what came of a simulation.
type outcome struct {
	done    []done
	refused [criticalities]int
	// limits are the limits each tenth of a second.
	limits [][]int
}

type job struct {
	done
	ticket Ticket
	gate   gate
}

type simulation struct {
	world
	now    time.Duration
	events events
	random *rand.Rand
	gates  []gate
	queue  []job
	busy   int
	outcome
}

var simulationBegins = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func simulate(w world, make func() gate) *outcome {
	s := &simulation{world: w, random: rand.New(rand.NewPCG(1, 2))}
	for range max(1, w.limiters) {
		s.gates = append(s.gates, make())
		s.limits = append(s.limits, nil)
	}
	s.after(0, s.arrive)
	s.after(0, s.look)
	for len(s.events) > 0 {
		e := heap.Pop(&s.events).(event)
		if s.now = e.at; s.now > w.length {
			break
		}
		e.call()
	}
	return &s.outcome
}

func (s *simulation) after(d time.Duration, call func()) {
	heap.Push(&s.events, event{s.now + d, call})
}

func (s *simulation) clock() time.Time { return simulationBegins.Add(s.now) }

func (s *simulation) look() {
	for i, g := range s.gates {
		s.limits[i] = append(s.limits[i], g.Limit())
	}
	s.after(100*time.Millisecond, s.look)
}

func (s *simulation) arrive() {
	s.after(time.Duration(s.random.ExpFloat64()/s.arrivals(s.now)*float64(time.Second)), s.arrive)
	kind := Default
	switch x := s.random.Float64(); {
	case x < s.sheddable:
		kind = Sheddable
	case x < s.sheddable+s.critical:
		kind = Critical
	}
	which := s.random.IntN(len(s.gates))
	g := s.gates[which]
	ticket, ok := g.TryAcquire(s.clock(), kind)
	if !ok {
		s.refused[kind]++
		return
	}
	s.queue = append(s.queue, job{done{began: s.now, kind: kind, gate: which}, ticket, g})
	s.work()
}

func (s *simulation) work() {
	for s.busy < s.workers(s.now) && len(s.queue) > 0 {
		j := s.queue[0]
		s.queue = s.queue[1:]
		s.busy++
		s.after(s.service(s.now, s.random), func() {
			s.busy--
			j.took = s.now - j.began
			s.outcome.done = append(s.outcome.done, j.done)
			j.gate.Release(j.ticket, s.clock(), Answered)
			s.work()
		})
	}
}

// between picks what ended in a time.
func (o *outcome) between(from, to time.Duration) (out []done) {
	for _, d := range o.done {
		if end := d.began + d.took; end >= from && end < to {
			out = append(out, d)
		}
	}
	return out
}

// percentile is one of the latencies.
func percentile(list []done, p float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	took := make([]time.Duration, len(list))
	for i, d := range list {
		took[i] = d.took
	}
	slices.Sort(took)
	return took[min(len(took)-1, int(p*float64(len(took))))]
}

func always[T any](value T) func(time.Duration) T { return func(time.Duration) T { return value } }

// jittered is a log-normal time with that mean, of which the standard deviation is a part.
func jittered(mean time.Duration, deviation float64) func(time.Duration, *rand.Rand) time.Duration {
	variance := math.Log(1 + deviation*deviation)
	return func(_ time.Duration, r *rand.Rand) time.Duration {
		return time.Duration(float64(mean) * math.Exp(r.NormFloat64()*math.Sqrt(variance)-variance/2))
	}
}
