package gates

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// question is what a webhook is told.
type question struct {
	Fleet           string  `json:"fleet"`
	Gate            string  `json:"gate"`
	Rollout         int64   `json:"rollout"`
	Revision        int64   `json:"revision"`
	StableRevision  int64   `json:"stable_revision"`
	State           string  `json:"state"`
	Step            int32   `json:"step"`
	CandidateAgents int32   `json:"candidate_agents"`
	TrafficPercent  float64 `json:"traffic_percent"`
}

const ppmPerPercent = 10_000

func (r *Runner) askWebhook(ctx context.Context, rollout store.GatedRollout, gate *configv1.Gate) answer {
	encoded, err := json.Marshal(question{
		Fleet: rollout.Fleet, Gate: gate.GetName(), Rollout: rollout.ID, Revision: rollout.Revision, StableRevision: rollout.StableRevision,
		State: rollout.State, Step: rollout.Step, CandidateAgents: rollout.CandidateAgents,
		TrafficPercent: float64(rollout.CandidateSharePpm) / ppmPerPercent,
	})
	if err != nil {
		return unsure("the question cannot be made: %v", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, gate.GetWebhook().GetUrl(), bytes.NewReader(encoded))
	if err != nil {
		return unsure("the question cannot be made: %v", err)
	}
	request.Header.Set("Content-Type", "application/json")
	body, status, err := r.send(request)
	switch {
	case err != nil:
		return unsure("the webhook does not answer: %v", err)
	case status != http.StatusOK:
		return unsure("the webhook answers with status %d", status)
	}
	var said struct {
		Verdict string `json:"verdict"`
		Reason  string `json:"reason"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return unsure("the webhook's answer is no JSON")
	}
	switch said.Verdict {
	case pass, fail, inconclusive:
		if said.Reason == "" {
			said.Reason = "the webhook says " + said.Verdict
		}
		return answer{said.Verdict, said.Reason}
	}
	return unsure("the webhook's verdict is %q, not pass, fail or inconclusive", said.Verdict)
}
