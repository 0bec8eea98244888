package telemetry

import (
	"testing"

	"google.golang.org/protobuf/proto"

	agentv1 "tidegate.dev/proto/tidegate/agent/v1"

	"tidegate.dev/controlplane/store"
)

// FuzzReport: whatever passes the check can be added up, and no sum is negative.
func FuzzReport(f *testing.F) {
	seed, err := proto.Marshal(&agentv1.ReportTelemetryRequest{
		BootId: "boot", Sequence: 1,
		Cells: []*agentv1.Cell{{
			Arm: agentv1.Arm_ARM_CANDIDATE, RolloutId: "7", SharePpm: 10, Route: "orders", StatusClass: 5, Requests: 3,
			Buckets: []uint32{1, 95}, BucketCounts: []uint64{1, 2},
		}},
		KeyUses: []*agentv1.KeyUse{{Key: "k", LastUsed: 60}},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, encoded []byte) {
		report := &agentv1.ReportTelemetryRequest{}
		if proto.Unmarshal(encoded, report) != nil || check(report) != nil {
			return
		}
		sums := newMerged(map[store.CandidateHolder]bool{{RolloutID: 7, AgentID: "a"}: true})
		sums.add(1, "a", report)
		for key, count := range sums.counts {
			if count.Requests < 0 {
				t.Errorf("%+v counts %d requests", key, count.Requests)
			}
		}
		for key, arms := range sums.evidence {
			if arms.Candidate < 0 || arms.Control < 0 {
				t.Errorf("%+v is %+v", key, arms)
			}
		}
	})
}
