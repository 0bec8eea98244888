package e2e_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// Postgres is restored from an old backup, twice. Agents go on with what they have and say why; only when an operator opens a new epoch
// do they take what the restored configuration says.
func TestAfterARestoreAgentsWaitForANewEpoch(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 2})
	answers(t, s, http.StatusOK, "PUT", "/v1/fleets/default/strategies/at-once", jsonText(atOnce))
	one, two := harness.NewUpstream(t, "one"), harness.NewUpstream(t, "two")
	s.Apply(ordersAt(one.URL))
	backup := filepath.Join(s.Dir(), "backup")
	s.Backup(backup)
	harness.Eventually(t, time.Minute, "the control plane is back", func() error {
		f, err := s.LatestRollout()
		if err == nil && f.Revision != 1 {
			err = fmt.Errorf("the latest rollout is of revision %d", f.Revision)
		}
		return err
	})
	load := harness.StartLoad(t, 50, s.Proxies("/orders/7"))
	for round, epoch := range []string{"epoch 2 is open", "epoch 3 is open"} {
		s.Apply(ordersAt(two.URL))
		for _, url := range s.Proxies("/orders/7") {
			servedBy(t, url, "two")
		}
		s.Restore(backup)
		harness.Eventually(t, time.Minute, "the agents refuse what is older, and say so", func() error { return refusesAll(s, "stale_generation") })
		for _, url := range s.Proxies("/orders/7") {
			servedBy(t, url, "two")
		}
		if out := s.MustCLI("fleet", "new-epoch", "--reason", fmt.Sprint("restored for the ", round, ". time")); !contains(out, epoch) {
			t.Errorf("new-epoch says %q", out)
		}
		for _, url := range s.Proxies("/orders/7") {
			servedBy(t, url, "one")
		}
	}
	wantOnly200(t, load)
	answers(t, s, http.StatusOK, "GET", "/v1/auditEvents?filter=action%3Dfleet.open_epoch", nil, "restored for the 1. time")
	if out, code := s.CLI("fleet", "new-epoch"); code == 0 || !contains(out, "--reason") {
		t.Errorf("without a reason: %d %s", code, out)
	}
}

// servedBy waits until an upstream's answer comes.
func servedBy(t *testing.T, url, upstream string) {
	t.Helper()
	harness.Eventually(t, 30*time.Second, url+" is served by "+upstream, func() error {
		r, err := harness.Get(t.Context(), url)
		if err == nil && r.Header.Get("X-Upstream") != upstream {
			err = fmt.Errorf("%d from %q %s", r.Status, r.Header.Get("X-Upstream"), r.Reason())
		}
		return err
	})
}

// refusesAll says whether every agent is shown with an error.
func refusesAll(s *harness.Stack, with string) error {
	var list struct {
		Agents []struct{ Name, Error string } `json:"agents"`
	}
	if _, err := s.TryAdmin(http.MethodGet, fleetAgentsPath, nil, &list); err != nil {
		return err
	}
	for _, a := range list.Agents {
		if !strings.Contains(a.Error, with) {
			return fmt.Errorf("%s is shown with %q", a.Name, a.Error)
		}
	}
	if len(list.Agents) == 0 {
		return fmt.Errorf("no agents are shown")
	}
	return nil
}
