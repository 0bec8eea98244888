package acme

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tidegate.dev/controlplane/store"
)

// Outcomes of looking after a certificate.
const (
	outcomeIssued = "issued"
	outcomeFailed = "failed"
	outcomeFresh  = "fresh"
)

const (
	// overviewInterval is how old the figures of certificates may be.
	overviewInterval = 10 * time.Second
	// overviewLimit bounds how many certificates metrics show.
	overviewLimit = 10_000
)

// metrics are what a manager measures, and how all certificates stand.
type metrics struct {
	attempts *prometheus.CounterVec
	overview atomic.Pointer[[]store.ACMEOverview]

	notAfter, failures, state *prometheus.Desc
}

func newMetrics() *metrics {
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tidegate_acme_attempts_total",
			Help: "What this replica did for certificates: issued, failed, or found fresh.",
		}, []string{"outcome"}),
		notAfter: prometheus.NewDesc("tidegate_acme_certificate_not_after_timestamp_seconds",
			"When the certificate that agents show expires. Days left: (this - time()) / 86400.", []string{"fleet", "certificate"}, nil),
		failures: prometheus.NewDesc("tidegate_acme_certificate_failures",
			"Attempts to obtain the certificate since the last that succeeded.", []string{"fleet", "certificate"}, nil),
		state: prometheus.NewDesc("tidegate_acme_certificate_state",
			"1 for the state that the certificate is in: pending, issued or failed.", []string{"fleet", "certificate", "state"}, nil),
	}
	for _, outcome := range []string{outcomeIssued, outcomeFailed, outcomeFresh} {
		m.attempts.WithLabelValues(outcome)
	}
	return m
}

// Metrics returns the manager's collectors. The figures of certificates are the same in every replica.
func (m *Manager) Metrics() []prometheus.Collector {
	return []prometheus.Collector{m.metrics.attempts, m.metrics}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- m.notAfter
	descriptions <- m.failures
	descriptions <- m.state
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(found chan<- prometheus.Metric) {
	overview := m.overview.Load()
	if overview == nil {
		return
	}
	for _, c := range *overview {
		if c.NotAfter != nil {
			found <- prometheus.MustNewConstMetric(m.notAfter, prometheus.GaugeValue, float64(c.NotAfter.Unix()), c.Fleet, c.Name)
		}
		found <- prometheus.MustNewConstMetric(m.failures, prometheus.GaugeValue, float64(c.Attempts), c.Fleet, c.Name)
		found <- prometheus.MustNewConstMetric(m.state, prometheus.GaugeValue, 1, c.Fleet, c.Name, c.State)
	}
}

// overview reads how all certificates stand.
func (m *Manager) overview(ctx context.Context) {
	var overview []store.ACMEOverview
	err := m.inTx(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		overview, err = tx.ACMEOverview(ctx, overviewLimit)
		return err
	})
	if err == nil {
		m.metrics.overview.Store(&overview)
	} else if ctx.Err() == nil {
		m.config.Log.Warn("reading how certificates stand", "error", err)
	}
}
