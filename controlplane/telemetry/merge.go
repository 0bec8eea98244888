package telemetry

import (
	"strconv"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"

	"tidegate.dev/controlplane/store"
)

// The metrics of evidence. Those that the gateway's own answers count for are metricGateway and the reason.
const (
	metricRequests    = "requests"
	metricUpstream5xx = "upstream_5xx"
	metricGateway     = "gateway."
	metricSlower      = "slower."
)

// quantiles are those of Cell.slower, in its order.
var quantiles = [...]string{"p50", "p95", "p99"}

// merged is what several reports come to.
type merged struct {
	counts   map[store.TelemetryKey]*store.TelemetryCount // of all agents together
	traffic  map[store.TrafficKey]int64
	evidence map[store.EvidenceKey]store.EvidenceArms
	keyUses  map[store.FleetKey]int64
	// fleets have evidence that is new.
	fleets map[int64]bool
	// holders are the agents that were given the candidates of the rollouts that the reports name.
	holders map[store.CandidateHolder]bool
	shadows map[store.ShadowKey]store.ShadowCount
}

func newMerged(holders map[store.CandidateHolder]bool) *merged {
	return &merged{
		counts:   map[store.TelemetryKey]*store.TelemetryCount{},
		traffic:  map[store.TrafficKey]int64{},
		evidence: map[store.EvidenceKey]store.EvidenceArms{},
		keyUses:  map[store.FleetKey]int64{},
		fleets:   map[int64]bool{},
		holders:  holders,
		shadows:  map[store.ShadowKey]store.ShadowCount{},
	}
}

func (m *merged) add(fleetID int64, agentID string, report *agentv1.ReportTelemetryRequest) {
	for _, cell := range report.GetCells() {
		m.addCount(fleetID, cell)
		m.addEvidence(fleetID, agentID, cell)
	}
	for _, unit := range report.GetUnits() {
		m.addUnits(fleetID, agentID, unit)
	}
	for _, shadow := range report.GetShadows() {
		m.addShadow(fleetID, agentID, shadow)
	}
	for _, use := range report.GetKeyUses() {
		key := store.FleetKey{FleetID: fleetID, Key: use.GetKey()}
		m.keyUses[key] = max(m.keyUses[key], use.GetLastUsed())
	}
}

func (m *merged) addCount(fleetID int64, cell *agentv1.Cell) {
	if cell.GetRequests() == 0 {
		return // it tells of requests that run
	}
	key := kindOf(cell)
	key.FleetID = fleetID
	count := m.counts[key]
	if count == nil {
		count = &store.TelemetryCount{}
		m.counts[key] = count
	}
	addCell(count, cell)
	m.traffic[store.TrafficKey{FleetID: fleetID}] += int64(cell.GetRequests())
	if cell.GetRoute() != "" {
		m.traffic[store.TrafficKey{FleetID: fleetID, Route: cell.GetRoute()}] += int64(cell.GetRequests())
	}
}

// addEvidence counts requests whose arm a coin chose. With a share of nothing or all there was no other arm. An agent that
// was not given the candidate has no say.
func (m *merged) addEvidence(fleetID int64, agentID string, cell *agentv1.Cell) {
	rollout := rolloutOf(cell)
	if rollout == 0 || !m.holders[store.CandidateHolder{RolloutID: rollout, AgentID: agentID}] {
		return
	}
	if cell.GetArm() != agentv1.Arm_ARM_CANDIDATE && cell.GetArm() != agentv1.Arm_ARM_STABLE {
		return
	}
	m.fleets[fleetID] = true
	m.addBoth(rollout, metricRequests, cell, requestsOf(cell))
	if metric := metricOf(cell); metric != "" {
		m.addBoth(rollout, metric, cell, int64(cell.GetRequests()))
	}
	for _, slower := range [][]uint64{cell.GetSlower(), cell.GetSlowerRunning()} {
		for i, requests := range slower {
			if requests > 0 {
				m.addBoth(rollout, metricSlower+quantiles[i], cell, int64(requests))
			}
		}
	}
}

