package snapshot

import (
	"math"
	"math/rand/v2"

	"tidegate.dev/dataplane/overload"
	"tidegate.dev/dataplane/upstream"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// share is a probability in parts per million.
type share uint32

const certain share = 1_000_000

// throw is independent of every other.
func (s share) throw() bool {
	return s >= certain || s > 0 && rand.Uint32N(uint32(certain)) < uint32(s)
}

// percent reads a share; nil is all.
func percent(of *float64) share {
	if of == nil {
		return certain
	}
	return share(math.Round(min(max(*of, 0), 100) / 100 * float64(certain)))
}

// readShaping reads what a route does to its requests beside finding their service.
func (c *compilation) readShaping(resource string, spec *configv1.Route, source *routeSource) {
	source.fault = c.readFault(resource, spec.GetFault())
	source.criticality = c.criticality(resource, spec.GetCriticality())
	source.maxRequestBytes = math.MaxInt64
	if most := spec.GetMaxRequestBytes(); most > 0 && most < math.MaxInt64 {
		source.maxRequestBytes = int64(most)
	}
}

func (c *compilation) criticality(resource, name string) overload.Criticality {
	switch name {
	case "", "default":
	case "critical":
		return overload.Critical
	case "sheddable":
		return overload.Sheddable
	default:
		c.fail(resource, "criticality", CodeCapability, "this agent does not know the criticality %q", name)
	}
	return overload.Default
}

func concurrency(spec *configv1.AdaptiveConcurrency) upstream.ConcurrencyConfig {
	if spec == nil {
		return upstream.ConcurrencyConfig{}
	}
	return upstream.ConcurrencyConfig{
		Adaptive: true, Limits: overload.Config{MinLimit: int(spec.GetMinLimit()), MaxLimit: int(spec.GetMaxLimit())},
	}
}

// Services visits the services, with their names.
func (s *Snapshot) Services(visit func(name string, service *upstream.Service)) {
	for name, entity := range s.services {
		visit(name, entity.value.upstream)
	}
}
