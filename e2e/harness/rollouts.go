package harness

import (
	"fmt"
	"net/http"
	"time"
)

// Rollout is what the tests read of a rollout.
type Rollout struct {
	ID              string `json:"id"`
	Revision        int    `json:"revision"`
	StableRevision  int    `json:"stable_revision"`
	State           string `json:"state"`
	Reason          string `json:"reason"`
	Step            int    `json:"step"`
	CandidateAgents int    `json:"candidate_agents"`
	Events          []struct {
		Type    string `json:"type"`
		Message string `json:"message"`
		Step    int    `json:"step"`
	} `json:"events"`
	Evidence []struct {
		Metric         string `json:"metric"`
		Verdict        string `json:"verdict"`
		CandidateTotal string `json:"candidate_total"`
		ControlTotal   string `json:"control_total"`
	} `json:"evidence"`
}

// Fleet is what the tests read of a fleet.
type Fleet struct {
	HeadRevision    int `json:"head_revision"`
	StableRevision  int `json:"stable_revision"`
	AgentsConnected int `json:"agents_connected"`
	LaneSequence    int `json:"lane_sequence"`
}

const fleetPath = "/v1/fleets/default"

// Fleet reads the fleet.
func (s *Stack) Fleet() Fleet {
	s.t.Helper()
	var f Fleet
	if r := s.Admin(http.MethodGet, fleetPath, nil, &f); r.Status != http.StatusOK {
		s.t.Fatalf("reading the fleet: %d %s", r.Status, r.Body)
	}
	return f
}

// LatestRollout reads the newest rollout of the default fleet with all that is known of it.
func (s *Stack) LatestRollout() (Rollout, error) {
	s.t.Helper()
	return s.LatestRolloutOf("default")
}

// LatestRolloutOf is LatestRollout of any fleet.
func (s *Stack) LatestRolloutOf(fleet string) (Rollout, error) {
	s.t.Helper()
	path := "/v1/fleets/" + fleet + "/rollouts"
	var list struct {
		Rollouts []Rollout `json:"rollouts"`
	}
	r, err := s.TryAdmin(http.MethodGet, path+"?page_size=1", nil, &list)
	switch {
	case err != nil:
		return Rollout{}, err
	case r.Status != http.StatusOK:
		return Rollout{}, fmt.Errorf("listing rollouts: %d %s", r.Status, r.Body)
	case len(list.Rollouts) == 0:
		return Rollout{}, fmt.Errorf("there is no rollout")
	}
	var whole Rollout
	if _, err := s.TryAdmin(http.MethodGet, path+"/"+list.Rollouts[0].ID, nil, &whole); err != nil {
		return Rollout{}, err
	}
	return whole, nil
}

// WaitRollout waits until the rollout of a revision of the default fleet is in a state, and returns it.
func (s *Stack) WaitRollout(revision int, state string, within time.Duration) Rollout {
	s.t.Helper()
	return s.WaitRolloutOf("default", revision, state, within)
}

// WaitRolloutOf is WaitRollout of any fleet.
func (s *Stack) WaitRolloutOf(fleet string, revision int, state string, within time.Duration) Rollout {
	s.t.Helper()
	var last Rollout
	Eventually(s.t, within, fmt.Sprintf("the rollout of revision %d is %s", revision, state), func() error {
		var err error
		if last, err = s.LatestRolloutOf(fleet); err != nil {
			return err
		}
		if last.Revision != revision || last.State != state {
			return fmt.Errorf("rollout %s of revision %d is %s at step %d: %s", last.ID, last.Revision, last.State, last.Step, last.Reason)
		}
		return nil
	})
	return last
}

// Proxies are the URLs of a path at every agent.
func (s *Stack) Proxies(path string) []string {
	var out []string
	for _, agent := range s.Ready.Agents {
		out = append(out, agent.Proxy+path)
	}
	return out
}
