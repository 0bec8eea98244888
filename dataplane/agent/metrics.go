package agent

import "github.com/prometheus/client_golang/prometheus"

// Collector shows to Prometheus what the agent serves and whether it is in touch.
type Collector struct {
	agent  *Agent
	gauges []gauge
}

type gauge struct {
	description *prometheus.Desc
	value       func(Status) float64
}

// NewCollector makes a collector for an agent.
func NewCollector(a *Agent) *Collector {
	c := &Collector{agent: a}
	for _, g := range []struct {
		name, help string
		value      func(Status) float64
	}{
		{"connected", "1 while the configuration stream is open.", func(s Status) float64 { return number(s.Connected) }},
		{"configured", "1 when a revision is served.", func(s Status) float64 { return number(s.Configured) }},
		{"stable_revision", "The stable revision that is served.", func(s Status) float64 { return float64(s.StableRevision) }},
		{"candidate_revision", "The candidate that is served; 0: none.", func(s Status) float64 { return float64(s.CandidateRevision) }},
		{"candidate_share", "The probability that a request is the candidate's.", func(s Status) float64 { return float64(s.CandidateSharePPM) / 1e6 }},
		{"generation", "The generation of the last desired state that was accepted.", func(s Status) float64 { return float64(s.Generation) }},
		{"lane_sequence", "Up to where the fast lane is held.", func(s Status) float64 { return float64(s.LaneSequence) }},
		{"refusing", "1 when the last desired state was refused.", func(s Status) float64 { return number(s.Refused != "") }},
		{"dropped_revisions", "Revisions that the agent took back by itself and remembers.", func(s Status) float64 { return float64(len(s.Dropped)) }},
	} {
		c.gauges = append(c.gauges, gauge{prometheus.NewDesc("tidegate_agent_"+g.name, g.help, nil, nil), g.value})
	}
	return c
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	for _, g := range c.gauges {
		out <- g.description
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	status := c.agent.Status()
	for _, g := range c.gauges {
		out <- prometheus.MustNewConstMetric(g.description, prometheus.GaugeValue, g.value(status))
	}
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
