package overload

import "time"

// search looks for the knee from above: the limit is lowered until throughput falls with it.
type search struct {
	active bool
	// rising says that the limit is as low as it may be, so that the look is upwards.
	rising bool
	// before is the limit when the search began, best the highest throughput seen since.
	before float64
	best   float64
	// from is when what is seen is the effect of the last step.
	from  time.Duration
	ended time.Duration
	// known is the latency that was believed in before.
	known float64
}

const (
	// step is what the limit is lowered to each time.
	step = 0.55
	// fallen is the share of the throughput below which it is said to have fallen with the limit.
	fallen = 0.85
	// searchSoon and searchSeldom are the pauses between two searches: the first while each finds something new.
	searchSoon   = time.Second
	searchSeldom = 16 * time.Second
	// searchGrid is how soon a doubt may be looked into.
	searchGrid = 250 * time.Millisecond
)

// begin starts a search at the end of a window in which the limit was reached.
func (l *law) begin(w window) {
	l.opening = false
	l.search = search{active: true, before: l.limit, best: l.limit / w.latency, known: l.own}
	if l.limit <= l.lowest {
		l.search.rising = true
		l.limit = min(l.limit*2, l.highest)
	} else {
		l.limit = l.clamp(l.limit * step)
	}
	l.settle(w)
}

// settle lets exchanges of before the step end first.
func (l *law) settle(w window) {
	l.search.from = w.end + time.Duration(1.5*w.latency*float64(time.Second))
}

// look judges a window that shows the effect of a step.
func (l *law) look(w window) {
	s := &l.search
	if !w.bound {
		// Demand went away, and with it the question.
		l.own = min(l.own, w.latency)
		l.limit = s.before
		l.finish(w)
		return
	}
	throughput := l.limit / w.latency
	switch {
	case s.rising:
		if throughput > s.best/fallen {
			l.own = w.latency
		} else {
			l.limit = s.before
		}
	case throughput < s.best*fallen:
		l.own = w.latency
		// If throughput fell as far as the limit did, the upstream had capacity left at the limit of before.
		l.opening = l.limit > s.before*step*step && throughput < s.best*(step+fallen)/2*0.9
		l.limit = l.clamp(s.best*l.own*(1+tolerance) + headroom(s.before))
	case l.limit <= l.lowest:
		l.own = min(l.own, w.latency)
	default:
		s.best = max(s.best, throughput)
		l.own = min(l.own, w.latency)
		l.limit = l.clamp(l.limit * step)
		l.settle(w)
		return
	}
	l.finish(w)
}

// finish ends the search. One that found something new is soon followed by another.
func (l *law) finish(w window) {
	s := &l.search
	s.active, s.ended = false, w.end
	pause := searchSoon
	if change := l.own / s.known; change > 0.8 && change < 1.25 {
		l.settled = min(l.settled+1, 4)
		pause = min(searchSoon<<l.settled, searchSeldom)
	} else {
		l.settled = 0
	}
	// A search costs throughput for some windows, so there are at least so many between two.
	for pause < 32*w.length {
		pause *= 2
	}
	l.next = l.grid(w.end, pause)
}
