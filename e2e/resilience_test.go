package e2e_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// resilience is a stack with one agent in zone a, whose services each have their own upstreams.
type resilience struct {
	stack *harness.Stack
	proxy string
	ops   string
}

// Upstreams that are slow, cut, deaf or failing: what an agent does about it, by real revisions.
func TestResilience(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	agent := s.StartAgent(t, "resilience", "--zone", "a")
	r := &resilience{stack: s, proxy: agent.Proxy, ops: agent.Ops}
	cases := map[string]func(t *testing.T, r *resilience) (config string, test func(t *testing.T)){
		"breaker": breakerOpensAndCloses, "concurrency": concurrencyIsBounded, "pending": connectionsAreBounded,
		"ejection": cutTargetIsLeftOut, "hedging": slowTargetIsHedged, "hash": keysKeepTheirTargets, "zone": requestsStayInTheZone,
		"hole": blackHoleIsFound, "deadline": deadlinesAreKept, "state": stateSurvivesRevisions,
	}
	var services, routes strings.Builder
	tests := map[string]func(t *testing.T){}
	for name, prepare := range cases {
		config, test := prepare(t, r)
		fmt.Fprintf(&services, "  - name: %s\n%s", name, config)
		fmt.Fprintf(&routes, "  - {name: %s, service: %s, match: {paths: [\"/%s/**\"]}}\n", name, name, name)
		tests[name] = test
	}
	s.Apply("fleet: resilience\nservices:\n" + services.String() + "routes:\n" + routes.String())
	harness.Eventually(t, 10*time.Second, "the routes are served", func() error {
		if got := mustGet(t, r.proxy+"/state/"); got.Status != http.StatusOK {
			return fmt.Errorf("%d %s", got.Status, got.Reason())
		}
		return nil
	})
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t)
		})
	}
}

// targets writes a list of targets.
func targets(urls ...string) string {
	var out strings.Builder
	out.WriteString("    targets:\n")
	for _, url := range urls {
		fmt.Fprintf(&out, "      - {url: %q}\n", url)
	}
	return out.String()
}

// counts are answers by status and reason.
type counts map[string]int

// burst sends requests at the same time.
func (r *resilience) burst(t *testing.T, n int, path string, headers ...string) counts {
	t.Helper()
	var mu sync.Mutex
	got := counts{}
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			answer, err := harness.Get(t.Context(), r.proxy+path, headers...)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				got[err.Error()]++
				return
			}
			got[strings.TrimSpace(fmt.Sprint(answer.Status, " ", answer.Reason()))]++
		})
	}
	group.Wait()
	return got
}

// metric is the value of a series of the agent's, whose name and labels contain all parts.
func (r *resilience) metric(t *testing.T, parts ...string) float64 {
	t.Helper()
	answer := mustGet(t, r.ops+"/metrics")
next:
	for line := range strings.Lines(answer.Body) {
		for _, part := range parts {
			if !strings.Contains(line, part) {
				continue next
			}
		}
		fields := strings.Fields(line)
		if value, err := strconv.ParseFloat(fields[len(fields)-1], 64); err == nil {
			return value
		}
	}
	return -1
}

