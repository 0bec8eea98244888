package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// greedy is a configuration that is small to publish and large to serve: hundreds of services with tables for consistent hashing.
func greedy(t *testing.T, url string, services int) []byte {
	t.Helper()
	type target struct {
		URL string `json:"url"`
	}
	type resource map[string]any
	var all []resource
	for i := range services {
		var targets []target
		for j := range 20 {
			targets = append(targets, target{fmt.Sprintf("http://127.1.%d.%d:%d", i/250, i%250, 7000+j)})
		}
		all = append(all, resource{"name": fmt.Sprintf("greedy-%d", i), "service": map[string]any{
			"targets": targets, "load_balancing": map[string]any{"policy": "maglev", "hash_on": map[string]string{"header": "x-key"}},
		}})
	}
	all = append(all, resource{"name": "orders", "service": map[string]string{"url": url}})
	body, err := json.Marshal(map[string]any{"resources": all, "strategy": "patient"})
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// revived starts an agent again whenever it dies, as a service manager does, until stop.
func revived(t *testing.T, a *harness.OwnAgent) (deaths func() int, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	died := 0
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-a.Ended():
			}
			mu.Lock()
			died++
			mu.Unlock()
			a.Start()
		}
	})
	return func() int {
			mu.Lock()
			defer mu.Unlock()
			return died
		}, func() {
			cancel()
			watching.Wait()
		}
}

// A candidate takes more memory than an agent may have, and the process dies of it. The rollout is taken back for that, the agent
// comes back with what it had, and no other agent notices.
func TestACandidateThatAnAgentDiesOfIsTakenBack(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.Skip("needs prlimit of util-linux to bound an agent's memory")
	}
	s := harness.Start(t, harness.Options{Agents: 1})
	answers(t, s, http.StatusOK, "PUT", "/v1/fleets/default/strategies/patient", jsonText(`{"name":"patient","spec":{"steps":[`+
		`{"agents_percent":100,"traffic_percent":10,"bake":"10m","minimum_samples":0},{"agents_percent":100,"traffic_percent":100}]}}`))
	one := harness.NewUpstream(t, "one")
	s.Apply(ordersAt(one.URL))
	load := harness.StartLoad(t, 100, s.Proxies("/orders/7"))
	tight := s.StartAgent(t, "default", "--name", "tight")
	path := tight.Proxy + "/orders/7"
	harness.Eventually(t, 20*time.Second, "the agent serves", func() error { return servesOK(t.Context(), path) })
	tight.Under("prlimit", fmt.Sprintf("--data=%d", dataOf(t, tight.PID)+64*mebibyte), "--")
	tight.Restart()
	harness.Eventually(t, 20*time.Second, "it serves with its memory bounded", func() error { return servesOK(t.Context(), path) })
	deaths, stop := revived(t, tight)
	defer stop()

	r := s.Admin(http.MethodPost, "/v1/fleets/default:apply", json.RawMessage(greedy(t, harness.NewUpstream(t, "two").URL, 1500)), nil)
	if r.Status != http.StatusOK {
		t.Fatalf("applying the greedy revision: %d %s", r.Status, r.Body)
	}
	rollout := s.WaitRollout(2, "rolled_back", 90*time.Second)
	if !strings.Contains(rollout.Reason, "agent tight") || deaths() == 0 {
		t.Errorf("after %d deaths it was rolled back for %q\n%s", deaths(), rollout.Reason, tight.Log())
	}
	harness.Eventually(t, time.Minute, "the agent serves what it had", func() error {
		served, err := tight.Serves(t.Context())
		if err == nil && (served.Stable != 3 || served.Candidate != 0) { // 3 is the revert
			err = fmt.Errorf("it serves %+v", served)
		}
		return errors.Join(err, servesOK(t.Context(), path))
	})
	t.Logf("the agent died %d times; rolled back: %s", deaths(), rollout.Reason)
	wantOnly200(t, load)
}

func servesOK(ctx context.Context, url string) error {
	r, err := harness.Get(ctx, url)
	if err == nil && r.Status != http.StatusOK {
		err = fmt.Errorf("%s answers %d %s", url, r.Status, r.Reason())
	}
	return err
}
