package upstream

import (
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
)

// TestMain fails if anything runs on when all registries were closed or let go.
func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			_, _ = os.Stderr.WriteString(err.Error() + "\n")
			code = 1
		}
	}
	os.Exit(code)
}

func TestWhatOutlivesAChange(t *testing.T) {
	t.Parallel()
	r := NewRegistry(Environment{})
	base := Config{Name: "s", Targets: targets(1, 1), Health: HealthConfig{Type: HealthTCP, Interval: time.Hour}}
	before := acquire(t, r, base)
	now := r.clock.now()
	bad := before.Targets()[0]
	before.judge(1, bad, FailureConnect, now)
	for range 5 {
		before.Retry(1, 1, FailureReset)
	}
	for name, change := range map[string]func(*Config){
		"a weight":            func(c *Config) { c.Targets = targets(3, 1) },
		"a timeout":           func(c *Config) { c.ConnectTimeout = time.Second },
		"retries":             func(c *Config) { c.Retry.Attempts = 3 },
		"a policy":            func(c *Config) { c.Balancing.Policy = LeastRequest },
		"a breaker":           func(c *Config) { c.Breaker.Consecutive = 7 },
		"one target more":     func(c *Config) { c.Targets = append(targets(1, 1), TargetConfig{URL: "http://more"}) },
		"when to leave out":   func(c *Config) { c.Outlier.Consecutive = 9 },
		"other health checks": func(c *Config) { c.Health.Interval = time.Minute },
	} {
		changed := base
		change(&changed)
		after := acquire(t, r, changed)
		if after == before || after.Targets()[0] != bad || picks(after, 1, time.Now(), 20)[bad] != 0 {
			t.Error(name, "makes everything forgotten of a target")
		}
		if after.state != before.state {
			t.Error(name, "makes everything forgotten of a service")
		}
	}
	for name, change := range map[string]func(*Config){
		"a name":            func(c *Config) { c.Name = "other" },
		"a protocol":        func(c *Config) { c.Protocol = HTTP2Cleartext },
		"a bound of a pool": func(c *Config) { c.MaxOpen = 7 },
		"an address":        func(c *Config) { c.Targets[0].URL = "http://target0/below" },
	} {
		changed := base
		changed.Targets = targets(1, 1)
		change(&changed)
		if acquire(t, r, changed).Targets()[0] == bad {
			t.Error(name, "does not shape a target")
		}
	}
	// Certificates do not matter to a target without TLS.
	changed := base
	changed.TLS.ServerName = "x"
	if acquire(t, r, changed).Targets()[0] != bad {
		t.Error("a setting of TLS shapes a target without TLS")
	}
}

func TestWindowsAreAdopted(t *testing.T) {
	t.Parallel()
	r := NewRegistry(Environment{})
	s := acquire(t, r, Config{Name: "s", Targets: targets(1, 1), Breaker: BreakerConfig{Consecutive: 1, Open: time.Hour}})
	bad := s.Targets()[0]
	s.judge(2, bad, FailureConnect, r.clock.now())
	permit, _, _ := s.Enter(2)
	permit.Settle(Failure500)
	permit.Leave()
	for range 5 {
		s.Retry(2, 1, FailureReset)
	}
	if !ask(s, FailureNone) || picks(s, 1, time.Now(), 20)[bad] == 0 {
		t.Fatal("the candidate's failures are stable's")
	}
	r.Adopt(2, 1)
	if ask(s, FailureNone) || picks(s, 1, time.Now(), 20)[bad] != 0 || s.state.windows[1].budget.tokens.Load() != s.state.windows[2].budget.tokens.Load() {
		t.Error("stable did not take over what the candidate knows")
	}
	if s.state.windows[2].breaker.opened.Load() != 1 {
		t.Error("the candidate forgot it")
	}
}

func TestNothingRunsAfterClose(t *testing.T) {
	t.Parallel()
	r := NewRegistry(Environment{})
	s := acquire(t, r, Config{Name: "s", Targets: targets(1, 1), Health: HealthConfig{Type: HealthTCP, Interval: time.Millisecond}})
	r.Close()
	r.Close()
	// What is held can still be used, and more be acquired.
	acquire(t, r, Config{Name: "other", Targets: targets(1), Health: HealthConfig{Type: HealthHTTP}})
	if s.Pick(Choice{Now: time.Now()}) == nil {
		t.Error("no target")
	}
	r.running.Wait()
}

func TestWhatIsShown(t *testing.T) {
	t.Parallel()
	r := NewRegistry(Environment{})
	config := Config{Name: "s", Targets: targets(1, 2), Breaker: BreakerConfig{Consecutive: 1}}
	s := acquire(t, r, config)
	target := s.Pick(Choice{Window: 1, Now: time.Now()})
	s.Report(1, target, FailureConnect, time.Millisecond, time.Now())
	target.Done(1)
	ask(s, Failure500)
	config.ConnectTimeout = time.Hour
	acquire(t, r, config)

	states := r.States()
	if len(states) != 2 || states[0].Service != "s" || len(states[0].Targets) != 2 || states[0].Arms[0].Breaker != "open" {
		t.Fatalf("%+v", states)
	}
	shown := states[0].Targets[slices.Index(s.Targets(), target)]
	if arm := shown.Arms[0]; !arm.Ejected || arm.Ejections != 1 || arm.Running != 0 || shown.URL != "http://"+target.Host() || !shown.Healthy {
		t.Errorf("%+v", shown)
	}

	metrics := prometheus.NewPedanticRegistry()
	if err := metrics.Register(NewCollector(r)); err != nil {
		t.Fatal(err)
	}
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			got[name] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"tidegate_upstream_breaker_state stable s":                          1,
		"tidegate_upstream_breaker_opened_total stable s":                   1,
		"tidegate_upstream_target_ejected stable s http://" + target.Host(): 1,
		"tidegate_upstream_target_ejections_total stable s http://target1":  got["tidegate_upstream_target_ejected stable s http://target1"],
		"tidegate_upstream_target_healthy s http://target0":                 1,
		"tidegate_upstream_target_running stable s http://" + target.Host(): 0,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s is %v, %v, want %v", name, value, ok, want)
		}
	}
}
