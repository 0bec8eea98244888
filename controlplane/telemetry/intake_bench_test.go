package telemetry

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"

	"tidegate.dev/controlplane/store"
	"tidegate.dev/controlplane/store/storetest"
)

// BenchmarkIntake stores a second of reports of 1,000 agents that serve 10 routes each, in one transaction.
func BenchmarkIntake(b *testing.B) {
	const agents, routes = 1000, 10
	s := storetest.Open(b)
	fleet := storetest.Fleet(b, s, "default")
	c := NewCollector(s, slog.New(slog.DiscardHandler))
	items := make([]*received, agents)
	err := s.InTx(b.Context(), func(tx *store.Tx) error {
		for i := range items {
			agent := store.AgentIdentity{ID: uuid.NewString(), FleetID: fleet.ID, Name: fmt.Sprint("agent-", i)}
			if err := tx.AddAgent(b.Context(), agent, nil, time.Now().Add(time.Hour)); err != nil {
				return err
			}
			report := &agentv1.ReportTelemetryRequest{BootId: "boot"}
			for route := range routes {
				report.Cells = append(report.Cells, &agentv1.Cell{
					Revision: 1, Arm: agentv1.Arm_ARM_STABLE, Route: fmt.Sprint("route-", route), StatusClass: 2, Requests: 100,
					Buckets: []uint32{20, 21, 22, 23, 24, 30}, BucketCounts: []uint64{10, 20, 40, 20, 9, 1},
				})
			}
			items[i] = &received{boot: store.TelemetryBoot{AgentID: agent.ID, BootID: "boot"}, report: report, mailbox: newMailbox()}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		for _, item := range items {
			item.report.Sequence++
		}
		if err := c.write(b.Context(), items); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(agents*b.N)/b.Elapsed().Seconds(), "reports/s")
}
