package rollout

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"tidegate.dev/proto/evidence"
)

// Names of metrics. Those that the gateway's own answers count are gatewayPrefix and the reason.
const (
	metricRequests    = "requests"
	metricUpstream5xx = "upstream_5xx"
	gatewayPrefix     = "gateway."
	// slowerPrefix is followed by the quantile of stable's durations that requests were slower than.
	slowerPrefix = "slower."
	// metricErrors is 5xx and what the gateway answered itself, together: what a route without control is judged by.
	metricErrors = "errors"
)

// What alpha is divided over at most. There are fewer reasons than that; of routes, those where anything went wrong first are
// judged one by one, and all of them in the totals.
const (
	judgedMetrics   = 32
	maxJudgedRoutes = 100
)

// recordEvery bounds how often unchanged verdicts with new counts are written.
const recordEvery = time.Second

// unbounded is a ratio above which it is not worth saying that it is bounded.
const unbounded = 1e9

// comparison names one comparison: a metric on a route, or over all.
type comparison struct{ route, metric string }

// Look judges as Decide does, and says what came out of every comparison.
func Look(now time.Time, state State) []Verdict {
	d := newDecision(now, state)
	d.closely = true
	d.judge()
	return d.looked
}

// judge looks at every comparison. It returns what is to be recorded and, if one fails, why.
func (d *decision) judge() (record []Verdict, why string) {
	if !d.begun() || d.Rollout.StableRevision == 0 || d.step().ShadowPPM > 0 {
		return nil, ""
	}
	test, err := evidence.NewTest(evidence.Config{Tolerance: d.Plan.Tolerance})
	if err != nil {
		return nil, "" // the strategy was validated; without a test nothing is judged
	}
	j := newJudging(d, test)
	d.judging = j
	for _, c := range j.comparisons() {
		if d.only != nil && !d.only[c.metric] {
			continue
		}
		verdict := j.compare(c)
		if worth := d.worthRecording(verdict); worth || d.closely {
			if !d.roughly {
				j.bound(&verdict)
			}
			if worth {
				record = append(record, verdict)
			}
		}
		d.looked = append(d.looked, verdict)
	}
	return record, d.worst().Explanation
}

// worst is the failed comparison of this look that failed most clearly; the zero value if none has.
func (d *decision) worst() (worst Verdict) {
	for _, verdict := range d.looked {
		if verdict.Verdict == evidence.Fail.String() && (worst.Verdict == "" || margin(verdict) > margin(worst)) {
			worst = verdict
		}
	}
	return worst
}

func margin(v Verdict) float64 { return v.LogPeak - v.LogThreshold }

// worthRecording leaves out what is known already, and bounds how often counts alone are written.
func (d *decision) worthRecording(verdict Verdict) bool {
	known := d.recorded(verdict.Route, verdict.Metric)
	if known == nil || known.Verdict != verdict.Verdict {
		return true
	}
	same := *known
	same.At, same.LogPeak, same.RatioLower, same.RatioUpper = verdict.At, verdict.LogPeak, 0, 0
	return same != verdict && d.now.Sub(known.At).Abs() >= recordEvery
}

// recorded is what was said last of a comparison; nil: nothing.
func (d *decision) recorded(route, metric string) *Verdict {
	if d.said == nil {
		d.said = make(map[comparison]*Verdict, len(d.Verdicts))
		for i := range d.Verdicts {
			d.said[comparison{d.Verdicts[i].Route, d.Verdicts[i].Metric}] = &d.Verdicts[i]
		}
	}
	return d.said[comparison{route, metric}]
}

// judging is one look at the sums.
type judging struct {
	*decision
	test   *evidence.Test
	levels evidence.Levels
	terms  evidence.Terms
	// counts of each comparison, by share. Those of requests have the metric "requests".
	counts map[comparison]map[int32]arms
	// alone are the routes that only the candidate has.
	alone map[string]bool
	// expected are the shares that the change means to bring about.
	expected map[comparison]float64
}

type arms struct{ candidate, control int64 }

func newJudging(d *decision, test *evidence.Test) *judging {
	spending := evidence.Spending{
		Alpha: d.Plan.Alpha, Agents: max(d.Rollout.JudgedAgents, 1), Metrics: judgedMetrics, Routes: d.Rollout.JudgedRoutes,
	}
	j := &judging{decision: d, test: test, levels: spending.Fleet(), counts: map[comparison]map[int32]arms{}, alone: map[string]bool{}, expected: map[comparison]float64{}}
	for _, e := range d.Rollout.Expected {
		j.expected[comparison{e.Route, e.Metric}] = e.Share
	}
	j.terms.BakeOver = !d.Rollout.ServingAt.IsZero() && !d.now.Before(d.Rollout.ServingAt.Add(d.step().Bake))
	j.terms.MinimumRequests = uint64(max(d.step().MinimumSamples, 0))
	j.addAll(false)
	j.takeAloneFromTotals()
	j.takeExpectedFromTotals()
	j.addAll(true)
	return j
}

