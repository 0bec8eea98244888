package telemetry

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"

	"tidegate.dev/controlplane/store"
)

const (
	defaultWindow = 15 * time.Minute
	maxWindow     = 30 * 24 * time.Hour
	// resolution is what telemetry is stored in.
	resolution = 5 * time.Second
	// pointLimit bounds an answer, over all of its series.
	pointLimit = 20_000
)

// ErrQuery says that a question cannot be answered as it is asked; the text says why.
var ErrQuery = errors.New("the query cannot be answered")

// Query asks for the requests of a fleet.
type Query struct {
	FleetID int64
	// Window is how far back from now, 15 minutes by default and at most 30 days.
	Window time.Duration
	// Step is the length of a point, a multiple of a second; it is rounded up to a multiple of 5 s, in which telemetry is
	// stored, or of a minute where the query names agents. By default the window is one point.
	Step time.Duration
	// GroupBy says what to keep apart: "agent", "revision", "arm", "route", "status_class", "reason".
	GroupBy []string
	// Agent (an id), Revision, Arm ("stable" or "candidate") and Route choose; zero values choose all. Agents are kept apart for
	// three days.
	Agent    string
	Revision int64
	Arm      string
	Route    string
}

// Series is one group's course.
type Series struct {
	// Labels are the values of what was kept apart.
	Labels map[string]string
	Points []Point
}

// Point is what was counted in the step that begins at Time. Steps without requests have none.
type Point struct {
	Time     time.Time
	Requests int64
	// P50, P95, P99 are quantiles of the durations, as exact as the buckets of agents' histograms (19 % wide).
	P50, P95, P99 time.Duration
}

// Querier answers questions about telemetry. It is safe for concurrent use.
type Querier struct{ store *store.Store }

// NewQuerier returns a querier of the store.
func NewQuerier(s *store.Store) *Querier { return &Querier{store: s} }

// Query answers with one series a group, sorted. ErrQuery: it asks for what there is not, or for too much.
func (q *Querier) Query(ctx context.Context, query Query) (series []Series, err error) {
	prepared, err := prepare(query)
	if err != nil {
		return nil, err
	}
	var points []store.TelemetryPoint
	err = q.store.View(ctx, func(tx *store.Tx) error {
		now, err := tx.Now(ctx)
		if err != nil {
			return err
		}
		prepared.Until = now.Add(prepared.resolution)
		prepared.Since, prepared.Step = beginning(now, query.Window, prepared.Step, prepared.resolution)
		if prepared.namesAgents() {
			points, err = prepared.pointsOfAgents(ctx, tx)
		} else {
			points, err = tx.QueryTelemetry(ctx, prepared.TelemetryQuery)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(points) > pointLimit {
		return nil, fmt.Errorf("%w: it has more than %d points; ask for longer steps or keep less apart", ErrQuery, pointLimit)
	}
	return seriesOf(points, prepared), nil
}

// preparedQuery is a query that was checked.
type preparedQuery struct {
	store.TelemetryQuery

	byAgent    bool
	agent      string
	resolution time.Duration
}

func (p *preparedQuery) namesAgents() bool { return p.byAgent || p.agent != "" }

// prepare checks the query and fills in its defaults, but for the times.
func prepare(query Query) (*preparedQuery, error) {
	if query.Window == 0 {
		query.Window = defaultWindow
	}
	if query.Step == 0 {
		query.Step = query.Window
	}
	if query.Window < 0 || query.Window > maxWindow || query.Step < 0 {
		return nil, fmt.Errorf("%w: the window must be at most %v, and the step above 0", ErrQuery, maxWindow)
	}
	prepared := &preparedQuery{agent: query.Agent, resolution: resolution, TelemetryQuery: store.TelemetryQuery{
		FleetID: query.FleetID, Limit: pointLimit + 1, Revision: query.Revision, Route: query.Route,
	}}
	if err := prepared.keepApart(query.GroupBy); err != nil {
		return nil, err
	}
	if prepared.namesAgents() {
		prepared.resolution = minuteLength
	}
	prepared.Step = (query.Step + prepared.resolution - 1) / prepared.resolution * prepared.resolution
	if query.Window/prepared.Step > pointLimit {
		return nil, fmt.Errorf("%w: a series would have more than %d points", ErrQuery, pointLimit)
	}
	for arm, name := range armNames {
		if query.Arm == name {
			prepared.Arm = int16(arm)
		}
	}
	if query.Arm != "" && prepared.Arm == 0 {
		return nil, fmt.Errorf("%w: there is no arm %q", ErrQuery, query.Arm)
	}
	return prepared, nil
}

func (p *preparedQuery) keepApart(groupBy []string) error {
	switches := map[string]*bool{
		"agent": &p.byAgent, "revision": &p.ByRevision, "arm": &p.ByArm, "route": &p.ByRoute,
		"status_class": &p.ByStatusClass, "reason": &p.ByReason,
	}
	for _, name := range groupBy {
		if switches[name] == nil {
			return fmt.Errorf("%w: telemetry is not counted by %q", ErrQuery, name)
		}
		*switches[name] = true
	}
	return nil
}

// beginning is where the first step begins, and how long steps are: a window of one step is widened so that all of it is one
// point. Steps of a chart lie at the same moments in every query.
func beginning(now time.Time, window, step, resolution time.Duration) (time.Time, time.Duration) {
	if window == 0 {
		window = defaultWindow
	}
	if step >= window {
		return now.Add(-window).Truncate(resolution), step + 3*resolution
	}
	return now.Add(-window).Truncate(step), step
}

var armNames = map[agentv1.Arm]string{agentv1.Arm_ARM_STABLE: "stable", agentv1.Arm_ARM_CANDIDATE: "candidate"}

// seriesOf splits the points, which come sorted by group, into series.
func seriesOf(points []store.TelemetryPoint, query *preparedQuery) (series []Series) {
	for i := range points {
		point := &points[i]
		if i == 0 || point.Key != points[i-1].Key {
			series = append(series, Series{Labels: labelsOf(point.Key, query)})
		}
		last := &series[len(series)-1]
		last.Points = append(last.Points, Point{
			Time: point.Time, Requests: point.Requests,
			P50: quantile(&point.Histogram, 0.5), P95: quantile(&point.Histogram, 0.95), P99: quantile(&point.Histogram, 0.99),
		})
	}
	return series
}

func labelsOf(key store.TelemetryKey, query *preparedQuery) map[string]string {
	labels := map[string]string{}
	for _, label := range []struct {
		kept        bool
		name, value string
	}{
		{query.byAgent, "agent", key.AgentID},
		{query.ByRevision, "revision", strconv.FormatInt(key.Revision, 10)},
		{query.ByArm, "arm", armNames[agentv1.Arm(key.Arm)]},
		{query.ByRoute, "route", key.Route},
		{query.ByStatusClass, "status_class", strconv.Itoa(int(key.StatusClass))},
		{query.ByReason, "reason", key.Reason},
	} {
		if label.kept {
			labels[label.name] = label.value
		}
	}
	return labels
}
