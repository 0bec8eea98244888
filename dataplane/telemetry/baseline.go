package telemetry

import (
	"maps"
	"math"
	"sync/atomic"
	"time"
)

// Quantiles are those of the control's durations that a candidate is held against.
var Quantiles = [...]Quantile{{"p50", 0.50, 100}, {"p95", 0.95, 200}, {"p99", 0.99, 1000}}

// Quantile is one of them.
type Quantile struct {
	Name  string
	share float64
	// least is how many requests it takes to know it.
	least float64
}

// Slower counts, for each of the Quantiles, the requests that were slower than it.
type Slower [len(Quantiles)]uint64

const (
	// baselineHalfLife is how long it takes until a request counts half: the control's last minutes are what is compared.
	baselineHalfLife = time.Minute
	// baselineRoutes bounds the routes whose durations are kept; what has no line is never slow.
	baselineRoutes = 4096
	// leastSlowdown and relativeSlowdown are what a request must be slower than the quantile to count, so that a change that
	// nobody notices does not fail a candidate.
	leastSlowdown    = 5 * time.Millisecond
	relativeSlowdown = 1.25
	// warmUp is how long after a change of the dials durations are not compared: the candidate's connections are new.
	warmUp = 5 * time.Second
	// never is a line that nothing is beyond.
	never = Buckets
)

// Baseline knows how long stable's requests take, by route, and draws from it the lines beyond which a request is slow. They
// are drawn from requests of the past alone, for both arms alike: whether a request is beyond one does not depend on its arm
// unless the candidate changes something. Update is for one goroutine, Lines for any.
type Baseline struct {
	counters *Counters

	lines  atomic.Pointer[Lines]
	last   map[CellKey]*seenCell
	routes map[string]*durations
	coins  map[coin]time.Time
	at     time.Time
}

// seenCell is what a cell had counted at the last update.
type seenCell struct {
	requests uint64
	buckets  [Buckets]uint64
	round    time.Time
}

// durations is a histogram in which the past fades.
type durations struct {
	buckets [Buckets]float64
	total   float64
}

// coin is what must stay the same for a comparison: who throws it, and how it is weighted.
type coin struct {
	rolloutID string
	sharePPM  uint32
}

// Lines say what is slow. They never change.
type Lines struct {
	routes map[string][len(Quantiles)]uint8
	warm   map[coin]bool
}

// NewBaseline makes a baseline that knows nothing yet.
func NewBaseline(counters *Counters) *Baseline {
	b := &Baseline{
		counters: counters,
		last:     make(map[CellKey]*seenCell), routes: make(map[string]*durations), coins: make(map[coin]time.Time),
	}
	b.lines.Store(new(Lines))
	return b
}

// Lines are the present ones. Who counts with them draws a batch to its end before it takes the next ones, so that each batch
// is held against lines that were there before it.
func (b *Baseline) Lines() *Lines { return b.lines.Load() }

// Update reads the counters and draws the lines anew.
func (b *Baseline) Update(now time.Time) {
	b.fade(now)
	b.counters.Each(func(key CellKey, requests uint64, buckets *[Buckets]uint64) { b.read(key, requests, buckets, now) })
	for _, u := range b.counters.allUnits() {
		b.notice(u.coin(), now)
	}
	maps.DeleteFunc(b.last, func(_ CellKey, cell *seenCell) bool { return cell.round != now })
	b.draw(now)
}

// fade lets time pass for what is known.
func (b *Baseline) fade(now time.Time) {
	keep := math.Exp2(-float64(now.Sub(b.at)) / float64(baselineHalfLife))
	if b.at.IsZero() {
		keep = 0
	}
	b.at = now
	for name, d := range b.routes {
		if d.total *= keep; d.total < 1 {
			delete(b.routes, name)
			continue
		}
		for i := range d.buckets {
			d.buckets[i] *= keep
		}
	}
}

func (b *Baseline) read(key CellKey, requests uint64, buckets *[Buckets]uint64, now time.Time) {
	if key.RolloutID != "" {
		b.notice(coin{key.RolloutID, key.SharePPM}, now)
	}
	if key.Arm != stableArm || key.Reason != "" || key.Route == "" {
		return
	}
	before := b.last[key]
	if before == nil {
		before = new(seenCell)
		b.last[key] = before
	}
	before.round = now
	if before.requests == requests {
		return
	}
	d := b.routes[key.Route]
	if d == nil {
		if len(b.routes) >= baselineRoutes {
			return
		}
		d = new(durations)
		b.routes[key.Route] = d
	}
	for i := range buckets {
		fresh := float64(buckets[i] - before.buckets[i])
		d.buckets[i] += fresh
		d.total += fresh
	}
	before.requests, before.buckets = requests, *buckets
}

// notice remembers since when a coin is thrown.
func (b *Baseline) notice(at coin, now time.Time) {
	if _, known := b.coins[at]; !known {
		b.coins[at] = now
	}
}

const stableArm = 1

func (b *Baseline) draw(now time.Time) {
	lines := &Lines{routes: make(map[string][len(Quantiles)]uint8, len(b.routes)), warm: make(map[coin]bool, len(b.coins))}
	for name, d := range b.routes {
		lines.routes[name] = d.lines()
	}
	for at, since := range b.coins {
		switch age := now.Sub(since); {
		case age > retention && !b.thrown(at):
			delete(b.coins, at)
		case age >= warmUp:
			lines.warm[at] = true
		}
	}
	b.lines.Store(lines)
}

// thrown tells whether an arm still counts with the coin.
func (b *Baseline) thrown(at coin) bool {
	b.counters.mu.Lock()
	defer b.counters.mu.Unlock()
	for _, arm := range b.counters.arms {
		if arm.RolloutID == at.rolloutID && arm.SharePPM == at.sharePPM {
			return true
		}
	}
	for _, u := range b.counters.units {
		if u.coin() == at {
			return true
		}
	}
	return false
}

// lines are the buckets beyond which a request is slow.
func (d *durations) lines() (out [len(Quantiles)]uint8) {
	for i, q := range Quantiles {
		out[i] = never
		if d.total < q.least {
			continue
		}
		at, sum := 0, d.buckets[0]
		for ; at < Buckets-1 && sum < q.share*d.total; sum += d.buckets[at] {
			at++
		}
		if at == Buckets-1 {
			continue
		}
		out[i] = uint8(Bucket(max(Bound(at)+leastSlowdown, time.Duration(float64(Bound(at))*relativeSlowdown))))
	}
	return out
}

// Count counts which requests of a cell, the difference of two readings, were slow. Of what the gateway answered by itself
// nothing is: it has metrics of its own. Nor is what was counted while it ran. known is false while there is nothing to hold them
// against.
func (l *Lines) Count(key CellKey, buckets, before *[Buckets]uint64) (slower Slower, known bool) {
	if key.Reason != "" || key.Aged || !l.warm[coin{key.RolloutID, key.SharePPM}] {
		return slower, false
	}
	lines, known := l.routes[key.Route]
	if !known {
		return slower, false
	}
	for i, line := range lines {
		for at := int(line) + 1; at < Buckets; at++ {
			slower[i] += buckets[at] - before[at]
		}
	}
	return slower, true
}