func breakerOpensAndCloses(t *testing.T, r *resilience) (string, func(*testing.T)) {
	up := harness.NewUpstream(t, "up")
	return fmt.Sprintf("    url: %q\n    circuit_breaker: {consecutive_failures: 5, open: 2s, trial_requests: 2}\n", up.URL), func(t *testing.T) {
		up.Answer(http.StatusInternalServerError)
		for range 5 {
			if got := mustGet(t, r.proxy+"/breaker/"); got.Status != http.StatusInternalServerError {
				t.Fatal(got.Status, got.Reason())
			}
		}
		asked := up.Requests.Load()
		for range 20 {
			got := mustGet(t, r.proxy+"/breaker/")
			if got.Status != http.StatusServiceUnavailable || got.Reason() != "circuit_open" || got.Header.Get("Retry-After") == "" {
				t.Fatal(got.Status, got.Reason(), got.Header)
			}
		}
		if n := up.Requests.Load() - asked; n != 0 {
			t.Error(n, "requests reached the upstream while the breaker was open")
		}
		if state := r.metric(t, "tidegate_upstream_breaker_state{", `service="breaker"`, `arm="stable"`); state != 1 {
			t.Error("the metric says", state)
		}
		up.Answer(http.StatusOK)
		harness.Eventually(t, 10*time.Second, "the breaker closes", func() error {
			mustGet(t, r.proxy+"/breaker/")
			if state := r.metric(t, "tidegate_upstream_breaker_state{", `service="breaker"`, `arm="stable"`); state != 0 {
				return fmt.Errorf("its state is %v", state)
			}
			return nil
		})
		if got := r.burst(t, 10, "/breaker/"); got["200"] != 10 {
			t.Error("after it closed:", got)
		}
	}
}

func concurrencyIsBounded(t *testing.T, r *resilience) (string, func(*testing.T)) {
	line := harness.NewLine(t, harness.NewUpstream(t, "up").URL)
	return fmt.Sprintf("    url: %q\n    circuit_breaker: {max_concurrent: 3}\n", line.URL), func(t *testing.T) {
		line.Slow(1000)
		if got := r.burst(t, 12, "/concurrency/"); got["200"] < 3 || got["503 overloaded"] < 1 || got["200"]+got["503 overloaded"] != 12 {
			t.Error(got)
		}
		line.Mend()
		if got := mustGet(t, r.proxy+"/concurrency/"); got.Status != http.StatusOK {
			t.Error("afterwards:", got.Status, got.Reason())
		}
	}
}

// connections counts those that an upstream has open, the most at a time, and those that have ended.
type connections struct{ open, most, ended atomic.Int64 }

func (c *connections) note(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		open := c.open.Add(1)
		for most := c.most.Load(); open > most && !c.most.CompareAndSwap(most, open); most = c.most.Load() {
		}
	case http.StateClosed:
		c.open.Add(-1)
		c.ended.Add(1)
	case http.StateActive, http.StateIdle, http.StateHijacked:
	}
}

// counted is an upstream that counts its connections.
func counted(t *testing.T, handler http.HandlerFunc) (string, *connections) {
	t.Helper()
	c := new(connections)
	server := httptest.NewUnstartedServer(handler)
	server.Config.ConnState = c.note
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, c
}

func connectionsAreBounded(t *testing.T, r *resilience) (string, func(*testing.T)) {
	url, conns := counted(t, func(http.ResponseWriter, *http.Request) {
		pause := time.NewTimer(300 * time.Millisecond)
		<-pause.C
	})
	config := fmt.Sprintf("    url: %q\n    connection_pool: {max_open: 2}\n    circuit_breaker: {max_pending: 4}\n    retries: {attempts: 1}\n", url)
	return config, func(t *testing.T) {
		got := r.burst(t, 12, "/pending/")
		if got["200"] < 6 || got["503 overloaded"] == 0 || got["200"]+got["503 overloaded"] != 12 || conns.most.Load() > 2 {
			t.Errorf("%v over %d connections; 2 run, 4 wait, the others are refused", got, conns.most.Load())
		}
	}
}