// addAll adds the sums of units, or those of requests.
func (j *judging) addAll(units bool) {
	for _, sum := range j.Sums {
		if sum.Units != units {
			continue
		}
		j.add(comparison{sum.Route, sum.Metric}, sum.SharePPM, arms{sum.Candidate, sum.Control})
		if !sum.InStable && sum.Route != "" {
			j.alone[sum.Route] = true
		}
	}
}

func (j *judging) add(c comparison, share int32, more arms) {
	if j.counts[c] == nil {
		j.counts[c] = map[int32]arms{}
	}
	have := j.counts[c][share]
	j.counts[c][share] = arms{have.candidate + more.candidate, have.control + more.control}
}

// takeAloneFromTotals leaves only what has a control in the totals: whatever goes wrong on a route that stable lacks would
// count against the candidate alone.
func (j *judging) takeAloneFromTotals() {
	for _, sum := range j.NewRoutes {
		if sum.Units {
			continue // the agents have left them out
		}
		j.add(comparison{"", sum.Metric}, sum.SharePPM, arms{-sum.Candidate, -sum.Control})
	}
}

// takeExpectedFromTotals leaves what the change means to bring about out of the totals. It is held against its own limit.
func (j *judging) takeExpectedFromTotals() {
	for c := range j.expected {
		for share, count := range j.counts[c] {
			if !j.alone[c.route] {
				j.add(comparison{"", c.metric}, share, arms{-count.candidate, -count.control})
			}
		}
	}
}

// comparisons lists what is judged: 5xx in total always, else what went wrong at all, the totals first. Which ones get a place
// when there are more than alpha was divided over depends on both arms together, never on one.
func (j *judging) comparisons() []comparison {
	metrics, routes := j.places()
	list := []comparison{{"", metricUpstream5xx}}
	for c := range j.counts {
		switch {
		case j.expected[c] > 0:
			list = append(list, c)
		case c.metric == metricRequests, c == list[0], j.alone[c.route], !metrics[c.metric]:
		case c.route == "" || routes[c.route]:
			list = append(list, c)
		}
	}
	for route := range j.alone {
		list = append(list, comparison{route, metricErrors})
	}
	slices.SortFunc(list, func(a, b comparison) int {
		return cmp.Or(strings.Compare(a.route, b.route), strings.Compare(a.metric, b.metric))
	})
	return list
}

// places gives out the places among the judged: first to those that had one, then by how many requests were bad.
func (j *judging) places() (metrics, routes map[string]bool) {
	metrics, routes = map[string]bool{metricUpstream5xx: true}, map[string]bool{}
	for _, verdict := range j.Verdicts {
		if verdict.Metric == metricErrors {
			continue
		}
		metrics[verdict.Metric] = true
		if verdict.Route != "" {
			routes[verdict.Route] = true
		}
	}
	byMetric, byRoute := map[string]int64{}, map[string]int64{}
	for c, shares := range j.counts {
		if c.metric == metricRequests || j.alone[c.route] {
			continue
		}
		for _, count := range shares {
			switch {
			case c.route == "":
				byMetric[c.metric] += count.candidate + count.control
			case c.metric == slowerPrefix+"p50", c.metric == slowerPrefix+"p95":
				// Every busy route has such requests. They do not take the place of routes where something goes wrong.
			default:
				byRoute[c.route] += count.candidate + count.control
			}
		}
	}
	fill(metrics, byMetric, judgedMetrics)
	fill(routes, byRoute, j.Rollout.JudgedRoutes)
	return metrics, routes
}

func fill(places map[string]bool, wanted map[string]int64, most int) {
	names := slices.SortedFunc(maps.Keys(wanted), func(a, b string) int {
		return cmp.Or(cmp.Compare(wanted[b], wanted[a]), strings.Compare(a, b))
	})
	for _, name := range names {
		if len(places) >= most {
			return
		}
		if wanted[name] > 0 {
			places[name] = true
		}
	}
}

