package overload

import (
	"math"
	"time"
)

// law finds the limit of one upstream. It knows neither clock nor goroutines: it is told of one window of exchanges after the
// other and says how many may run at once.
//
// It rests on two observations. While an upstream has capacity left, its latency does not depend on how many exchanges run;
// beyond that latency grows in proportion and throughput does not grow at all (Little's law). So the limit is held a little
// above the place where the one turns into the other, the knee, by comparing latency with that of the upstream when it does not
// queue, as TCP Vegas and Netflix's and Envoy's gradients do. That latency changes by itself, so it cannot be remembered for
// ever, and a limit that lowers itself because of it would never recover. Hence the second: where it is in doubt, and now and
// then anyway, the limit is lowered step by step until throughput falls with it. Then nobody queues, and the latency that is
// seen there is the upstream's own.
type law struct {
	// Set once.
	lowest, highest float64

	limit float64
	// own is the upstream's latency in seconds when it does not queue; 0 if it is not known.
	own float64
	// opening is true until the first sign of queueing: the limit grows fast.
	opening bool

	search search
	// settled counts searches in a row that found what was known already.
	settled int
	// next is when the latency has to be looked for again.
	next time.Duration
	// wall is what the clock of the wall showed when the caller's began, since agents search together.
	wall time.Duration
	// late counts windows in a row in which latency was too long to open further.
	late int
}

// window is what was seen of an upstream for a while.
type window struct {
	// end is when it ended, on a clock of the caller's that never goes back.
	end time.Duration
	// latency is the mean, in seconds, of samples exchanges; each counts for at most longestSample times the upstream's own.
	latency float64
	samples int
	// length is how long the window was.
	length time.Duration
	// bound says that somebody found the limit reached.
	bound bool
}

func (w *window) throughput() float64 { return float64(w.samples) / w.length.Seconds() }

const (
	// firstLimit is where a limit begins, and what it does not fall below for want of demand.
	firstLimit = 20
	// tolerance is how much longer than the upstream's own latency the mean may be. More would add latency, less would cost
	// throughput whenever exchanges come unevenly.
	tolerance = 0.2
	// doubt is the multiple of that at which own is doubted.
	doubt = 1.5
	// longestSample bounds the weight of one slow exchange, in multiples of own.
	longestSample = 10
)

func newLaw(lowest, highest int) *law {
	l := &law{lowest: max(1, float64(lowest)), highest: float64(highest), opening: true}
	l.limit = l.clamp(firstLimit)
	return l
}

func (l *law) clamp(limit float64) float64 { return min(max(limit, l.lowest), l.highest) }

// headroom is what the limit is raised by in each window, so that it finds capacity that has become free.
func headroom(limit float64) float64 { return max(1, math.Sqrt(limit)/2) }

// see takes a window and moves the limit.
func (l *law) see(w window) {
	if l.own == 0 {
		l.own = w.latency
	}
	switch {
	case l.search.active:
		l.look(w)
	case w.bound:
		l.steer(w)
	default:
		l.rest(w)
	}
}

// steer moves a limit that is reached.
func (l *law) steer(w window) {
	wanted := l.own * (1 + tolerance)
	if l.opening && l.open(w, wanted) {
		return
	}
	if w.latency > wanted*doubt {
		l.next = min(l.next, l.grid(w.end, searchGrid))
	}
	if w.end >= l.next && w.end >= l.search.ended+l.patience()*w.length {
		l.begin(w)
		return
	}
	gradient := min(1, max(0.7, wanted/w.latency))
	goal := l.limit*gradient + headroom(l.limit)
	l.limit = l.clamp(l.limit + (goal-l.limit)/2)
}

// open raises a limit fast. It tells whether that goes on.
func (l *law) open(w window, wanted float64) bool {
	if w.latency <= wanted {
		l.late = 0
		l.limit = l.clamp(l.limit * 1.6)
		return true
	}
	// One such window may be chance.
	if l.late++; l.late < 2 && w.latency <= wanted*doubt {
		return true
	}
	l.opening, l.late = false, 0
	l.next = l.grid(w.end, searchGrid)
	return false
}

// patience is for how many windows after a search latency is not doubted again, so that one that changes all the time does not
// keep the limit low all the time.
func (l *law) patience() time.Duration {
	if l.settled == 0 {
		return 2
	}
	return 8
}

// grid is the next moment at which all agents search that want to. Several share an upstream: if one of them lowered its limit
// alone, the others would take what it leaves, and nobody would ever see the upstream without a queue.
func (l *law) grid(at, mesh time.Duration) time.Duration {
	return (at + l.wall).Truncate(mesh) + mesh - l.wall
}

// rest follows a limit that is not reached: there is nothing to find out, and no reason to let anybody wait.
func (l *law) rest(w window) {
	if w.latency < l.own {
		l.own += (w.latency - l.own) / 4
	}
	running := w.throughput() * w.latency
	switch {
	case w.latency > l.own*(1+tolerance)*doubt && running > l.limit/2:
		// The upstream slows down: no more than a little above what runs now.
		l.limit = l.clamp(max(running*1.25, l.limit*0.9))
	case running < l.limit/2:
		// What nobody used for minutes is not known to be there.
		unused := max(running*2, min(firstLimit, l.limit))
		l.limit = l.clamp(l.limit + (unused-l.limit)*(1-math.Exp(-w.length.Seconds()/forgetting.Seconds())))
	}
}

// forgetting is the time in which a limit that is not used falls by two thirds.
const forgetting = 2 * time.Minute
