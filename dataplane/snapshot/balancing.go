package snapshot

import (
	"net/http"
	"slices"
	"time"

	"tidegate.dev/dataplane/discovery"
	"tidegate.dev/dataplane/upstream"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// policies are those that this agent knows.
var policies = []upstream.Policy{
	"", upstream.RoundRobin, upstream.Random, upstream.LeastRequest, upstream.EWMA, upstream.RingHash, upstream.Maglev,
}

func (c *compilation) balancing(resource string, spec *configv1.LoadBalancing) upstream.BalancingConfig {
	config := upstream.BalancingConfig{Policy: upstream.Policy(spec.GetPolicy())}
	if !slices.Contains(policies, config.Policy) {
		c.fail(resource, "load_balancing.policy", CodeCapability, "this agent does not know the policy %q", spec.GetPolicy())
	}
	switch key := spec.GetHashOn().GetKey().(type) {
	case *configv1.HashOn_Header:
		config.HashOn = upstream.HashOn{Kind: upstream.HashHeader, Name: http.CanonicalHeaderKey(key.Header)}
	case *configv1.HashOn_Cookie:
		config.HashOn = upstream.HashOn{Kind: upstream.HashCookie, Name: key.Cookie}
	case *configv1.HashOn_Address:
		config.HashOn = upstream.HashOn{Kind: upstream.HashAddress}
	case *configv1.HashOn_Consumer:
		config.HashOn = upstream.HashOn{Kind: upstream.HashConsumer}
	}
	hashes := config.Policy == upstream.RingHash || config.Policy == upstream.Maglev
	if hashes != (config.HashOn.Kind != upstream.HashNothing) {
		c.fail(resource, "load_balancing.hash_on", CodeCompile, "ring_hash and maglev need it, and only they")
	}
	if zones := spec.GetZoneAwareness(); zones != nil {
		config.ZoneAware, config.MinUsablePercent = true, int(zones.GetMinUsablePercent())
	}
	return config
}

func (c *compilation) breaker(resource string, spec *configv1.CircuitBreaker) upstream.BreakerConfig {
	return upstream.BreakerConfig{
		Consecutive:    int(spec.GetConsecutiveFailures()),
		FailurePercent: int(spec.GetFailurePercent()),
		MinRequests:    int(spec.GetMinRequests()),
		Window:         c.duration(resource, "circuit_breaker.window", spec.GetWindow(), 0),
		Open:           c.duration(resource, "circuit_breaker.open", spec.GetOpen(), 0),
		Trials:         int(spec.GetTrialRequests()),
		MaxConcurrent:  int(spec.GetMaxConcurrent()),
		MaxPending:     int(spec.GetMaxPending()),
	}
}

func (c *compilation) discovery(resource string, spec *configv1.Discovery) upstream.DiscoveryConfig {
	if spec == nil {
		return upstream.DiscoveryConfig{}
	}
	return upstream.DiscoveryConfig{Source: c.source(resource, spec), Scheme: spec.GetScheme(), Path: spec.GetPath()}
}

// source says who knows the targets. What is wrong with its settings, other than lengths of time, the source itself finds.
func (c *compilation) source(resource string, spec *configv1.Discovery) discovery.Config {
	refresh := func(kind discovery.Kind, field, text string) time.Duration {
		return c.duration(resource, "discovery."+string(kind)+"."+field, text, 0)
	}
	switch source := spec.GetSource().(type) {
	case *configv1.Discovery_Dns:
		return discovery.Config{Kind: discovery.KindDNS, DNS: discovery.DNSConfig{
			Name: source.Dns.GetHost(), Port: uint16(source.Dns.GetPort()), //nolint:gosec // validated: a port
			Family: source.Dns.GetFamily(), Resolver: source.Dns.GetResolver(),
			MinRefresh: refresh(discovery.KindDNS, "min_refresh", source.Dns.GetMinRefresh()),
			MaxRefresh: refresh(discovery.KindDNS, "max_refresh", source.Dns.GetMaxRefresh()),
		}}
	case *configv1.Discovery_DnsSrv:
		return discovery.Config{Kind: discovery.KindDNSSRV, DNS: discovery.DNSConfig{
			Name: source.DnsSrv.GetName(), Resolver: source.DnsSrv.GetResolver(),
			MinRefresh: refresh(discovery.KindDNSSRV, "min_refresh", source.DnsSrv.GetMinRefresh()),
			MaxRefresh: refresh(discovery.KindDNSSRV, "max_refresh", source.DnsSrv.GetMaxRefresh()),
		}}
	case *configv1.Discovery_Consul:
		return c.consul(resource, source.Consul)
	case *configv1.Discovery_Kubernetes:
		return discovery.Config{Kind: discovery.KindKubernetes, Kubernetes: discovery.KubernetesConfig{
			Namespace: source.Kubernetes.GetNamespace(), Service: source.Kubernetes.GetService(), Port: source.Kubernetes.GetPort(),
		}}
	case *configv1.Discovery_File:
		return discovery.Config{Kind: discovery.KindFile, File: discovery.FileConfig{Path: source.File.GetPath()}}
	}
	c.fail(resource, "discovery", CodeCompile, "does not say who knows the targets")
	return discovery.Config{}
}

func (c *compilation) consul(resource string, spec *configv1.ConsulDiscovery) discovery.Config {
	config := discovery.ConsulConfig{
		Service: spec.GetService(), Datacenter: spec.GetDatacenter(), Address: spec.GetAddress(),
		TokenSecret: spec.GetTokenSecret(), ZoneKey: spec.GetZoneKey(),
	}
	tags := slices.Sorted(slices.Values(spec.GetTags()))
	if n := copy(config.Tags[:], tags); n < len(tags) {
		c.fail(resource, "discovery.consul.tags", CodeCompile, "are more than %d", n)
	}
	return discovery.Config{Kind: discovery.KindConsul, Consul: config}
}
