package e2e_test

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// metric reads a number of a process's metrics.
func metric(ops, name string) (float64, error) {
	r, err := harness.Get(context.Background(), ops+"/metrics")
	if err != nil {
		return 0, err
	}
	found := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(r.Body)
	if found == nil {
		return 0, fmt.Errorf("%s has no metric %s", ops, name)
	}
	return strconv.ParseFloat(found[1], 64)
}

// leader is the replica that takes the steps of rollouts, if exactly one says that it does.
func leader(s *harness.Stack) (string, error) {
	var leaders []string
	for _, replica := range s.Ready.Replicas {
		leads, err := metric(replica.Ops, "tidegate_rollout_leader")
		if err == nil && leads == 1 {
			leaders = append(leaders, replica.Name)
		}
	}
	if len(leaders) != 1 {
		return "", fmt.Errorf("the leaders are %q", leaders)
	}
	return leaders[0], nil
}

// Whichever replica dies at whatever step: exactly one leads, agents go to those that are left, and the rollout goes on where it was.
func TestReplicasOfTheControlPlaneTakeEachOthersPlace(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 3, ControlPlanes: 2})
	good := harness.NewUpstream(t, "good")
	s.Apply(ordersAt(good.URL))
	var connected float64
	for _, replica := range s.Ready.Replicas {
		held, err := metric(replica.Ops, "tidegate_agents_connected")
		if err != nil {
			t.Fatal(err)
		}
		connected += held
	}
	if connected != 3 {
		t.Errorf("the replicas hold the streams of %g agents, want 3", connected)
	}
	answers(t, s, 200, "PUT", "/v1/fleets/default/strategies/steps", jsonText(`{"name":"steps","spec":{"steps":[`+
		`{"agents":1,"traffic_percent":20,"bake":"2s"},{"agents":2,"traffic_percent":40,"bake":"2s"},{"agents_percent":100,"traffic_percent":60,"bake":"2s"},{"agents_percent":100,"traffic_percent":100}]}}`))
	load := harness.StartLoad(t, 100, s.Proxies("/orders/7"))
	s.Apply(ordersAt(good.URL)+"  - {name: users, service: orders, match: {paths: [/users]}}\n", "--strategy", "steps", "--wait=false")
	for step := range 3 {
		var killed string
		harness.Eventually(t, 20*time.Second, "one leads in step "+strconv.Itoa(step), func() error {
			rollout, err := s.LatestRollout()
			if err != nil {
				return err
			}
			if rollout.State == "completed" || rollout.Step > step {
				return nil
			}
			if rollout.State != "running" || rollout.Step != step {
				return fmt.Errorf("the rollout is %s in step %d", rollout.State, rollout.Step)
			}
			killed, err = leader(s)
			return err
		})
		if killed == "" {
			continue
		}
		s.Kill(killed, syscall.SIGKILL)
	}
	rollout := s.WaitRollout(2, "completed", 60*time.Second)
	if counts := load.Stop(); len(counts) != 1 || counts["200"] == 0 {
		t.Errorf("clients saw %v, want nothing but 200", counts)
	}
	entered := map[int]int{}
	for _, event := range rollout.Events {
		if event.Type == "started" || event.Type == "step" {
			entered[event.Step]++
		}
	}
	if len(entered) != 4 || entered[0] != 1 || entered[1] != 1 || entered[2] != 1 || entered[3] != 1 {
		t.Errorf("the steps were entered so often: %v, want each once", entered)
	}
	harness.Eventually(t, 20*time.Second, "one leads in the end", func() error {
		_, err := leader(s)
		return err
	})
}
