package upstream

import (
	"math"
	"sync/atomic"
	"time"
)

// load is what one window's exchanges do with a target now, and how long its answers took.
type load struct {
	// busy counts the exchanges that run in its lower half, and those of them that wait for an answer in its upper half.
	busy atomic.Int64
	// quiet is since when somebody waits and no answer has come; 0 if nobody waits.
	quiet atomic.Int64
	// answered is when the last answer came.
	answered atomic.Int64
	// mean and peak are how long answers take.
	mean, peak average
}

const oneWaits = 1 << 32

// begin counts an exchange that will wait for an answer.
func (l *load) begin(now int64) {
	switch waiting := l.busy.Add(1+oneWaits) >> 32; {
	case waiting == 1:
		l.quiet.Store(now)
	case l.quiet.Load() == 0:
		// An answer that was slower to say that nobody waits than this was to wait.
		l.quiet.CompareAndSwap(0, now)
	}
}

// answer ends the wait, with an answer if ok.
func (l *load) answer(now int64, ok bool) {
	waiting := l.busy.Add(-oneWaits) >> 32
	switch {
	case waiting == 0:
		l.quiet.Store(0)
	case ok:
		l.quiet.Store(now)
	}
	if ok {
		l.answered.Store(now)
	}
}

// end counts the exchange no more.
func (l *load) end() { l.busy.Add(-1) }

// running is how many exchanges there are, waiting how many of them wait for an answer.
func (l *load) running() int64 { return int64(int32(l.busy.Load())) } //nolint:gosec // the lower half

func (l *load) waiting() int64 { return l.busy.Load() >> 32 }

// average is a mean that forgets: what is older counts for less, by e in each span of averageSpan. It is one word, so that no
// reader sees half of it: the value in nanoseconds as a float32 in the upper half, and when it was changed, in milliseconds, in
// the lower.
type average struct{ word atomic.Uint64 }

const averageSpan = 10 * time.Second

// add adds a value that was seen. With peaks, one above the mean replaces it at once, so that the mean falls slower than it
// rises (as in Finagle's balancer "peak EWMA").
func (a *average) add(value time.Duration, now int64, peaks bool) {
	stamp := uint32(now / int64(time.Millisecond)) //nolint:gosec // wraps after 49 days, and so do differences
	for {
		word := a.word.Load()
		mean, age := unpackAverage(word, stamp)
		next := float64(value)
		switch {
		case word == 0 || peaks && next >= mean:
		case age == 0:
			return // a value a millisecond is enough
		default:
			keep := math.Exp(-float64(age) / float64(averageSpan))
			next = mean*keep + next*(1-keep)
		}
		if a.word.CompareAndSwap(word, packAverage(next, stamp)) {
			return
		}
	}
}

// at is the mean, which falls while nothing is added if faded is wanted; 0 if nothing ever was.
func (a *average) at(now int64, faded bool) float64 {
	word := a.word.Load()
	mean, age := unpackAverage(word, uint32(now/int64(time.Millisecond))) //nolint:gosec // wraps as in add
	if faded && age > 0 {
		mean *= math.Exp(-float64(age) / float64(averageSpan))
	}
	return mean
}

func packAverage(mean float64, stamp uint32) uint64 {
	return uint64(math.Float32bits(float32(mean)))<<32 | uint64(stamp)
}

func unpackAverage(word uint64, stamp uint32) (mean float64, age time.Duration) {
	mean = float64(math.Float32frombits(uint32(word >> 32)))
	// One who read the clock before another may come after it.
	return mean, time.Duration(max(0, int32(stamp-uint32(word)))) * time.Millisecond //nolint:gosec // halves of a word
}

// adopt takes over what another window knows of the answers; what runs is counted where it began.
func (l *load) adopt(from *load) {
	l.mean.word.Store(from.mean.word.Load())
	l.peak.word.Store(from.peak.word.Load())
}
