package reporter

import (
	"testing"
	"time"

	"tidegate.dev/dataplane/telemetry"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

func TestARequestThatHangsIsReportedOnce(t *testing.T) {
	t.Parallel()
	counters := telemetry.NewCounters([]string{""})
	baseline := telemetry.NewBaseline(counters)
	now := time.Unix(1_700_000_000, 0)
	c := newCollector(Config{Counters: counters, Baseline: baseline}, now)
	stable := counters.Open(telemetry.ArmKey{Revision: 1, Arm: 1, RolloutID: "3", SharePPM: 10_000}, 1)
	candidate := counters.Open(telemetry.ArmKey{Revision: 2, Arm: 2, RolloutID: "3", SharePPM: 10_000}, 1)
	for range 400 {
		stable.Record(1, "orders", 2, 0, time.Millisecond)
	}
	c.collect(now)
	now = now.Add(6 * time.Second) // the candidate's connections are not new any more
	c.collect(now)
	c.cut(now)

	var one telemetry.Running
	candidate.Enter(&one, 1, "orders", now)
	counters.Sweep(baseline.Lines(), now.Add(time.Second))
	c.collect(now.Add(time.Second))
	cells := cellsIn(c.cut(now))
	if len(cells) != 1 || cells[0].GetRequests() != 0 || cells[0].GetArm() != agentv1.Arm_ARM_CANDIDATE || cells[0].GetRoute() != "orders" ||
		len(cells[0].GetSlowerRunning()) != 3 || cells[0].GetSlowerRunning()[0] != 1 || cells[0].GetSlowerRunning()[1] != 1 {
		t.Errorf("while it hangs it is reported as %v", cells)
	}
	c.collect(now.Add(2 * time.Second))
	if reports := c.cut(now); len(reports) != 0 {
		t.Errorf("it is reported again: %v", reports)
	}
	candidate.Record(1, "orders", candidate.Leave(&one, "orders", 2, 0, time.Minute), 0, time.Minute)
	candidate.Record(1, "orders", 2, 0, time.Millisecond)
	c.collect(now.Add(3 * time.Second))
	cells = cellsIn(c.cut(now))
	if len(cells) != 1 || cells[0].GetRequests() != 2 || cells[0].GetCountedRunning() != 1 || cells[0].GetSlowerRunning() != nil ||
		cells[0].GetSlower()[0] != 0 || cells[0].GetStatusClass() != 2 {
		t.Errorf("when it has ended it is reported as %v", cells)
	}
}

func cellsIn(reports []*agentv1.ReportTelemetryRequest) (cells []*agentv1.Cell) {
	for _, report := range reports {
		cells = append(cells, report.GetCells()...)
	}
	return cells
}
