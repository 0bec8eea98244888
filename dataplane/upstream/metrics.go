package upstream

import "github.com/prometheus/client_golang/prometheus"

// Collector shows Prometheus how services and their targets fare. There are as many series as there are services and targets.
type Collector struct {
	registry *Registry

	retries, hedges, refusals, opened *prometheus.Desc
	breaker, pending, budget          *prometheus.Desc
	healthy, ejected, ejections       *prometheus.Desc
	running, waiting, latency         *prometheus.Desc
	connections                       *prometheus.Desc
}

// NewCollector makes a collector of what r keeps.
func NewCollector(r *Registry) *Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("tidegate_upstream_"+name, help, labels, nil)
	}
	return &Collector{
		registry: r,
		retries:  desc("retries_total", "Requests that were tried again.", "service", "arm"),
		hedges:   desc("hedges_total", "Second tries beside a first that took long.", "service", "arm"),
		refusals: desc("refusals_total", "Requests that were not let through: an open breaker, too many at once, no connection in time.", "service", "arm"),
		opened:   desc("breaker_opened_total", "How often the circuit breaker opened.", "service", "arm"),
		breaker:  desc("breaker_state", "The circuit breaker: 0 closed, 1 open, 2 half open.", "service", "arm"),
		pending:  desc("pending", "Exchanges that wait for a connection.", "service", "arm"),
		budget:   desc("retry_budget", "How many retries there may be at once.", "service", "arm"),

		healthy:     desc("target_healthy", "Whether the target's health checks find it up; 1 without any.", "service", "target"),
		ejected:     desc("target_ejected", "Whether the target is left out because of its failures.", "service", "target", "arm"),
		ejections:   desc("target_ejections_total", "How often the target was left out because of its failures.", "service", "target", "arm"),
		running:     desc("target_running", "Exchanges that run with the target.", "service", "target", "arm"),
		waiting:     desc("target_waiting", "Exchanges that wait for the target's answer.", "service", "target", "arm"),
		latency:     desc("target_latency_seconds", "The mean until the head of a response, of about the last ten seconds.", "service", "target", "arm"),
		connections: desc("target_connections", "Connections to the target, as far as they are known.", "service", "target", "state"),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		c.retries, c.hedges, c.refusals, c.opened, c.breaker, c.pending, c.budget, c.healthy, c.ejected, c.ejections,
		c.running, c.waiting, c.latency, c.connections,
	} {
		out <- desc
	}
}

// arm are the labels of one arm of a service, or of a target. An arm that nothing ever happened in is not shown.
func (w *stateWindow) idle() bool {
	return w.retries.Load()|w.hedges.Load()|w.refusals.Load()|w.breaker.opened.Load()|uint64(w.breaker.now()) == 0
}

func (w *targetWindow) idle() bool {
	return w.outlier.total.Load() == 0 && w.outlier.until.Load() == 0 && w.load.answered.Load() == 0 && w.load.busy.Load() == 0
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	count := func(desc *prometheus.Desc, value uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), labels...)
	}
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	services := make(map[*state]bool)
	targets := make(map[[2]string]bool)
	for _, s := range c.registry.held() {
		name := s.config.Name
		for window := Window(1); window < Windows && !services[s.state]; window++ {
			w := &s.state.windows[window]
			if window > 1 && w.idle() {
				continue
			}
			count(c.retries, w.retries.Load(), name, arms[window])
			count(c.hedges, w.hedges.Load(), name, arms[window])
			count(c.refusals, w.refusals.Load(), name, arms[window])
			count(c.opened, w.breaker.opened.Load(), name, arms[window])
			gauge(c.breaker, float64(w.breaker.now()), name, arms[window])
			gauge(c.pending, float64(w.pending.Load()), name, arms[window])
			gauge(c.budget, float64(w.budget.tokens.Load())/wholeToken, name, arms[window])
		}
		services[s.state] = true
		set := s.current.Load()
		for i := 0; set != nil && i < len(set.members); i++ {
			m := &set.members[i]
			at := [2]string{name, m.target.key.scheme + "://" + m.target.key.host + m.target.key.prefix}
			if !targets[at] {
				targets[at] = true
				c.target(m, at, count, gauge)
			}
		}
	}
}

func (c *Collector) target(
	m *member, at [2]string, count func(*prometheus.Desc, uint64, ...string), gauge func(*prometheus.Desc, float64, ...string),
) {
	truth := map[bool]float64{true: 1}
	gauge(c.healthy, truth[m.healthy()], at[0], at[1])
	if idle, open := m.target.connections(); open >= 0 {
		gauge(c.connections, float64(idle), at[0], at[1], "idle")
		gauge(c.connections, float64(open-idle), at[0], at[1], "busy")
	}
	now := c.registry.clock.now()
	for window := Window(1); window < Windows; window++ {
		w := &m.target.windows[window]
		if window > 1 && w.idle() {
			continue
		}
		gauge(c.ejected, truth[w.outlier.until.Load() != 0], at[0], at[1], arms[window])
		count(c.ejections, w.outlier.total.Load(), at[0], at[1], arms[window])
		gauge(c.running, float64(w.load.running()), at[0], at[1], arms[window])
		gauge(c.waiting, float64(w.load.waiting()), at[0], at[1], arms[window])
		gauge(c.latency, w.load.mean.at(now, false)/1e9, at[0], at[1], arms[window])
	}
}
