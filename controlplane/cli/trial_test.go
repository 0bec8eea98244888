package cli

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"

	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

const tryPath = "POST /v1/fleets/default/rollouts:try"

func TestRolloutTryShowsWhatAGateWouldHaveDone(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string]reply{tryPath: ok(&adminv1.TryGateResponse{
		Rollouts: []*adminv1.TriedRollout{
			{
				Id: "9", Revision: 14, State: "completed", Verdict: "fail", Difference: "taken_back", Moment: "reading", Step: 1, After: "12.3s",
				CandidateRequests: 413, Explanation: "5xx 1.9 % of 413",
			},
			{Id: "8", Revision: 13, State: "rolled_back", Verdict: "inconclusive", Difference: "kept", Explanation: "had not failed"},
			{Id: "7", Revision: 12, State: "rolled_back", Verdict: "fail", Difference: "none", Moment: "step", Step: 0, CandidateRequests: 5},
			{Id: "6", Revision: 11, State: "completed", Verdict: "pass", Difference: "none"},
		},
		Caveats: []string{"guards are not replayed"},
	})})
	code, out, problem := to(t, s).run(t, "rollout", "try", "--tolerance", "1.05", "--metric", "upstream_5xx", "--objective", "errors@orders=0.5%", "--since", "24h")
	if code != ExitOK {
		t.Fatalf("exit %d: %s", code, problem)
	}
	for _, want := range []string{
		"would be taken back", "step 2, after 12.3s, 413 candidate requests", "not by then", "taken back too", "by the end of step 1, 5 candidate requests",
		"passes", "Of 4: 1 that went through would have been taken back, 1 that was rolled back had not failed by then", "guards are not replayed",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	var sent adminv1.TryGateRequest
	if err := protojson.Unmarshal([]byte(s.sent(tryPath)), &sent); err != nil {
		t.Fatal(err)
	}
	objective := sent.GetObjectives()[0]
	if sent.GetComparison().GetTolerance() != 1.05 || sent.GetComparison().Alpha != nil || sent.GetSince() != "24h0m0s" ||
		objective.GetRoute() != "orders" || objective.GetMetric() != "errors" || objective.GetMaxPercent() != 0.5 {
		t.Errorf("asked %v", &sent)
	}
}

func TestRolloutTryOfObjectivesAlone(t *testing.T) {
	t.Parallel()
	s := newServer(t, map[string]reply{tryPath: ok(&adminv1.TryGateResponse{})})
	if code, out, _ := to(t, s).run(t, "rollout", "try", "--objective", "errors=1"); code != ExitOK || !strings.Contains(out, "no rollout has ended in that time") {
		t.Errorf("exit %d: %s", code, out)
	}
	if strings.Contains(s.sent(tryPath), "comparison") {
		t.Errorf("asked %s", s.sent(tryPath))
	}
	if code, _, problem := to(t, s).run(t, "rollout", "try", "--objective", "errors"); code != ExitError || !strings.Contains(problem, "METRIC=PERCENT") {
		t.Errorf("exit %d: %s", code, problem)
	}
}
