package discovery

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Collector gives a board's statuses to Prometheus.
type Collector struct {
	board    *Board
	targets  *prometheus.Desc
	failing  *prometheus.Desc
	failures *prometheus.Desc
	success  *prometheus.Desc
}

// NewCollector makes a collector.
func NewCollector(board *Board) *Collector {
	describe := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("tidegate_discovery_"+name, help, []string{"kind", "source"}, nil)
	}
	return &Collector{
		board:   board,
		targets: describe("targets", "How many targets a source of targets found last."),
		failing: describe("failing",
			"1 while a source of targets has no good answer, so that the last targets stay; else 0."),
		failures: describe("failures_total", "How often a source of targets had no good answer."),
		success: describe("last_success_timestamp_seconds",
			"When a source of targets had an answer last, in seconds since 1970; 0 for never."),
	}
}

// Describe is [prometheus.Collector]'s.
func (c *Collector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.targets, c.failing, c.failures, c.success} {
		descriptions <- d
	}
}

// Collect is [prometheus.Collector]'s.
func (c *Collector) Collect(metrics chan<- prometheus.Metric) {
	for _, s := range worst(c.board.Statuses()) {
		send := func(d *prometheus.Desc, kind prometheus.ValueType, value float64) {
			metrics <- prometheus.MustNewConstMetric(d, kind, value, string(s.Kind), s.Source)
		}
		failing, success := 0.0, 0.0
		if s.LastError != "" {
			failing = 1
		}
		if !s.LastSuccess.IsZero() {
			success = float64(s.LastSuccess.UnixNano()) / float64(time.Second)
		}
		send(c.targets, prometheus.GaugeValue, float64(s.Targets))
		send(c.failing, prometheus.GaugeValue, failing)
		send(c.failures, prometheus.CounterValue, float64(s.Failures))
		send(c.success, prometheus.GaugeValue, success)
	}
}

// worst makes one status of those that look for the same with other settings: two revisions may differ in how often they ask.
// The statuses are sorted by source.
func worst(statuses []Status) (merged []Status) {
	for _, s := range statuses {
		last := len(merged) - 1
		if last < 0 || merged[last].Source != s.Source {
			merged = append(merged, s)
			continue
		}
		m := &merged[last]
		m.Targets, m.Failures = min(m.Targets, s.Targets), m.Failures+s.Failures
		if m.LastError == "" {
			m.LastError = s.LastError
		}
		if s.LastSuccess.Before(m.LastSuccess) {
			m.LastSuccess = s.LastSuccess
		}
	}
	return merged
}