// requestsOf is how many requests are new to the evidence. One that runs counts when it has become slow, which it is first by the
// first of the quantiles, and then not again when it has ended.
func requestsOf(cell *agentv1.Cell) int64 {
	requests := int64(cell.GetRequests()) - int64(cell.GetCountedRunning())
	if running := cell.GetSlowerRunning(); len(running) > 0 {
		requests += int64(running[0])
	}
	return requests
}

// addUnits counts units of a sticky coin. The agent has counted them apart for the total and for each route.
func (m *merged) addUnits(fleetID int64, agentID string, unit *agentv1.UnitCount) {
	rollout := rolloutIn(unit.GetRolloutId(), unit.GetSharePpm())
	if rollout == 0 || !m.holders[store.CandidateHolder{RolloutID: rollout, AgentID: agentID}] {
		return
	}
	m.fleets[fleetID] = true
	arms := store.EvidenceArms{Control: int64(unit.GetUnits())}
	if unit.GetArm() == agentv1.Arm_ARM_CANDIDATE {
		arms = store.EvidenceArms{Candidate: int64(unit.GetUnits())}
	}
	m.addSum(store.EvidenceKey{
		RolloutID: rollout, Metric: store.UnitsPrefix + unit.GetMetric(), Route: unit.GetRoute(), SharePPM: int32(unit.GetSharePpm()),
	}, arms)
}

// addBoth counts requests in total, and on their route.
func (m *merged) addBoth(rollout int64, metric string, cell *agentv1.Cell, requests int64) {
	arms := store.EvidenceArms{Control: requests}
	if cell.GetArm() == agentv1.Arm_ARM_CANDIDATE {
		arms = store.EvidenceArms{Candidate: requests}
	}
	key := store.EvidenceKey{RolloutID: rollout, Metric: metric, SharePPM: int32(cell.GetSharePpm())}
	m.addSum(key, arms)
	if cell.GetRoute() != "" {
		key.Route = cell.GetRoute()
		m.addSum(key, arms)
	}
}

func (m *merged) addSum(key store.EvidenceKey, arms store.EvidenceArms) {
	sum := m.evidence[key]
	sum.Candidate += arms.Candidate
	sum.Control += arms.Control
	m.evidence[key] = sum
}

// addShadow counts what the candidate of a rollout decided beside live requests. An agent that was not given it has no say.
func (m *merged) addShadow(fleetID int64, agentID string, shadow *agentv1.ShadowReport) {
	rollout, err := strconv.ParseInt(shadow.GetRolloutId(), 10, 64)
	if err != nil || !m.holders[store.CandidateHolder{RolloutID: rollout, AgentID: agentID}] {
		return
	}
	m.fleets[fleetID] = true
	add := func(key store.ShadowKey, requests uint64, example string) {
		count := m.shadows[key]
		count.Requests += int64(requests)
		if count.Example == "" {
			count.Example = example
		}
		m.shadows[key] = count
	}
	for route, requests := range shadow.GetSampled() {
		add(store.ShadowKey{RolloutID: rollout, CandidateRoute: route}, requests, "")
	}
	for _, d := range shadow.GetDifferences() {
		add(store.ShadowKey{
			RolloutID: rollout, StableRoute: d.GetStableRoute(), StableDecision: d.GetStableDecision(),
			CandidateRoute: d.GetCandidateRoute(), CandidateDecision: d.GetCandidateDecision(),
		}, d.GetRequests(), d.GetExample())
	}
}

// rolloutOf is the rollout that the cell is evidence of; 0: none.
func rolloutOf(cell *agentv1.Cell) int64 { return rolloutIn(cell.GetRolloutId(), cell.GetSharePpm()) }

func rolloutIn(id string, sharePPM uint32) int64 {
	if sharePPM == 0 || sharePPM >= allPPM {
		return 0
	}
	rollout, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return 0
	}
	return rollout
}

// metricOf is the metric by which requests of the cell were bad; empty for none.
func metricOf(cell *agentv1.Cell) string {
	switch {
	case cell.GetReason() != "":
		return metricGateway + cell.GetReason()
	case cell.GetStatusClass() == 5:
		return metricUpstream5xx
	default:
		return ""
	}
}
