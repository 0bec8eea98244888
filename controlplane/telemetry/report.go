package telemetry

import (
	"errors"
	"fmt"
	"strings"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"

	"tidegate.dev/controlplane/store"
)

// What a report may carry.
const (
	bootLimit   = 128
	routeLimit  = 256
	reasonLimit = 64
	keyLimit    = 128
	// countLimit bounds each count, so that no sum of them leaves 63 bits.
	countLimit = 1 << 36
	allPPM     = 1_000_000
)

// FaultError says that an agent sent what it may not. Its stream ends.
type FaultError struct{ reason string }

// Error implements error.
func (e *FaultError) Error() string { return "telemetry refused: " + e.reason }

// AgentAtFault tells the server of the stream whose fault it is.
func (e *FaultError) AgentAtFault() bool { return true }

// check says what is wrong with a report. What passes can be written: one agent's report never spoils the others'.
func check(report *agentv1.ReportTelemetryRequest) error {
	switch {
	case !isText(report.GetBootId(), bootLimit) || report.GetBootId() == "":
		return &FaultError{"it has no proper boot id"}
	case report.GetSequence() < 1:
		return &FaultError{fmt.Sprintf("its sequence is %d", report.GetSequence())}
	}
	for i, cell := range report.GetCells() {
		if err := checkCell(cell); err != nil {
			return &FaultError{fmt.Sprintf("cell %d: %v", i, err)}
		}
	}
	for i, shadow := range report.GetShadows() {
		if err := checkShadow(shadow); err != nil {
			return &FaultError{fmt.Sprintf("shadow %d: %v", i, err)}
		}
	}
	for i, unit := range report.GetUnits() {
		if err := checkUnit(unit); err != nil {
			return &FaultError{fmt.Sprintf("unit %d: %v", i, err)}
		}
	}
	for _, use := range report.GetKeyUses() {
		if !isText(use.GetKey(), keyLimit) || use.GetLastUsed() < 0 || use.GetLastUsed() > countLimit {
			return &FaultError{"a use of a key is none"}
		}
	}
	return nil
}

// What a report may say of a shadow.
const (
	differencesLimit = 1024
	decisionLimit    = 8192
	exampleLimit     = 16384
)

func checkShadow(shadow *agentv1.ShadowReport) error {
	if len(shadow.GetSampled()) > differencesLimit || len(shadow.GetDifferences()) > differencesLimit {
		return errors.New("it counts too much")
	}
	for route, requests := range shadow.GetSampled() {
		if !isText(route, routeLimit) || requests > countLimit {
			return errors.New("its samples are none")
		}
	}
	for _, d := range shadow.GetDifferences() {
		switch {
		case !isText(d.GetStableRoute(), routeLimit) || !isText(d.GetCandidateRoute(), routeLimit):
			return errors.New("its route is not a name")
		case !isText(d.GetStableDecision(), decisionLimit) || !isText(d.GetCandidateDecision(), decisionLimit) || d.GetStableDecision() == "":
			return errors.New("its decision is none")
		case !isText(d.GetExample(), exampleLimit):
			return errors.New("its example is not a request")
		case d.GetRequests() > countLimit:
			return errors.New("its count is too high")
		}
	}
	return nil
}

// metricLimit is enough for the longest reason.
const metricLimit = len(metricGateway) + reasonLimit

func checkUnit(unit *agentv1.UnitCount) error {
	switch {
	case unit.GetArm() != agentv1.Arm_ARM_STABLE && unit.GetArm() != agentv1.Arm_ARM_CANDIDATE:
		return errors.New("its arm is unknown")
	case unit.GetSharePpm() > allPPM:
		return errors.New("its share is more than all")
	case !isText(unit.GetRoute(), routeLimit):
		return errors.New("its route is not a name")
	case !isText(unit.GetMetric(), metricLimit) || unit.GetMetric() == "":
		return errors.New("its metric is not a name")
	case unit.GetUnits() > countLimit:
		return errors.New("its count is too high")
	}
	return nil
}

func checkCell(cell *agentv1.Cell) error {
	switch {
	case cell.GetRevision() < 0:
		return errors.New("its revision is negative")
	case cell.GetArm() < agentv1.Arm_ARM_UNSPECIFIED || cell.GetArm() > agentv1.Arm_ARM_CANDIDATE:
		return errors.New("its arm is unknown")
	case cell.GetSharePpm() > allPPM:
		return errors.New("its share is more than all")
	case cell.GetStatusClass() > 5:
		return errors.New("its status class is unknown")
	case !isText(cell.GetRoute(), routeLimit):
		return errors.New("its route is not a name")
	case !isText(cell.GetReason(), reasonLimit):
		return errors.New("its reason is not a name")
	case cell.GetRequests() > countLimit:
		return errors.New("its count is too high")
	case len(cell.GetBuckets()) != len(cell.GetBucketCounts()):
		return errors.New("its histogram is torn")
	}
	if n := len(cell.GetSlower()); n != 0 && n != len(quantiles) {
		return errors.New("it counts slow requests by other quantiles")
	}
	if n := len(cell.GetSlowerRunning()); n != 0 && n != len(quantiles) || cell.GetCountedRunning() > cell.GetRequests() {
		return errors.New("it counts requests wrongly that run")
	}
	for _, slower := range cell.GetSlowerRunning() {
		if slower > countLimit {
			return errors.New("too many of its requests run")
		}
	}
	for _, slower := range cell.GetSlower() {
		if slower > cell.GetRequests() {
			return errors.New("more of its requests are slow than there are")
		}
	}
	for i, bucket := range cell.GetBuckets() {
		if bucket >= store.HistogramBuckets || cell.GetBucketCounts()[i] > countLimit {
			return errors.New("its histogram is out of range")
		}
	}
	return nil
}

// isText says whether Postgres takes the text and it is not too long. Protobuf has checked that it is UTF-8.
func isText(text string, limit int) bool {
	return len(text) <= limit && !strings.ContainsRune(text, 0)
}
