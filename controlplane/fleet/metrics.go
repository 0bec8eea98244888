package fleet

import "github.com/prometheus/client_golang/prometheus"

// metrics are what this replica shows of its agents.
type metrics struct {
	streams          prometheus.GaugeFunc
	sessions         prometheus.Counter
	acknowledgements *prometheus.CounterVec
	contentBytes     prometheus.Counter
	resumed          prometheus.Counter
	refused          prometheus.Counter
	enrolments       prometheus.Counter
}

func newMetrics(open *streams) *metrics {
	return &metrics{
		streams: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "tidegate_agents_connected", Help: "Agents whose configuration stream this replica holds.",
		}, func() float64 { return float64(open.agents()) }),
		sessions: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tidegate_agent_sessions_total", Help: "Configuration streams that agents began.",
		}),
		acknowledgements: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tidegate_agent_acknowledgements_total", Help: "Answers of agents to desired states, by status: serving, refused or dropped.",
		}, []string{"status"}),
		contentBytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tidegate_agent_content_bytes_total", Help: "Bytes of content and fast lane that were sent to agents.",
		}),
		resumed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tidegate_agent_transfers_resumed_total", Help: "Transfers of content that went on where a stream was cut.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tidegate_agent_streams_refused_total", Help: "Streams of agents that were told to come back later, since too many came at once.",
		}),
		enrolments: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "tidegate_agent_enrolments_total", Help: "Agents that joined.",
		}),
	}
}

// Metrics returns what to register with Prometheus.
func (s *Server) Metrics() []prometheus.Collector {
	m := s.metrics
	return []prometheus.Collector{m.streams, m.sessions, m.acknowledgements, m.contentBytes, m.resumed, m.refused, m.enrolments}
}
