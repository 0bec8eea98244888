package router

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// BenchmarkRatio compares what BenchmarkMatch measures, so that a machine with other work to do still gives fair ratios: short
// turns of all cases take place one after another, and of each case the quicker quarter is what counts. The making of the
// requests is measured as well and taken off. Metrics are nanoseconds of a match, and how many times those of one route. Beside
// them are the nanoseconds that one read of memory takes which has to wait for the one before, on this machine at this time, and
// how many of them a match in random order costs over one of the hot routes.
func BenchmarkRatio(b *testing.B) {
	memory := newChase()
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			cases := []*ratioCase{
				newRatioCase(b, s, 1, "hot"), newRatioCase(b, s, 1000, "hot"), newRatioCase(b, s, 1000, "random"),
				newRatioCase(b, s, 100_000, "hot"), newRatioCase(b, s, 100_000, "random"),
			}
			for b.Loop() {
				for _, c := range cases {
					c.turn(b)
				}
				memory.turn()
			}
			one := cases[0].nanoseconds()
			for _, c := range cases {
				b.ReportMetric(c.nanoseconds(), "ns/"+c.name)
				b.ReportMetric(c.nanoseconds()/one, "x/"+c.name)
			}
			read := float64(quick(memory.turns).Nanoseconds()) / turnLength
			b.ReportMetric(read, "ns/read")
			b.ReportMetric((cases[4].nanoseconds()-cases[3].nanoseconds())/read, "reads/100000-random")
		})
	}
}

// turnLength is how many matches a turn has: enough for the clock, few enough not to be interrupted.
const turnLength = 1000

type ratioCase struct {
	name          string
	router        *Router[*int]
	ask           *asker
	matches, asks []time.Duration
}

func newRatioCase(b *testing.B, s shape, count int, order string) *ratioCase {
	b.Helper()
	return &ratioCase{
		name:   fmt.Sprintf("%d-%s", count, order),
		router: newRouter(b, entries(b, s, count)...),
		ask:    newAsker(s, count, order == "random"),
	}
}

func (c *ratioCase) turn(b *testing.B) {
	begin := time.Now()
	for range turnLength {
		method, host, path := c.ask.next()
		if _, ok := c.router.Match(host, method, path, nil, nil); !ok {
			b.Fatal(host, path)
		}
	}
	matched := time.Now()
	for range turnLength {
		c.ask.next()
	}
	c.matches = append(c.matches, matched.Sub(begin))
	c.asks = append(c.asks, time.Since(matched))
}

// nanoseconds is what a match costs in the quicker quarter of the turns.
func (c *ratioCase) nanoseconds() float64 {
	return float64((quick(c.matches) - quick(c.asks)).Nanoseconds()) / turnLength
}

func quick(of []time.Duration) time.Duration {
	slices.Sort(of)
	return of[len(of)/4]
}

// chase reads memory that is larger than the caches, each time where what was read leads to.
type chase struct {
	lines []line
	at    uint32
	turns []time.Duration
}

type line struct {
	next uint32
	_    [60]byte
}

func newChase() *chase {
	const count = 64 << 20 / 64
	c := &chase{lines: make([]line, count)}
	order := rand.New(rand.NewPCG(5, 6)).Perm(count)
	for i, at := range order {
		c.lines[at].next = uint32(order[(i+1)%count])
	}
	return c
}

func (c *chase) turn() {
	begin := time.Now()
	for range turnLength {
		c.at = c.lines[c.at].next
	}
	c.turns = append(c.turns, time.Since(begin))
}
