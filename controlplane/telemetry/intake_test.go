package telemetry_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/telemetry"
	"tidegate.dev/proto/revision"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

const (
	stable    = agentv1.Arm_ARM_STABLE
	candidate = agentv1.Arm_ARM_CANDIDATE
)

func TestWhatIsSentThreeTimesIsCountedOnce(t *testing.T) {
	t.Parallel()
	i := newIntake(t)
	agent := i.agent("one")
	cell := &agentv1.Cell{
		Revision: 1, Arm: stable, Route: "orders", StatusClass: 2, Requests: 10, Buckets: []uint32{3, 95}, BucketCounts: []uint64{9, 1},
	}
	a, b := i.connect(i.replica(), agent), i.connect(i.replica(), agent)
	a.send("boot", 1, cell)
	a.send("boot", 1, cell)
	a.send("boot", 2, cell)
	a.stored("boot", 2)
	// The acknowledgement was lost; the agent sends again, to another replica.
	b.send("boot", 1, cell)
	b.send("boot", 2, cell)
	b.send("boot", 3, cell)
	b.stored("boot", 3)
	if got := requests(i.query(telemetry.Query{})); got != 30 {
		t.Errorf("%d requests were counted, of 30", got)
	}
	// Another life of the process begins at 1 again.
	b.send("next boot", 1, cell)
	b.stored("next boot", 1)
	if got := requests(i.query(telemetry.Query{})); got != 40 {
		t.Errorf("%d requests were counted, of 40", got)
	}
	var buckets []int64
	row := i.sql.QueryRow(t.Context(), "SELECT ARRAY[sum(buckets[4]), sum(buckets[96]), sum(buckets[1])]::bigint[] FROM telemetry_counts")
	if err := row.Scan(&buckets); err != nil || !slices.Equal(buckets, []int64{36, 4, 0}) {
		t.Errorf("the histograms add up to %v, %v", buckets, err)
	}
}

func TestManyAgentsThroughTwoReplicasAtOnce(t *testing.T) {
	t.Parallel()
	i := newIntake(t)
	agents := []string{i.agent("1"), i.agent("2"), i.agent("3"), i.agent("4"), i.agent("5"), i.agent("6")}
	rollout := i.rollout(agents...)
	replicas := []*telemetry.Collector{i.replica(), i.replica()}
	done := make(chan struct{})
	for n, agent := range agents {
		reports := i.connect(replicas[n%2], agent)
		go func() {
			defer func() { done <- struct{}{} }()
			for sequence := range int64(40) {
				reports.send("boot", sequence+1, &agentv1.Cell{
					Arm: candidate, RolloutId: fmt.Sprint(rollout), SharePpm: 500_000, Route: fmt.Sprint("r", sequence%5), Requests: 1, StatusClass: 5,
				})
			}
			reports.stored("boot", 40)
		}()
	}
	for range agents {
		<-done
	}
	if got := requests(i.query(telemetry.Query{})); got != 240 {
		t.Errorf("%d requests were counted, of 240", got)
	}
	if got := i.evidence(rollout)["upstream_5xx  500000"]; got != "240 0" {
		t.Errorf("the evidence is %s", got)
	}
}

