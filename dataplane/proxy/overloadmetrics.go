package proxy

import (
	"github.com/prometheus/client_golang/prometheus"

	"tidegate.dev/dataplane/overload"
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/upstream"
)

// criticalityNames are those of the configuration.
var criticalityNames = map[overload.Criticality]string{
	overload.Critical: "critical", overload.Default: "default", overload.Sheddable: "sheddable",
}

// overloadMetrics show what is refused for want of strength, and what became of copies.
type overloadMetrics struct {
	lag, memory, shed, refused      *prometheus.Desc
	most, crowded                   *prometheus.Desc
	limit, running, refusedByLimits *prometheus.Desc
	copies                          *prometheus.Desc
}

func newOverloadMetrics() overloadMetrics {
	return overloadMetrics{
		lag: prometheus.NewDesc("tidegate_overload_lag_seconds", "How long work waited for a processor at the last look.", nil, nil),
		memory: prometheus.NewDesc("tidegate_overload_memory_bytes",
			"Memory in use that cannot be freed.", nil, nil),
		shed: prometheus.NewDesc("tidegate_overload_shed_ratio",
			"The share of sheddable requests that the agent refuses because work waits for processors.", nil, nil),
		refused: prometheus.NewDesc("tidegate_overload_refused_total",
			"Requests that the agent refused because it had too much to do.", []string{"criticality"}, nil),
		most: prometheus.NewDesc("tidegate_exchanges_limit",
			"How many requests the agent serves at once at most, until their responses stream; 0 for any number.", nil, nil),
		crowded: prometheus.NewDesc("tidegate_exchanges_refused_total",
			"Requests that were refused because the agent served as many as it may.", []string{"criticality"}, nil),
		limit: prometheus.NewDesc("tidegate_concurrency_limit",
			"How many exchanges with a service may run at once, as the agent found out.", []string{"arm", "service"}, nil),
		running: prometheus.NewDesc("tidegate_concurrency_running",
			"Exchanges with a service that count against its limit.", []string{"arm", "service"}, nil),
		refusedByLimits: prometheus.NewDesc("tidegate_concurrency_refused_total",
			"Requests that were refused because a service's limit was reached.", []string{"arm", "service", "criticality"}, nil),
		copies: prometheus.NewDesc("tidegate_mirror_copies_total",
			"Copies of requests: sent, failed, and dropped because too many were on their way.", []string{"outcome"}, nil),
	}
}

func (m *overloadMetrics) describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{m.lag, m.memory, m.shed, m.refused, m.most, m.crowded, m.limit, m.running, m.refusedByLimits, m.copies} {
		out <- desc
	}
}

func (m *overloadMetrics) collect(p *Proxy, out chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	counter := func(desc *prometheus.Desc, value uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), labels...)
	}
	if monitor := p.monitor; monitor != nil {
		gauge(m.lag, monitor.Lag().Seconds())
		gauge(m.memory, float64(monitor.Used()))
		gauge(m.shed, monitor.Shed())
		for criticality, name := range criticalityNames {
			counter(m.refused, monitor.Refused(criticality), name)
		}
	}
	gauge(m.most, float64(p.crowd.Most()))
	for criticality, name := range criticalityNames {
		counter(m.crowded, p.crowd.Refused(criticality), name)
	}
	counter(m.copies, p.mirrors.sent.Load(), "sent")
	counter(m.copies, p.mirrors.failed.Load(), "failed")
	counter(m.copies, p.mirrors.dropped.Load(), "dropped")
	current := p.current.Load()
	if current == nil {
		return
	}
	for arm, s := range current.arms() {
		m.limits(arm, s, gauge, counter)
	}
}

func (m *overloadMetrics) limits(arm string, s *snapshot.Snapshot,
	gauge func(*prometheus.Desc, float64, ...string), counter func(*prometheus.Desc, uint64, ...string),
) {
	window := upstream.Window(stableArm)
	if arm == "candidate" {
		window = candidateArm
	}
	s.Services(func(name string, service *upstream.Service) {
		limiter := service.Limiter(window)
		if limiter == nil {
			return
		}
		gauge(m.limit, float64(limiter.Limit()), arm, name)
		gauge(m.running, float64(limiter.Running()), arm, name)
		for criticality, called := range criticalityNames {
			counter(m.refusedByLimits, limiter.Refused(criticality), arm, name, called)
		}
	})
}
