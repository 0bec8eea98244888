package proxy

import (
	"testing"

	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
	agentv1 "tidegate.dev/proto/tidegate/agent/v1"
)

func TestWhoMayAsksForAnArm(t *testing.T) {
	t.Parallel()
	s := newSticky(t, snapshot.Stickiness{}, nil)
	entry := keyEntry("k1", "acme", goodKey)
	entry.Material.(*agentv1.LaneEntry_Key).Key.Scopes = []string{"orders:read", "tidegate:arm"}
	s.apply(consumerEntry("acme", ""), entry)
	for _, share := range []uint32{1, certain - 1} {
		s.share(share)
		usual := map[uint32]string{1: "stable", certain - 1: "candidate"}[share]
		for _, c := range []struct {
			about, want string
			headers     []string
		}{
			{"by key", "candidate", []string{"X-Api-Key", goodKey, "X-Tidegate-Arm", "candidate"}},
			{"by bearer", "stable", []string{"Authorization", "Bearer " + goodKey, "x-tidegate-arm", "stable"}},
			{"without a key", usual, []string{"X-Tidegate-Arm", "candidate"}},
			{"with no key of anybody", usual, []string{"X-Api-Key", goodKey[:len(goodKey)-1], "X-Tidegate-Arm", "stable"}},
			{"for what there is not", usual, []string{"X-Api-Key", goodKey, "X-Tidegate-Arm", "Candidate"}},
			{"not at all", usual, []string{"X-Api-Key", goodKey}},
		} {
			for range 5 {
				if got := s.arm(c.headers...); got != c.want {
					t.Errorf("asked %s at %d ppm: %s answers, want %s", c.about, share, got, c.want)
				}
			}
		}
	}
	asked, thrown := 0, 0
	s.counters.Each(func(key telemetry.CellKey, requests uint64, _ *[telemetry.Buckets]uint64) {
		if key.RolloutID == "" {
			asked += int(requests)
		} else {
			thrown += int(requests)
		}
	})
	if asked != 20 || thrown != 40 {
		t.Errorf("%d requests count as asked and %d as evidence, want 20 and 40", asked, thrown)
	}

	s.apply(keyEntry("k1", "acme", goodKey))
	s.share(certain - 1)
	if got := s.arm("X-Api-Key", goodKey, "X-Tidegate-Arm", "stable"); got != "candidate" {
		t.Errorf("a key without the scope is answered by %s", got)
	}
	s.share(0)
	if got := s.arm("X-Api-Key", goodKey, "X-Tidegate-Arm", "candidate"); got != "stable" {
		t.Errorf("a candidate that serves nothing answers: %s", got)
	}
}