func (j *judging) compare(c comparison) Verdict {
	if c.metric == metricErrors {
		return j.judgeAlone(c)
	}
	if limit, ok := j.expected[c]; ok {
		return j.judgeExpected(c, limit)
	}
	tally := j.tally(c)
	terms := j.terms
	terms.Alpha = j.levels.Total
	if c.route != "" {
		terms.Alpha = j.levels.Route
	}
	var peak float64
	if known := j.recorded(c.route, c.metric); known != nil {
		peak = known.LogPeak
	}
	decision := j.test.Judge(tally, peak, terms)
	return verdictOf(c, decision, j.Plan.explain(decision, c.label()), j.now)
}

// bound adds the interval of the ratio, which costs more than the rest and decides nothing.
func (j *judging) bound(verdict *Verdict) {
	if _, ok := j.expected[comparison{verdict.Route, verdict.Metric}]; ok || verdict.Metric == metricErrors {
		return
	}
	alpha := j.levels.Total
	if verdict.Route != "" {
		alpha = j.levels.Route
	}
	interval := j.test.Interval(j.tally(comparison{verdict.Route, verdict.Metric}), alpha)
	verdict.RatioLower = interval.Lower
	if interval.Upper < unbounded {
		verdict.RatioUpper = interval.Upper
	}
}

// judgeAlone judges a route that only the candidate has.
func (j *judging) judgeAlone(c comparison) Verdict {
	var arm evidence.Arm
	for other, shares := range j.counts {
		if other.route != c.route {
			continue
		}
		for _, count := range shares {
			switch {
			case j.expected[other] > 0:
			case other.metric == metricRequests:
				arm.Requests += unsigned(count.candidate)
			case !strings.HasPrefix(other.metric, slowerPrefix):
				arm.Bad += unsigned(count.candidate)
			}
		}
	}
	decision := evidence.DefaultAbsoluteGate().Judge(arm)
	return verdictOf(c, decision, j.Plan.explain(decision, "errors on the new route "+c.route), j.now)
}

// judgeExpected holds what the change means to bring about against the share that it named.
func (j *judging) judgeExpected(c comparison, limit float64) Verdict {
	var arm evidence.Arm
	for _, count := range j.counts[c] {
		arm.Bad += unsigned(count.candidate)
	}
	for _, count := range j.counts[comparison{c.route, metricRequests}] {
		arm.Requests += unsigned(count.candidate)
	}
	decision := evidence.Expected(limit).Judge(arm)
	return verdictOf(c, decision, j.Plan.explain(decision, "expected "+c.label()), j.now)
}

func (j *judging) tally(c comparison) evidence.Tally {
	bad, requests := j.counts[c], j.counts[comparison{c.route, metricRequests}]
	shares := map[int32]bool{}
	for share := range bad {
		shares[share] = true
	}
	for share := range requests {
		shares[share] = true
	}
	tally := make(evidence.Tally, 0, len(shares))
	for _, share := range slices.Sorted(maps.Keys(shares)) {
		tally = append(tally, evidence.Batch{
			SharePPM:  uint32(share),
			Candidate: evidence.Arm{Requests: unsigned(requests[share].candidate), Bad: unsigned(bad[share].candidate)},
			Control:   evidence.Arm{Requests: unsigned(requests[share].control), Bad: unsigned(bad[share].control)},
		})
	}
	return tally
}

func unsigned(n int64) uint64 { return uint64(max(n, 0)) }

// label is the metric as people say it.
func (c comparison) label() string {
	label := strings.TrimPrefix(c.metric, gatewayPrefix)
	if c.metric == metricUpstream5xx {
		label = "5xx"
	}
	if quantile, ok := strings.CutPrefix(c.metric, slowerPrefix); ok {
		label = "slower than stable's " + quantile
	}
	if c.route != "" {
		label += " on route " + c.route
	}
	return label
}

func verdictOf(c comparison, d evidence.Decision, explanation string, now time.Time) Verdict {
	return Verdict{
		Metric: c.metric, Route: c.route,
		CandidateBad: int64(d.Candidate.Bad), CandidateTotal: int64(d.Candidate.Requests),
		ControlBad: int64(d.Control.Bad), ControlTotal: int64(d.Control.Requests),
		LogEvidence: d.LogEvidence, LogPeak: d.LogPeak, LogThreshold: d.LogThreshold,
		Verdict: d.Verdict.String(), Explanation: explanation, At: now,
	}
}

// summary says how the comparison of 5xx in total stands at this look.
func (d *decision) summary() string {
	for _, verdict := range d.looked {
		if verdict.Route == "" && verdict.Metric == metricUpstream5xx {
			return verdict.Explanation
		}
	}
	return ""
}
