package proxy

import (
	"github.com/prometheus/client_golang/prometheus"

	"tidegate.dev/dataplane/listener"
)

// connectionMetrics show Prometheus what becomes of connections before the first request.
type connectionMetrics struct {
	open, handshaking, accepted, acceptErrors, refused, handshakes, failed, excesses *prometheus.Desc
}

func newConnectionMetrics() connectionMetrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("tidegate_"+name, help, labels, nil)
	}
	return connectionMetrics{
		open:         desc("connections", "Clients' connections that are open, tunnels included."),
		handshaking:  desc("tls_handshakes_in_progress", "TLS handshakes that are under way or wait for their turn."),
		accepted:     desc("connections_accepted_total", "Connections that were admitted."),
		acceptErrors: desc("accept_errors_total", "Errors of accepting connections."),
		refused:      desc("connections_refused_total", "Connections that were closed at once, by cause.", "cause"),
		handshakes:   desc("tls_handshakes_total", "TLS handshakes that were done; resumed ones took up an earlier session.", "resumed"),
		failed:       desc("tls_handshake_failures_total", "TLS handshakes that failed, by cause.", "cause"),
		excesses:     desc("http2_excesses_total", "Connections of HTTP/2 that were ended since the client did too much of something.", "kind"),
	}
}

func (m *connectionMetrics) describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{m.open, m.handshaking, m.accepted, m.acceptErrors, m.refused, m.handshakes, m.failed, m.excesses} {
		out <- desc
	}
}

func (m *connectionMetrics) collect(counts *listener.Counts, out chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, value int64) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value))
	}
	counter := func(desc *prometheus.Desc, value uint64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(value), labels...)
	}
	gauge(m.open, counts.Open)
	gauge(m.handshaking, counts.Handshaking)
	counter(m.accepted, counts.Accepted)
	counter(m.acceptErrors, counts.AcceptErrors)
	counter(m.handshakes, counts.Handshakes-counts.Resumed, "false")
	counter(m.handshakes, counts.Resumed, "true")
	for _, by := range []struct {
		desc   *prometheus.Desc
		causes map[string]uint64
	}{{m.refused, counts.Refused}, {m.failed, counts.Failed}, {m.excesses, counts.Excesses}} {
		for cause, value := range by.causes {
			counter(by.desc, value, cause)
		}
	}
}