func cutTargetIsLeftOut(t *testing.T, r *resilience) (string, func(*testing.T)) {
	good := harness.NewUpstream(t, "good")
	bad := harness.NewUpstream(t, "bad")
	line := harness.NewLine(t, bad.URL)
	return targets(good.URL, line.URL) + "    outlier_detection: {consecutive_failures: 3, ejection: 1s}\n", func(t *testing.T) {
		line.Cut()
		ejected := func() float64 {
			return r.metric(t, "tidegate_upstream_target_ejected{", `service="ejection"`, line.URL, `arm="stable"`)
		}
		harness.Eventually(t, 10*time.Second, "the target that is cut is left out", func() error {
			if got := mustGet(t, r.proxy+"/ejection/"); got.Status != http.StatusOK {
				t.Error("a GET was not saved by the other target:", got.Status, got.Reason())
			}
			if ejected() != 1 {
				return fmt.Errorf("it is not left out")
			}
			return nil
		})
		line.Mend()
		before := bad.Requests.Load()
		harness.Eventually(t, 10*time.Second, "it comes back", func() error {
			mustGet(t, r.proxy+"/ejection/")
			if ejected() != 0 || bad.Requests.Load() == before {
				return fmt.Errorf("it is left out")
			}
			return nil
		})
	}
}

func slowTargetIsHedged(t *testing.T, r *resilience) (string, func(*testing.T)) {
	fast, slow := harness.NewUpstream(t, "fast"), harness.NewUpstream(t, "slow")
	line := harness.NewLine(t, slow.URL)
	return targets(fast.URL, line.URL) + "    hedging: {after: 100ms}\n    retries: {budget_percent: 100}\n", func(t *testing.T) {
		line.Slow(3000)
		for range 10 {
			began := time.Now()
			got := mustGet(t, r.proxy+"/hedging/")
			if took := time.Since(began); got.Status != http.StatusOK || got.Header.Get("X-Upstream") != "fast" || took > 2*time.Second {
				t.Errorf("%d from %q after %v", got.Status, got.Header.Get("X-Upstream"), took)
			}
		}
		if n := r.metric(t, "tidegate_upstream_hedges_total{", `service="hedging"`, `arm="stable"`); n < 3 {
			t.Error("hedges:", n)
		}
		// A POST is sent once, and waits.
		got, err := harness.Send(t.Context(), http.MethodPost, r.proxy+"/hedging/", "pay")
		if err != nil || got.Status != http.StatusOK {
			t.Error(got.Status, err)
		}
	}
}

func keysKeepTheirTargets(t *testing.T, r *resilience) (string, func(*testing.T)) {
	const n, keys = 4, 60
	var urls []string
	var lines []*harness.Line
	for i := range n {
		line := harness.NewLine(t, harness.NewUpstream(t, strconv.Itoa(i)).URL)
		lines, urls = append(lines, line), append(urls, line.URL)
	}
	config := targets(urls...) + "    load_balancing: {policy: maglev, hash_on: {header: x-user}}\n    outlier_detection: {consecutive_failures: 1, ejection: 30s}\n"
	return config, func(t *testing.T) {
		place := func() (out [keys]string) {
			for i := range keys {
				got := mustGet(t, r.proxy+"/hash/", "X-User: user"+strconv.Itoa(i))
				if got.Status != http.StatusOK {
					t.Fatal(got.Status, got.Reason())
				}
				out[i] = got.Header.Get("X-Upstream")
			}
			return out
		}
		first := place()
		if again := place(); again != first {
			t.Error("keys moved without a reason")
		}
		gone := first[0]
		number, err := strconv.Atoi(gone)
		if err != nil {
			t.Fatal(err)
		}
		lines[number].Cut()
		mustGet(t, r.proxy+"/hash/", "X-User: user0")
		used := map[string]bool{}
		for i, now := range place() {
			if first[i] != gone && now != first[i] || now == gone {
				t.Errorf("user%d was at %s and is at %s, and %s is cut", i, first[i], now, gone)
			}
			used[now] = true
		}
		if len(used) != n-1 {
			t.Error("used are", used)
		}
	}
}

