package admin

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// metrics are what the API measures of itself.
type metrics struct {
	calls *prometheus.HistogramVec
}

// newMetrics registers the metrics; nil measures without anybody seeing it.
func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{calls: prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "tidegate_admin_call_duration_seconds", Help: "Calls of the admin API, by method and gRPC code.",
		Buckets: []float64{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30},
	}, []string{"method", "code"})}
	if registerer == nil {
		return m, nil
	}
	return m, registerer.Register(m.calls)
}

// measured notes one call. fullMethod is one of ours, so the labels are bounded.
func (m *metrics) measured(fullMethod string, began time.Time, err error) {
	code := codes.OK
	if err != nil {
		var own *problem
		if code = status.Code(err); errors.As(err, &own) {
			code = own.kind.code
		}
	}
	m.calls.WithLabelValues(fullMethod, code.String()).Observe(time.Since(began).Seconds())
}