func TestEvidenceIsWhatACoinChose(t *testing.T) {
	t.Parallel()
	i := newIntake(t)
	agent, outsider := i.agent("one"), i.agent("two")
	rollout := i.rollout(agent)
	cell := func(arm agentv1.Arm, share, class uint32, route, reason string, requests uint64) *agentv1.Cell {
		return &agentv1.Cell{
			Revision: 1, Arm: arm, RolloutId: fmt.Sprint(rollout), SharePpm: share, StatusClass: class, Route: route, Reason: reason, Requests: requests,
		}
	}
	slow := cell(candidate, 500_000, 2, "orders", "", 5)
	slow.Slower = []uint64{5, 2, 0}
	collector := i.replica()
	reports := i.connect(collector, agent)
	reports.send("boot", 1,
		cell(candidate, 100_000, 2, "orders", "", 7), cell(stable, 100_000, 2, "orders", "", 70),
		cell(candidate, 100_000, 5, "orders", "", 3), cell(stable, 100_000, 5, "orders", "", 1),
		cell(candidate, 100_000, 5, "orders", "upstream_timeout", 2), cell(stable, 100_000, 4, "", "no_route", 4),
		cell(stable, 0, 5, "orders", "", 1000), cell(candidate, 1_000_000, 5, "orders", "", 1000), // no coin
		&agentv1.Cell{Arm: stable, Route: "orders", StatusClass: 5, Requests: 1000, SharePpm: 100_000}, // no rollout
		&agentv1.Cell{Arm: candidate, RolloutId: "999999", StatusClass: 5, Requests: 1000, SharePpm: 100_000})
	reports.send("boot", 2, slow)
	// Three hang, and two of them end later: they were counted before.
	hangs, ended := cell(stable, 600_000, 0, "orders", "", 0), cell(stable, 600_000, 2, "orders", "", 6)
	hangs.SlowerRunning, ended.CountedRunning = []uint64{3, 3, 1}, 2
	reports.send("boot", 3, hangs)
	reports.send("boot", 4, ended)
	reports.stored("boot", 4)
	foreign := i.connect(collector, outsider)
	foreign.send("boot", 1, cell(candidate, 100_000, 5, "orders", "", 1000))
	foreign.stored("boot", 1)

	want := map[string]string{
		"requests  100000": "12 75", "requests orders 100000": "12 71",
		"upstream_5xx  100000": "3 1", "upstream_5xx orders 100000": "3 1",
		"gateway.upstream_timeout  100000": "2 0", "gateway.upstream_timeout orders 100000": "2 0",
		"gateway.no_route  100000": "0 4",
		"requests  500000":         "5 0", "requests orders 500000": "5 0",
		"slower.p50  500000": "5 0", "slower.p50 orders 500000": "5 0",
		"slower.p95  500000": "2 0", "slower.p95 orders 500000": "2 0",
		"requests  600000": "0 7", "requests orders 600000": "0 7",
		"slower.p50  600000": "0 3", "slower.p50 orders 600000": "0 3",
		"slower.p95  600000": "0 3", "slower.p95 orders 600000": "0 3",
		"slower.p99  600000": "0 1", "slower.p99 orders 600000": "0 1",
	}
	if got := i.evidence(rollout); !maps.Equal(got, want) {
		t.Errorf("the evidence is\n%v, want\n%v", got, want)
	}
}

func TestUnitsAreEvidenceByThemselves(t *testing.T) {
	t.Parallel()
	i := newIntake(t)
	agent, outsider := i.agent("one"), i.agent("two")
	rollout := i.rollout(agent)
	report := &agentv1.ReportTelemetryRequest{BootId: "boot", Sequence: 1, UnitsLeftOut: 5}
	for _, arm := range []agentv1.Arm{stable, candidate} {
		for _, route := range []string{"", "orders"} {
			report.Units = append(report.Units,
				&agentv1.UnitCount{RolloutId: fmt.Sprint(rollout), Arm: arm, SharePpm: 90_910, Route: route, Metric: "requests", Units: 10},
				&agentv1.UnitCount{RolloutId: fmt.Sprint(rollout), Arm: arm, SharePpm: 90_910, Route: route, Metric: "upstream_5xx", Units: uint64(arm)})
		}
	}
	collector := i.replica()
	for name, id := range map[string]string{"member": agent, "outsider": outsider} {
		reports := i.connect(collector, id)
		if err := reports.stream.Send(report); err != nil {
			t.Fatal(name, err)
		}
		reports.stored("boot", 1)
	}
	want := map[string]string{
		"units.requests  90910": "10 10", "units.requests orders 90910": "10 10",
		"units.upstream_5xx  90910": "2 1", "units.upstream_5xx orders 90910": "2 1",
	}
	if got := i.evidence(rollout); !maps.Equal(got, want) {
		t.Errorf("the evidence is\n%v, want\n%v", got, want)
	}
	if got := requests(i.query(telemetry.Query{})); got != 0 {
		t.Errorf("%d units count as traffic", got)
	}
}