func requestsStayInTheZone(t *testing.T, r *resilience) (string, func(*testing.T)) {
	near, far := harness.NewUpstream(t, "near"), harness.NewUpstream(t, "far")
	line := harness.NewLine(t, near.URL)
	config := fmt.Sprintf("    targets: [{url: %q, zone: a}, {url: %q, zone: b}]\n    load_balancing: {zone_awareness: {}}\n", line.URL, far.URL)
	return config + "    outlier_detection: {consecutive_failures: 1, ejection: 1s}\n", func(t *testing.T) {
		for range 20 {
			if got := mustGet(t, r.proxy+"/zone/"); got.Header.Get("X-Upstream") != "near" {
				t.Fatal(got.Status, got.Header.Get("X-Upstream"))
			}
		}
		line.Cut()
		for range 20 {
			if got := mustGet(t, r.proxy+"/zone/"); got.Header.Get("X-Upstream") != "far" {
				t.Fatal("with the own zone cut:", got.Status, got.Reason())
			}
		}
		line.Mend()
		harness.Eventually(t, 10*time.Second, "requests come home", func() error {
			if got := mustGet(t, r.proxy+"/zone/"); got.Header.Get("X-Upstream") != "near" {
				return fmt.Errorf("it is answered by %q", got.Header.Get("X-Upstream"))
			}
			return nil
		})
	}
}

// The line to one of three targets goes deaf in the middle of traffic, and nothing in the configuration helps.
func blackHoleIsFound(t *testing.T, r *resilience) (string, func(*testing.T)) {
	var urls []string
	var lines []*harness.Line
	for i := range 3 {
		line := harness.NewLine(t, harness.NewUpstream(t, strconv.Itoa(i)).URL)
		lines, urls = append(lines, line), append(urls, line.URL)
	}
	return targets(urls...), func(t *testing.T) {
		r.burst(t, 30, "/hole/")
		lines[1].Deafen()
		var began, failed atomic.Int64
		var group sync.WaitGroup
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for deafened := time.Now(); time.Since(deafened) < 6*time.Second; <-tick.C {
			late := time.Since(deafened) > 2*time.Second
			group.Go(func() {
				got, err := harness.Get(t.Context(), r.proxy+"/hole/")
				if late {
					began.Add(1)
				}
				if late && (err != nil || got.Status != http.StatusOK) {
					failed.Add(1)
				}
			})
		}
		group.Wait()
		if failed.Load()*100 >= began.Load() {
			t.Errorf("after two seconds %d of %d requests failed", failed.Load(), began.Load())
		}
	}
}

func deadlinesAreKept(t *testing.T, r *resilience) (string, func(*testing.T)) {
	url, _ := counted(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Left", r.Header.Get("X-Deadline-Ms"))
		if strings.HasSuffix(r.URL.Path, "/slow") {
			<-r.Context().Done()
		}
	})
	return fmt.Sprintf("    url: %q\n    deadline_header: x-deadline-ms\n", url), func(t *testing.T) {
		got := mustGet(t, r.proxy+"/deadline/", "X-Deadline-Ms: 5000")
		if left, err := strconv.Atoi(got.Header.Get("X-Left")); err != nil || left > 5000 || left < 1000 {
			t.Error("the upstream was told", got.Header.Get("X-Left"))
		}
		began := time.Now()
		got = mustGet(t, r.proxy+"/deadline/slow", "X-Deadline-Ms: 300")
		if took := time.Since(began); got.Status != http.StatusGatewayTimeout || got.Reason() != "upstream_timeout" || took > 3*time.Second {
			t.Error(got.Status, got.Reason(), "after", took)
		}
	}
}

