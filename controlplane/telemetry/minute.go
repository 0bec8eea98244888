package telemetry

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"

	"tidegate.dev/controlplane/store"
)

// kindsKept bounds what is kept apart of one agent and minute; beyond it requests are counted under no route.
const kindsKept = 256

// minute is what one agent counted in a minute. It lies encoded beside the agent's cursor, which changes with every report anyway,
// so that keeping agents apart costs one row a report, however many routes it is of.
type minute struct {
	cells map[store.TelemetryKey]*agentv1.Cell // with sparse histograms, as they are kept
}

func newMinute() *minute { return &minute{cells: map[store.TelemetryKey]*agentv1.Cell{}} }

// readMinute decodes what was kept.
func readMinute(encoded []byte) (*minute, error) {
	kept := new(agentv1.ReportTelemetryRequest)
	if err := proto.Unmarshal(encoded, kept); err != nil {
		return nil, fmt.Errorf("reading an agent's minute: %w", err)
	}
	m := &minute{cells: make(map[store.TelemetryKey]*agentv1.Cell, len(kept.GetCells()))}
	for _, cell := range kept.GetCells() {
		m.cells[kindOf(cell)] = cell
	}
	return m, nil
}

// add counts a cell that was checked.
func (m *minute) add(cell *agentv1.Cell) {
	if cell.GetRequests() == 0 {
		return // it tells of requests that run
	}
	key := kindOf(cell)
	sum := m.cells[key]
	if sum == nil && len(m.cells) >= kindsKept {
		key.Route = ""
		sum = m.cells[key]
	}
	if sum == nil {
		sum = &agentv1.Cell{
			Revision: key.Revision, Arm: cell.GetArm(), Route: key.Route, StatusClass: cell.GetStatusClass(), Reason: key.Reason,
		}
		m.cells[key] = sum
	}
	sum.Requests += cell.GetRequests()
	for i, bucket := range cell.GetBuckets() {
		at := slices.Index(sum.GetBuckets(), bucket)
		if at < 0 {
			at = len(sum.GetBuckets())
			sum.Buckets, sum.BucketCounts = append(sum.Buckets, bucket), append(sum.BucketCounts, 0)
		}
		sum.BucketCounts[at] += cell.GetBucketCounts()[i]
	}
}

// encode is the form in which the minute is kept: one report.
func (m *minute) encode() ([]byte, error) {
	report := &agentv1.ReportTelemetryRequest{Cells: slices.AppendSeq(make([]*agentv1.Cell, 0, len(m.cells)), maps.Values(m.cells))}
	encoded, err := proto.Marshal(report)
	if err != nil {
		return nil, fmt.Errorf("encoding an agent's minute: %w", err)
	}
	return encoded, nil
}

// kindOf is what requests of a cell have in common with others, but for fleet and agent.
func kindOf(cell *agentv1.Cell) store.TelemetryKey {
	return store.TelemetryKey{
		Revision: cell.GetRevision(), Arm: int16(cell.GetArm()), Route: cell.GetRoute(),
		StatusClass: int16(cell.GetStatusClass()), Reason: cell.GetReason(),
	}
}

func addCell(count *store.TelemetryCount, cell *agentv1.Cell) {
	count.Requests += int64(cell.GetRequests())
	for i, bucket := range cell.GetBuckets() {
		count.Histogram[bucket] += int64(cell.GetBucketCounts()[i])
	}
}

// minutes are the cursors that move, with the minute of each: those that go on, and those that are over.
type minutes struct {
	moved, over map[store.TelemetryBoot]store.TelemetryCursor
}

// keepMinutes adds reports, which are new, to the minute of each boot.
func keepMinutes(fresh []*received, cursors map[store.TelemetryBoot]store.TelemetryCursor) (*minutes, error) {
	kept := &minutes{moved: map[store.TelemetryBoot]store.TelemetryCursor{}, over: map[store.TelemetryBoot]store.TelemetryCursor{}}
	open := map[store.TelemetryBoot]*minute{}
	for _, item := range fresh {
		current := open[item.boot]
		if current == nil {
			current = kept.open(item.boot, cursors[item.boot])
			open[item.boot] = current
		}
		for _, cell := range item.report.GetCells() {
			current.add(cell)
		}
	}
	for boot, current := range open {
		cursor := kept.moved[boot]
		var err error
		if cursor.Cells, err = current.encode(); err != nil {
			return nil, err
		}
		kept.moved[boot] = cursor
	}
	return kept, nil
}

// open goes on with the minute of a cursor, or begins one. A minute that cannot be read is given up: it must not hold up what follows.
func (k *minutes) open(boot store.TelemetryBoot, cursor store.TelemetryCursor) *minute {
	now := cursor.Now
	goesOn := cursor.Minute != nil && cursor.Minute.Equal(now)
	if cursor.Minute != nil && !goesOn {
		k.over[boot] = cursor
	}
	k.moved[boot] = store.TelemetryCursor{FleetID: cursor.FleetID, Sequence: cursor.Sequence, Minute: &now}
	if goesOn {
		if current, err := readMinute(cursor.Cells); err == nil {
			return current
		}
	}
	return newMinute()
}

// minuteLength is what telemetry by agent is kept in.
const minuteLength = time.Minute
