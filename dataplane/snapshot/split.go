package snapshot

import (
	"math"
	"math/rand/v2"
	"slices"

	"tidegate.dev/dataplane/plugin"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// Split shares the requests of a route among its backends. It may be used by any number of goroutines.
type Split struct {
	// Set once.
	backends []splitBackend
	total    uint64

	// At most one of these tells who stays on one backend: a cookie, which the gateway sets if there is none, a header, or the
	// consumer, who is known only after authentication.
	Cookie     string
	Header     string
	ByConsumer bool

	// Where a request may name the service it wants; empty for nowhere.
	OverrideHeader string
	OverrideCookie string
}

type splitBackend struct {
	// route is the route as this backend answers it.
	route  *Route
	weight uint64
	seed   uint64
}

// Throw chooses by weight: independent of every other request, and of the coin that rollouts throw.
func (s *Split) Throw() *Route {
	point := rand.Uint64N(s.total)
	for _, b := range s.backends {
		if point < b.weight {
			return b.route
		}
		point -= b.weight
	}
	return s.backends[0].route
}

// Stick chooses the same backend for the same value, in proportion to the weights, on every agent and for every route with
// these services. It is weighted rendezvous hashing: whoever has to move, because a weight changed or a backend came or went,
// moves to a backend that gained or from one that lost.
func (s *Split) Stick(value string) *Route {
	hash := hashText(value)
	best, lowest := s.backends[0].route, math.Inf(1)
	for _, b := range s.backends {
		if b.weight == 0 {
			continue
		}
		// The first arrival of a Poisson process whose rate is the weight: the smallest of them is b's with probability weight
		// over total.
		uniform := (float64(mix(hash^b.seed)>>11) + 0.5) / (1 << 53)
		if arrival := -math.Log(uniform) / float64(b.weight); arrival < lowest {
			best, lowest = b.route, arrival
		}
	}
	return best
}

// Named is the backend of a service.
func (s *Split) Named(service string) (route *Route, ok bool) {
	for _, b := range s.backends {
		if b.route.Service == service {
			return b.route, true
		}
	}
	return nil, false
}

// hashText is FNV-1a, which mix spreads.
func hashText(text string) uint64 {
	hash := uint64(14695981039346656037)
	for i := range len(text) {
		hash = (hash ^ uint64(text[i])) * 1099511628211
	}
	return hash
}

// mix is the finalizer of SplitMix64.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// newSplit makes the split of a route that has several backends; routes are the route as each of them answers it.
func newSplit(spec *configv1.Route, routes []*Route) *Split {
	s := &Split{
		Cookie: spec.GetSticky().GetCookie(), Header: spec.GetSticky().GetHeader(), ByConsumer: spec.GetSticky().GetConsumer(),
		OverrideHeader: spec.GetOverride().GetHeader(), OverrideCookie: spec.GetOverride().GetCookie(),
	}
	for i, backend := range spec.GetBackends() {
		weight := uint64(backend.GetWeight())
		s.total += weight
		s.backends = append(s.backends, splitBackend{route: routes[i], weight: weight, seed: mix(hashText(backend.GetService()))})
	}
	return s
}

// checkSplit finds what keeps a route's backends from sharing its requests.
func (c *compilation) checkSplit(resource string, spec *configv1.Route) {
	total := uint64(0)
	for _, backend := range spec.GetBackends() {
		total += uint64(backend.GetWeight())
	}
	switch backends := len(spec.GetBackends()); {
	case backends > 0 && spec.GetService() != "":
		c.fail(resource, "backends", CodeCompile, "has both a service and backends")
	case backends > 0 && total == 0:
		c.fail(resource, "backends", CodeCompile, "has no backend with a weight above 0")
	}
}

// checkStickyConsumer: who calls is found out in the same way whichever backend it will be.
func (c *compilation) checkStickyConsumer(name string, source *routeSource) {
	if !source.spec.GetSticky().GetConsumer() {
		return
	}
	for _, service := range source.services {
		for _, bound := range c.next.places[place{service: service}] {
			if bound.phase == plugin.Authentication {
				c.fail("routes/"+name, "sticky.consumer", CodeCompile,
					"a plugin of type %s is bound to service %q, but the consumer decides which service it is; bind it to the route", bound.typeName, service)
			}
		}
	}
}

// services are those that share the requests, sorted.
func (s *Split) services() []string {
	names := make([]string, 0, len(s.backends))
	for _, b := range s.backends {
		names = append(names, b.route.Service)
	}
	slices.Sort(names)
	return names
}