// A revision that changes other settings of a service leaves its connections and ejections as they are.
func stateSurvivesRevisions(t *testing.T, r *resilience) (string, func(*testing.T)) {
	url, conns := counted(t, func(http.ResponseWriter, *http.Request) {})
	const dead = "127.0.0.1:1" // nobody listens on it, and nobody is given it
	list := targets(url, "http://"+dead) + "    outlier_detection: {ejection: 5m, max_ejection: 5m}\n    connection_pool: {idle_timeout: 10m}\n"
	return list, func(t *testing.T) {
		for range 10 {
			if got := mustGet(t, r.proxy+"/state/"); got.Status != http.StatusOK {
				t.Fatal(got.Status, got.Reason())
			}
		}
		ejections := func() float64 {
			return r.metric(t, "tidegate_upstream_target_ejections_total{", `service="state"`, dead, `arm="stable"`)
		}
		if ejections() != 1 || conns.open.Load() == 0 {
			t.Fatalf("%v ejections and %d connections before", ejections(), conns.open.Load())
		}
		r.stack.Apply("fleet: resilience\nservices:\n  - name: state\n"+list+"    timeouts: {response_header: 7s}\n    retries: {attempts: 4}\n", "--strategy", "immediate")
		harness.Eventually(t, 10*time.Second, "the revision is served", func() error {
			if body := mustGet(t, r.ops+"/debug/config").Body; !strings.Contains(body, "7s") {
				return fmt.Errorf("it is not")
			}
			return nil
		})
		for range 10 {
			mustGet(t, r.proxy+"/state/")
		}
		if ejections() != 1 || conns.ended.Load() != 0 {
			t.Errorf("after it: %v ejections, and %d connections were closed", ejections(), conns.ended.Load())
		}
		var states []struct {
			Service string `json:"service"`
			Targets []struct {
				URL  string `json:"url"`
				Arms []struct {
					Ejected bool `json:"ejected"`
				} `json:"arms"`
			} `json:"targets"`
		}
		if err := json.Unmarshal([]byte(mustGet(t, r.ops+"/debug/upstreams").Body), &states); err != nil {
			t.Fatal(err)
		}
		for _, s := range states {
			if s.Service == "state" && (len(s.Targets) != 2 || s.Targets[0].Arms[0].Ejected || !s.Targets[1].Arms[0].Ejected) {
				t.Errorf("/debug/upstreams shows %+v", s)
			}
		}
	}
}

// A candidate breaks its requests to an upstream that stable uses too. Its breaker opens; stable's does not, and no request of
// stable's fails.
func TestACandidateKeepsItsFailuresToItself(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	if r := s.Admin(http.MethodPut, "/v1/fleets/default/strategies/slowly", jsonText(slowly), nil); r.Status != http.StatusOK {
		t.Fatalf("making the strategy: %d %s", r.Status, r.Body)
	}
	url, _ := counted(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/broken") {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	revision := func(rewrite string) string {
		return fmt.Sprintf(`
fleet: default
services:
  - name: up
    url: %q
    circuit_breaker: {consecutive_failures: 2, open: 1m}
routes:
  - {name: all, service: up, match: {paths: ["/**"]}%s}
`, url, rewrite)
	}
	s.Apply(revision(""))
	r := &resilience{stack: s, proxy: s.Ready.Agents[0].Proxy, ops: s.Ready.Agents[0].Ops}
	load := harness.StartLoad(t, 100, []string{r.proxy + "/x"})
	s.Apply(revision(", rewrite: {path_prefix: /broken}"), "--strategy", "slowly", "--wait=false")
	s.WaitRollout(2, "rolled_back", 30*time.Second)
	opened := func(arm string) float64 {
		return max(0, r.metric(t, "tidegate_upstream_breaker_opened_total{", `service="up"`, `arm="`+arm+`"`))
	}
	if opened("candidate") != 1 || opened("stable") != 0 {
		t.Errorf("the candidate's breaker opened %v times, stable's %v times", opened("candidate"), opened("stable"))
	}
	got := load.Stop()
	failed := got["500"] + got["503 circuit_open"]
	if got["500"] != 2 || failed > 40 || got["200"] < 50 || len(got) > 3 {
		t.Errorf("under the candidate: %s", load.Describe())
	}
	for range 50 {
		if got := mustGet(t, r.proxy+"/x"); got.Status != http.StatusOK {
			t.Fatal("afterwards:", got.Status, got.Reason())
		}
	}
}