func TestReportsThatAreNoneEndTheStream(t *testing.T) {
	t.Parallel()
	i := newIntake(t)
	agent := i.agent("one")
	collector := i.replica()
	for name, report := range map[string]*agentv1.ReportTelemetryRequest{
		"no boot":     {Sequence: 1},
		"sequence 0":  {BootId: "b"},
		"zero byte":   {BootId: "b\x00", Sequence: 1},
		"torn":        {BootId: "b", Sequence: 1, Cells: []*agentv1.Cell{{Buckets: []uint32{1}}}},
		"bucket 96":   {BootId: "b", Sequence: 1, Cells: []*agentv1.Cell{{Buckets: []uint32{96}, BucketCounts: []uint64{1}}}},
		"slower":      {BootId: "b", Sequence: 1, Cells: []*agentv1.Cell{{Requests: 1, Slower: []uint64{2, 0, 0}}}},
		"quantiles":   {BootId: "b", Sequence: 1, Cells: []*agentv1.Cell{{Requests: 1, Slower: []uint64{1, 0}}}},
		"running":     {BootId: "b", Sequence: 1, Cells: []*agentv1.Cell{{Requests: 1, SlowerRunning: []uint64{1, 0}}}},
		"ended":       {BootId: "b", Sequence: 1, Cells: []*agentv1.Cell{{Requests: 1, CountedRunning: 2}}},
		"huge":        {BootId: "b", Sequence: 1, Cells: []*agentv1.Cell{{Requests: 1 << 63}}},
		"share":       {BootId: "b", Sequence: 1, Cells: []*agentv1.Cell{{SharePpm: 1_000_001}}},
		"class 6":     {BootId: "b", Sequence: 1, Cells: []*agentv1.Cell{{StatusClass: 6}}},
		"unknown arm": {BootId: "b", Sequence: 1, Cells: []*agentv1.Cell{{Arm: 3}}},
		"route":       {BootId: "b", Sequence: 1, Cells: []*agentv1.Cell{{Route: "a\x00b"}}},
		"unit":        {BootId: "b", Sequence: 1, Units: []*agentv1.UnitCount{{Arm: 1, Metric: ""}}},
		"key":         {BootId: "b", Sequence: 1, KeyUses: []*agentv1.KeyUse{{Key: "\x00"}}},
	} {
		reports := i.connect(collector, agent)
		if err := reports.stream.Send(report); err != nil {
			t.Fatal(err)
		}
		if _, err := reports.stream.Recv(); err == nil || status.Code(err) != codes.Unknown {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := requests(i.query(telemetry.Query{})); got != 0 {
		t.Errorf("%d requests were counted", got)
	}
}

func TestADeletedAgentIsNotCounted(t *testing.T) {
	t.Parallel()
	i := newIntake(t)
	gone, here := i.agent("gone"), i.agent("here")
	i.execute("DELETE FROM agents WHERE id = $1", gone)
	collector := i.replica()
	a, b := i.connect(collector, gone), i.connect(collector, here)
	cell := &agentv1.Cell{Arm: stable, Requests: 1, StatusClass: 2}
	a.send("boot", 1, cell)
	b.send("boot", 1, cell)
	b.stored("boot", 1)
	if _, err := a.stream.Recv(); err == nil {
		t.Error("the stream of a deleted agent goes on")
	}
	if got := requests(i.query(telemetry.Query{})); got != 1 {
		t.Errorf("%d requests were counted", got)
	}
}

func TestTheLastUseOfAKeyIsKept(t *testing.T) {
	t.Parallel()
	i := newIntake(t)
	agent := i.agent("one")
	err := i.store.InTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.AppendLane(t.Context(), i.fleet.ID, "test", []store.LaneWrite{
			{Key: revision.Key{Kind: configv1.Kind_KIND_KEY, Name: "k1"}, Owner: "acme", KeyHash: []byte{1}, Body: []byte{}},
			{Key: revision.Key{Kind: configv1.Kind_KIND_KEY, Name: "k2"}, Owner: "acme", KeyHash: []byte{2}, Body: []byte{}},
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	reports := i.connect(i.replica(), agent)
	for sequence, uses := range [][]*agentv1.KeyUse{
		{{Key: "k1", LastUsed: 1_700_000_060}, {Key: "k2", LastUsed: 4_000_000_000}, {Key: "no such key", LastUsed: 1}},
		{{Key: "k1", LastUsed: 1_700_000_000}},
	} {
		if err := reports.stream.Send(&agentv1.ReportTelemetryRequest{BootId: "b", Sequence: int64(sequence + 1), KeyUses: uses}); err != nil {
			t.Fatal(err)
		}
	}
	reports.stored("b", 2)
	var uses map[string]time.Time
	err = i.store.View(t.Context(), func(tx *store.Tx) (err error) {
		uses, err = tx.KeyUses(t.Context(), i.fleet.ID, []string{"k1", "k2", "no such key"})
		return err
	})
	if err != nil || len(uses) != 2 || uses["k1"].Unix() != 1_700_000_060 || uses["k2"].After(time.Now().Add(time.Minute)) {
		t.Errorf("%v, %v", uses, err)
	}
}

func TestTelemetryIsGroupedAndFiltered(t *testing.T) {
	t.Parallel()
	i := newIntake(t)
	one, two := i.agent("one"), i.agent("two")
	collector := i.replica()
	cell := func(revision int64, arm agentv1.Arm, route string, class uint32, requests uint64, bucket uint32) *agentv1.Cell {
		return &agentv1.Cell{
			Revision: revision, Arm: arm, Route: route, StatusClass: class, Requests: requests,
			Buckets: []uint32{bucket}, BucketCounts: []uint64{requests},
		}
	}
	a, b := i.connect(collector, one), i.connect(collector, two)
	a.send("boot", 1, cell(1, stable, "orders", 2, 100, 20), cell(2, candidate, "orders", 5, 10, 40))
	b.send("boot", 1, cell(1, stable, "orders", 2, 200, 20), cell(1, stable, "users", 4, 5, 0))
	a.stored("boot", 1)
	b.stored("boot", 1)

	all := i.query(telemetry.Query{})
	if len(all) != 1 || len(all[0].Points) != 1 || requests(all) != 315 || len(all[0].Labels) != 0 {
		t.Errorf("all: %+v", all)
	}
	// Bucket 20 reaches from 50 µs × 2^(19/4) = 1.35 ms to 50 µs × 2^5 = 1.6 ms.
	if p50 := all[0].Points[0].P50; p50 < 1345*time.Microsecond || p50 > 1600*time.Microsecond {
		t.Errorf("p50 %v", p50)
	}
	byArm := i.query(telemetry.Query{GroupBy: []string{"arm", "revision"}})
	if len(byArm) != 2 || byArm[0].Labels["arm"] != "stable" || byArm[1].Labels["revision"] != "2" || requests(byArm[1:]) != 10 {
		t.Errorf("by arm: %+v", byArm)
	}
	if p99 := byArm[1].Points[0].P99; p99 < 42*time.Millisecond || p99 > 52*time.Millisecond {
		t.Errorf("p99 of the candidate: %v", p99)
	}
	for name, check := range map[string]struct {
		query telemetry.Query
		want  int64
	}{
		"agent":    {telemetry.Query{Agent: two}, 205},
		"route":    {telemetry.Query{Route: "users"}, 5},
		"arm":      {telemetry.Query{Arm: "candidate"}, 10},
		"revision": {telemetry.Query{Revision: 1}, 305},
		"none":     {telemetry.Query{Route: "nothing"}, 0},
	} {
		if got := requests(i.query(check.query)); got != check.want {
			t.Errorf("%s: %d requests, want %d", name, got, check.want)
		}
	}
	steps := i.query(telemetry.Query{Window: time.Minute, Step: 10 * time.Second, GroupBy: []string{"agent", "route", "status_class", "reason"}})
	if len(steps) != 4 || requests(steps) != 315 || steps[0].Points[0].Time.Unix()%10 != 0 {
		t.Errorf("steps: %+v", steps)
	}
	for _, wrong := range []telemetry.Query{
		{GroupBy: []string{"moon"}},
		{Arm: "left"},
		{Window: -1},
		{Window: 31 * 24 * time.Hour},
		{Step: -1},
		{Window: 30 * 24 * time.Hour, Step: time.Second},
	} {
		if _, err := i.querier.Query(t.Context(), wrong); !errors.Is(err, telemetry.ErrQuery) {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}

func TestOldTelemetryIsForgotten(t *testing.T) {
	t.Parallel()
	i := newIntake(t)
	agent := i.agent("one")
	i.execute(`INSERT INTO telemetry_counts (fleet_id, at, agent_id, revision, arm, route, status_class, reason, requests, buckets)
		SELECT $1, now() - make_interval(mins => n), $2, 1, 1, '', 2, '', 1, array_fill(0::bigint, ARRAY[96]) FROM generate_series(1, 180) AS n`,
		i.fleet.ID, agent)
	retention := telemetry.NewRetention(i.store, time.Hour, nil)
	deleted, err := retention.Forget(t.Context())
	if err != nil || deleted < 120 || deleted > 121 {
		t.Errorf("%d rows were deleted, %v", deleted, err)
	}
	if got := requests(i.query(telemetry.Query{Window: 4 * time.Hour})); got < 59 || got > 60 {
		t.Errorf("%d are left", got)
	}
}
