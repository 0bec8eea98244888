package telemetry

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metricKey is a [CellKey] without what would make new time series at every revision.
type metricKey struct {
	arm, route, class, reason string
}

var armNames = [...]string{"", "stable", "candidate"}

func (c *Counters) metricKey(arm *Arm, cell *cell) metricKey {
	return metricKey{armNames[arm.Arm], cell.route, strconv.Itoa(int(cell.class &^ agedClass)), c.reasons[cell.reason]}
}

// Collector shows counters to Prometheus: tidegate_requests_total by arm, route, status class and reason, and
// tidegate_request_duration_seconds by arm and route. Neither ever goes back while the process lives.
type Collector struct {
	counters  *Counters
	requests  *prometheus.Desc
	durations *prometheus.Desc
	leftOut   *prometheus.Desc
}

// NewCollector makes a collector of what c counts.
func NewCollector(c *Counters) *Collector {
	return &Collector{
		counters: c,
		requests: prometheus.NewDesc("tidegate_requests_total",
			"Requests by the arm that decided them, route, class of the status (0: the client went away) and the gateway's reason.",
			[]string{"arm", "route", "status_class", "reason"}, nil),
		durations: prometheus.NewDesc("tidegate_request_duration_seconds",
			"How long exchanges took, from the head of the request to the end of the response.",
			[]string{"arm", "route"}, nil),
		leftOut: prometheus.NewDesc("tidegate_sticky_requests_left_out_total",
			"Requests whose unit a sticky coin was thrown for, and which is not counted, since there are more units than are kept apart.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.requests
	out <- c.durations
	out <- c.leftOut
}

type durationKey struct{ arm, route string }

// Collect implements prometheus.Collector.
func (c *Collector) Collect(out chan<- prometheus.Metric) {
	out <- prometheus.MustNewConstMetric(c.leftOut, prometheus.CounterValue, float64(c.counters.UnitsLeftOut()))
	durations := make(map[durationKey]*[Buckets]uint64)
	for key, buckets := range c.counters.totals() {
		var requests uint64
		sum := durations[durationKey{key.arm, key.route}]
		if sum == nil {
			sum = new([Buckets]uint64)
			durations[durationKey{key.arm, key.route}] = sum
		}
		for i, count := range buckets {
			requests += count
			sum[i] += count
		}
		out <- prometheus.MustNewConstMetric(c.requests, prometheus.CounterValue, float64(requests), key.arm, key.route, key.class, key.reason)
	}
	for key, buckets := range durations {
		count, seconds, shown := cumulative(buckets)
		out <- prometheus.MustNewConstHistogram(c.durations, count, seconds, shown, key.arm, key.route)
	}
}

// cumulative turns every fourth bound into a bucket of Prometheus. The sum of seconds is taken from the bounds: at most 19 %
// too much for any one request.
func cumulative(buckets *[Buckets]uint64) (count uint64, seconds float64, shown map[float64]uint64) {
	shown = make(map[float64]uint64, Buckets/4)
	for i, n := range buckets {
		count += n
		if i == Buckets-1 {
			seconds += float64(n) * Bound(i-1).Seconds()
			break
		}
		seconds += float64(n) * Bound(i).Seconds()
		if i%4 == 0 {
			shown[Bound(i).Seconds()] = count
		}
	}
	return count, seconds, shown
}

// totals sums what is counted now and what removed arms had counted.
func (c *Counters) totals() map[metricKey]*[Buckets]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	totals := make(map[metricKey]*[Buckets]uint64, len(c.past))
	for key, buckets := range c.past {
		sum := *buckets
		totals[key] = &sum
	}
	for _, arm := range c.arms {
		for cell := range arm.cells() {
			key := c.metricKey(arm, cell)
			sum := totals[key]
			if sum == nil {
				sum = new([Buckets]uint64)
				totals[key] = sum
			}
			cell.sum(sum)
		}
	}
	return totals
}
