package agent

import (
	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
	"tidegate.dev/proto/evidence"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

// stickinessOf is for what the coin of a state is thrown.
func stickinessOf(coin *agentv1.StickyCoin) (s snapshot.Stickiness) {
	by := coin.GetBy()
	switch {
	case by.GetConsumer():
		s.By, s.Name = snapshot.StickyConsumer, by.GetKeyHeader()
	case by.GetHeader() != "":
		s.By, s.Name = snapshot.StickyHeader, by.GetHeader()
	case by.GetCookie() != "":
		s.By, s.Name = snapshot.StickyCookie, by.GetCookie()
	}
	copy(s.Secret[:], coin.GetSecret())
	return s
}

// countUnits begins to count the units of a sticky coin, before it is thrown. A process that only prepares to take over counts
// none: the one before still does.
func (a *Agent) countUnits(desired *agentv1.DesiredState) {
	if a.serving.candidate == nil || a.serving.sticky.By == snapshot.NotSticky || a.journal.ReadOnly() {
		return
	}
	coin, fresh := desired.GetSticky(), newRoutes(a.serving.stable.snapshot.Content(), a.serving.candidate.snapshot.Content())
	expected := make(map[[2]string]bool)
	for _, one := range expectedOf(desired.GetGuard()) {
		expected[[2]string{one.Route, "gateway." + one.Reason}] = true
	}
	a.config.Counters.OpenUnits(telemetry.UnitsConfig{
		UnitCoin: telemetry.UnitCoin{
			RolloutID: a.serving.rolloutID, SettledPPM: coin.GetSettledPpm(),
			SharePPM: evidence.FreshShare(a.serving.sharePPM, coin.GetSettledPpm()),
		},
		Counter: coin.GetCounter(), Counters: coin.GetCounters(),
		Apart: func(route, metric string) bool {
			return fresh[route] && metric == telemetry.MetricRequests || expected[[2]string{route, metric}]
		},
	})
}
