package proxy

import (
	"github.com/prometheus/client_golang/prometheus"

	"tidegate.dev/dataplane/plugin"
)

// Collector shows Prometheus what the counters of telemetry do not: connections, what is served, what policies in shadow would
// have done, and log lines that were dropped.
type Collector struct {
	proxy       *Proxy
	connections connectionMetrics
	exchanges   *prometheus.Desc
	revision    *prometheus.Desc
	routes      *prometheus.Desc
	shadow      *prometheus.Desc
	dropped     *prometheus.Desc
	overload    overloadMetrics
}

// NewCollector makes a collector of p.
func NewCollector(p *Proxy) *Collector {
	return &Collector{
		proxy:       p,
		overload:    newOverloadMetrics(),
		connections: newConnectionMetrics(),
		exchanges:   prometheus.NewDesc("tidegate_exchanges", "Requests that are served now, until their responses stream.", nil, nil),
		revision:    prometheus.NewDesc("tidegate_revision", "The revision that is served.", []string{"arm"}, nil),
		routes:      prometheus.NewDesc("tidegate_routes", "Routes of the revision that is served.", []string{"arm"}, nil),
		shadow: prometheus.NewDesc("tidegate_plugin_shadow_total",
			"What plugins in shadow would have done, by reason; without a reason they would have let the request pass.",
			[]string{"arm", "plugin", "reason"}, nil),
		dropped: prometheus.NewDesc("tidegate_access_log_dropped_total", "Lines of the access log that were dropped.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{c.exchanges, c.revision, c.routes, c.shadow, c.dropped} {
		out <- desc
	}
	c.connections.describe(out)
	c.overload.describe(out)
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	counts := c.proxy.gate.Counts()
	c.connections.collect(&counts, out)
	if log := c.proxy.accessLog; log != nil {
		out <- prometheus.MustNewConstMetric(c.dropped, prometheus.CounterValue, float64(log.Dropped()))
	}
	c.overload.collect(c.proxy, out)
	current := c.proxy.current.Load()
	if current == nil {
		return
	}
	gauge(c.exchanges, float64(c.proxy.exchanges()))
	for arm, snapshot := range current.arms() {
		gauge(c.revision, float64(snapshot.Revision()), arm)
		gauge(c.routes, float64(snapshot.Routes()), arm)
		snapshot.Policies(func(p *plugin.Policy) {
			if !p.Shadow {
				return
			}
			for reason, name := range plugin.ReasonNames() {
				if n := p.Judged(plugin.Reason(reason)); n > 0 {
					out <- prometheus.MustNewConstMetric(c.shadow, prometheus.CounterValue, float64(n), arm, p.Name, name)
				}
			}
		})
	}
}
