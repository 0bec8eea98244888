package overload

import (
	"math"
	"time"
)

// rival is a limiter by another law, without criticalities.
type rival struct {
	limit, running float64
	began          time.Time
	sum            time.Duration
	count          int
	peak           float64
	// move is told of a window: the mean latency in seconds, and the most that ran.
	move func(r *rival, latency float64)
}

func (r *rival) TryAcquire(now time.Time, _ Criticality) (Ticket, bool) {
	if r.running >= math.Floor(r.limit) {
		r.peak = r.running
		return Ticket{}, false
	}
	r.running++
	r.peak = max(r.peak, r.running)
	return Ticket{at: now.Sub(simulationBegins)}, true
}

func (r *rival) Release(t Ticket, now time.Time, _ Outcome) {
	r.running--
	r.sum += now.Sub(simulationBegins) - t.at
	if r.count++; r.count < 100 || now.Sub(r.began) < 50*time.Millisecond {
		return
	}
	r.move(r, r.sum.Seconds()/float64(r.count))
	r.began, r.sum, r.count, r.peak = now, 0, 0, r.running
	r.limit = min(max(r.limit, 4), 10_000)
}

func (r *rival) Limit() int { return int(r.limit) }

func newRival(limit float64, move func(*rival, float64)) gate {
	return &rival{limit: limit, began: simulationBegins, move: move}
}

func newNone() gate { return newRival(10_000, func(*rival, float64) {}) }

// newAIMD is additive increase, multiplicative decrease; it has to be told that 60 ms are too long.
func newAIMD() gate {
	return newRival(20, func(r *rival, latency float64) {
		switch {
		case latency > 0.060:
			r.limit *= 0.9
		case r.peak >= r.limit/2:
			r.limit++
		}
	})
}

// newVegas is after TCP Vegas, as Netflix limits concurrency by it: the least latency seen is forgotten now and then.
func newVegas() gate {
	least, windows := math.Inf(1), 0
	return newRival(20, func(r *rival, latency float64) {
		if windows++; windows > 300 {
			least, windows = math.Inf(1), 0
		}
		if least = min(least, latency); least == latency || r.peak < r.limit/2 {
			return
		}
		waiting, unit := math.Ceil(r.limit*(1-least/latency)), max(1, math.Log10(r.limit))
		switch {
		case waiting <= unit:
			r.limit += 6 * unit
		case waiting < 3*unit:
			r.limit += unit
		case waiting > 6*unit:
			r.limit -= unit
		}
	})
}

// newGradient2 is after Netflix: the latency of now against that of long.
func newGradient2() gate {
	long := 0.
	return newRival(20, func(r *rival, latency float64) {
		if long == 0 {
			long = latency
		}
		if long += (latency - long) * 2 / 601; long/latency > 2 {
			long *= 0.95
		}
		if r.peak < r.limit/2 {
			return
		}
		gradient := max(0.5, min(1, 1.5*long/latency))
		r.limit = r.limit*0.8 + (r.limit*gradient+4)*0.2
	})
}
