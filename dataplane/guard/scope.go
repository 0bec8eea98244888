package guard

import (
	"strings"

	"tidegate.dev/dataplane/telemetry"
	"tidegate.dev/proto/evidence"
)

// candidateArm is telemetry's number of the candidate's arm; stable's is 1.
const candidateArm = 2

// scope is what is compared together: one route, or all of them.
type scope struct {
	route    string
	requests evidence.Tally
	metrics  map[string]*comparison
}

// comparison is one metric of a scope.
type comparison struct {
	bad     evidence.Tally // only the bad ones are counted here
	peak    float64
	changed bool
}

func newScope(route string) *scope {
	return &scope{route: route, metrics: make(map[string]*comparison)}
}

// metricOf says by which metric a request of the cell was bad; empty: by none.
func metricOf(key telemetry.CellKey) string {
	switch {
	case key.Reason != "":
		return gatewayPrefix + key.Reason
	case key.StatusClass == 5:
		return upstream5xx
	default:
		return ""
	}
}

// upstream5xx is the metric of what upstreams answered with 5xx.
const upstream5xx = "upstream_5xx"

// gatewayPrefix begins the metrics of what the gateway answered by itself.
const gatewayPrefix = "gateway."

// slowerPrefix begins the metrics of requests that were slower than a quantile of stable's.
const slowerPrefix = "slower."

// add counts requests, which were bad by the metric unless that is empty. Those that have aged were counted before.
func (s *scope) add(key telemetry.CellKey, metric string, requests uint64, slower telemetry.Slower) {
	if !key.Aged {
		s.requests.Add(batch(key, evidence.Arm{Requests: requests}))
	}
	if metric != "" {
		s.addBad(metric, key, requests)
	}
	s.addSlower(key, slower)
}

// addOverdue counts requests that run still and are slow.
func (s *scope) addOverdue(key telemetry.CellKey, slower telemetry.Slower) {
	s.requests.Add(batch(key, evidence.Arm{Requests: slower[0]}))
	s.addSlower(key, slower)
}

func (s *scope) addSlower(key telemetry.CellKey, slower telemetry.Slower) {
	for i, n := range slower {
		if n > 0 {
			s.addBad(slowerPrefix+telemetry.Quantiles[i].Name, key, n)
		}
	}
}

// comparison is that of a metric, which is made if need be.
func (s *scope) comparison(metric string) *comparison {
	c := s.metrics[metric]
	if c == nil {
		c = new(comparison)
		s.metrics[metric] = c
	}
	return c
}

func (s *scope) addBad(metric string, key telemetry.CellKey, requests uint64) {
	c := s.comparison(metric)
	c.bad.Add(batch(key, evidence.Arm{Bad: requests}))
	c.changed = true
}

// addUnits counts units, which were bad by the metric or seen at all.
func (s *scope) addUnits(key telemetry.UnitKey, units uint64) {
	of := telemetry.CellKey{SharePPM: key.SharePPM, Arm: key.Arm}
	if key.Metric == telemetry.MetricRequests {
		s.requests.Add(batch(of, evidence.Arm{Requests: units}))
		return
	}
	s.addBad(key.Metric, of, units)
}

func batch(key telemetry.CellKey, arm evidence.Arm) evidence.Batch {
	b := evidence.Batch{SharePPM: key.SharePPM, Control: arm}
	if key.Arm == candidateArm {
		b.Candidate, b.Control = arm, evidence.Arm{}
	}
	return b
}

// compare judges the metrics in which something happened since the last look: the evidence of the others stands.
func (s *scope) compare(candidate Candidate, test *evidence.Test, alpha float64) *Finding {
	for metric, c := range s.metrics {
		if !c.changed || s.route != "" && candidate.expects(s.route, metric) > 0 {
			continue
		}
		c.changed = false
		tally := append(evidence.Tally(nil), s.requests...)
		tally.Merge(c.bad)
		decision := test.Judge(tally, c.peak, evidence.Terms{Alpha: alpha})
		c.peak = decision.LogPeak
		if decision.Verdict == evidence.Fail {
			return s.finding(candidate, metric, decision)
		}
	}
	return nil
}

// judgeExpected holds what the change means to bring about on a route against the share that it named.
func (s *scope) judgeExpected(candidate Candidate) *Finding {
	for metric, c := range s.metrics {
		expected := candidate.expects(s.route, metric)
		if s.route == "" || expected == 0 {
			continue
		}
		arm, _ := s.requests.Arms()
		bad, _ := c.bad.Arms()
		arm.Bad = bad.Bad
		if decision := expected.Judge(arm); decision.Verdict == evidence.Fail {
			return s.finding(candidate, metric, decision)
		}
	}
	return nil
}

// judgeAlone holds a route that only the candidate has against the absolute gate.
func (s *scope) judgeAlone(candidate Candidate) *Finding {
	arm, _ := s.requests.Arms()
	for metric, c := range s.metrics {
		if strings.HasPrefix(metric, slowerPrefix) || candidate.expects(s.route, metric) > 0 {
			continue
		}
		bad, _ := c.bad.Arms()
		arm.Bad += bad.Bad
	}
	decision := evidence.DefaultAbsoluteGate().Judge(arm)
	if decision.Verdict != evidence.Fail {
		return nil
	}
	return s.finding(candidate, "bad", decision)
}

func (s *scope) finding(candidate Candidate, metric string, decision evidence.Decision) *Finding {
	where := strings.TrimPrefix(metric, gatewayPrefix)
	if metric == upstream5xx {
		where = "5xx"
	}
	if quantile, ok := strings.CutPrefix(metric, slowerPrefix); ok {
		where = "slower than stable's " + quantile
	}
	if s.route != "" {
		where += " on route " + s.route
	}
	explain := decision.Explain
	if candidate.Sticky {
		explain = decision.ExplainUnits
	}
	return &Finding{Metric: metric, Route: s.route, Decision: decision, Explanation: explain(where)}
}
