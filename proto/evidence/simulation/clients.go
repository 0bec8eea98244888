package simulation

import (
	"math"
	"math/rand/v2"
	"sort"
)

// Clients is a population in which a few send most of the requests: the client
// of rank i sends in proportion to 1/i (Zipf's law). From time to time one of
// them breaks, and for a while every request that it sends is bad.
type Clients struct {
	// Number of clients.
	Number int
	// BreaksPerSecond is how often one breaks, at each agent; the busy break in
	// proportion to their traffic.
	BreaksPerSecond float64
	// BrokenSeconds is how long it stays broken on average.
	BrokenSeconds float64
}

// population knows each client's share of the traffic.
type population struct {
	cumulative []float64
}

func newPopulation(number int) population {
	p := population{cumulative: make([]float64, max(number, 1))}
	total := 0.0
	for i := range p.cumulative {
		total += 1 / float64(i+1)
		p.cumulative[i] = total
	}
	for i := range p.cumulative {
		p.cumulative[i] /= total
	}
	return p
}

// pick returns a client with a probability of its share of the traffic.
func (p population) pick(rng *rand.Rand) int {
	return min(sort.SearchFloat64s(p.cumulative, rng.Float64()), len(p.cumulative)-1)
}

// share is the client's part of all requests.
func (p population) share(client int) float64 {
	if client == 0 {
		return p.cumulative[0]
	}
	return p.cumulative[client] - p.cumulative[client-1]
}

// poisson draws the number of events when mean are expected: by waiting times,
// so it is meant for small means, and split into parts when the mean is large.
func poisson(rng *rand.Rand, mean float64) int {
	count := 0
	for mean > 30 {
		count += poisson(rng, 30)
		mean -= 30
	}
	limit := math.Exp(-mean)
	for product := rng.Float64(); product > limit; product *= rng.Float64() {
		count++
	}
	return count
}
