package e2e_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// workshop is an upstream of known capacity: so many workers, each of which takes so long for a request. Requests wait for a
// worker as long as it takes.
type workshop struct {
	url     string
	workers int
	takes   time.Duration
}

func newWorkshop(t *testing.T, workers int, takes time.Duration) *workshop {
	t.Helper()
	places := make(chan struct{}, workers)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case places <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		defer func() { <-places }()
		work := time.NewTimer(takes/2 + rand.N(takes))
		defer work.Stop()
		<-work.C
		_, _ = io.WriteString(w, "done")
	}))
	t.Cleanup(server.Close)
	return &workshop{url: server.URL, workers: workers, takes: takes}
}

func (w *workshop) capacity() float64 { return float64(w.workers) / w.takes.Seconds() }

// asked is one request of a load.
type asked struct {
	path   string
	status int
	reason string
	retry  string
	took   time.Duration
	err    error
}

// crowd sends requests at a rate, whatever becomes of them, over connections that stay open. paths says what share of the rate
// each path gets.
func crowd(t *testing.T, base string, perSecond float64, length time.Duration, paths map[string]float64) []asked {
	t.Helper()
	// Nobody sends faster than this, so that each is free again when its next turn comes.
	const pace = 5.0
	transport := &http.Transport{MaxIdleConnsPerHost: 10_000, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 30 * time.Second}
	var mu sync.Mutex
	var all []asked
	var group sync.WaitGroup
	began := time.Now()
	for path, share := range paths {
		for range int(perSecond * share / pace) {
			group.Go(func() {
				var mine []asked
				next := began.Add(rand.N(time.Duration(float64(time.Second) / pace)))
				for {
					turn := time.NewTimer(time.Until(next))
					if <-turn.C; time.Since(began) >= length {
						break
					}
					mine = append(mine, ask(client, base, path))
					next = next.Add(time.Duration(rand.ExpFloat64() * float64(time.Second) / pace))
				}
				mu.Lock()
				defer mu.Unlock()
				all = append(all, mine...)
			})
		}
	}
	group.Wait()
	return all
}

func ask(client *http.Client, base, path string) (a asked) {
	began := time.Now()
	a.path = path
	response, err := client.Get(base + path)
	if err != nil {
		a.err = err
		return a
	}
	defer func() { _ = response.Body.Close() }()
	_, a.err = io.Copy(io.Discard, response.Body)
	a.took, a.status = time.Since(began), response.StatusCode
	a.reason, a.retry = response.Header.Get("X-Tidegate-Reason"), response.Header.Get("Retry-After")
	return a
}

// figures are what a load came to.
type figures struct {
	sent, served, refused, failed float64 // a second
	p50, p99, refusalP99          time.Duration
}

func figuresOf(list []asked, length time.Duration) (f figures) {
	var took, refusals []time.Duration
	for _, a := range list {
		switch {
		case a.err == nil && a.status == http.StatusOK:
			took = append(took, a.took)
		case a.err == nil && a.reason == "overloaded":
			refusals = append(refusals, a.took)
		default:
			f.failed++
		}
	}
	seconds := length.Seconds()
	f.sent, f.served, f.refused = float64(len(list))/seconds, float64(len(took))/seconds, float64(len(refusals))/seconds
	f.p50, f.p99, f.refusalP99 = quantile(took, 0.5), quantile(took, 0.99), quantile(refusals, 0.99)
	return f
}

func quantile(list []time.Duration, q float64) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[min(len(list)-1, int(q*float64(len(list))))].Round(100 * time.Microsecond)
}

func (f figures) String() string {
	return fmt.Sprintf("%.0f/s sent, %.0f/s served in %v (p99 %v), %.0f/s refused in %v at p99, %.0f failed",
		f.sent, f.served, f.p50, f.p99, f.refused, f.refusalP99, f.failed)
}

// full runs what takes long, and holds it to the figures that are promised. Otherwise the tests bear a machine that is busy with
// others.
func full() bool { return os.Getenv("TIDEGATE_FULL") != "" }

// With five times as much load as an upstream can bear, as much is served as it can bear, about as fast as at half the load,
// and the rest is refused at once; what matters most is served first.
func TestFiveTimesTooMuchLoad(t *testing.T) {
	t.Parallel()
	s := harness.Start(t, harness.Options{Agents: 1})
	w := newWorkshop(t, 8, 25*time.Millisecond)
	s.Apply(fmt.Sprintf(`
fleet: default
services:
  - {name: work, url: %q, adaptive_concurrency: {}}
  - {name: bare, url: %q}
routes:
  - {name: low, service: work, criticality: sheddable, match: {paths: ["/low"]}}
  - {name: usual, service: work, match: {paths: ["/usual"]}}
  - {name: high, service: work, criticality: critical, match: {paths: ["/high"]}}
  - {name: bare, service: bare, match: {paths: ["/bare"]}}
`, w.url, newWorkshop(t, 8, 25*time.Millisecond).url))
	proxy, capacity, length := s.Ready.Agents[0].Proxy, w.capacity(), 3*time.Second/2
	if full() {
		length = 20 * time.Second
	}
	usual := map[string]float64{"/usual": 1}
	half := figuresOf(crowd(t, proxy, capacity/2, length, usual), length)
	t.Logf("half: %s", half)
	// The limit has to be found first.
	first := figuresOf(crowd(t, proxy, 5*capacity, 2*time.Second, usual), 2*time.Second)
	t.Logf("first: %s", first)
	five := figuresOf(crowd(t, proxy, 5*capacity, length, usual), length)
	t.Logf("five times, of a capacity of %.0f/s: %s", capacity, five)
	// What a busy machine adds is no fault of the limit's.
	goodput, slower, refusal, critical, sheddable := 0.5, 20.0, 2*time.Second, 0.6, 0.4
	if full() {
		goodput, slower, refusal, critical, sheddable = 0.9, 2, 10*time.Millisecond, 0.9, 0.2
	}
	if five.served < goodput*capacity {
		t.Errorf("%.0f/s were served of a capacity of %.0f/s", five.served, capacity)
	}
	if float64(five.p99) > slower*float64(half.p99) {
		t.Errorf("the p99 is %v, at half the load %v", five.p99, half.p99)
	}
	if five.refusalP99 > refusal {
		t.Errorf("refusals take %v at p99", five.refusalP99)
	}
	if five.failed > 0 || five.refused == 0 {
		t.Errorf("failures and refusals: %s", five)
	}

	mixed := crowd(t, proxy, 5*capacity, length, map[string]float64{"/low": 0.5, "/usual": 0.45, "/high": 0.05})
	served := map[string]float64{}
	sent := map[string]float64{}
	for _, a := range mixed {
		sent[a.path]++
		if a.status == http.StatusOK {
			served[a.path]++
		} else if a.retry == "" {
			t.Errorf("%s: %d %s without Retry-After, %v", a.path, a.status, a.reason, a.err)
		}
	}
	t.Logf("served of what was sent: %.2f critical, %.2f default, %.2f sheddable",
		served["/high"]/sent["/high"], served["/usual"]/sent["/usual"], served["/low"]/sent["/low"])
	if served["/high"] < critical*sent["/high"] || served["/low"] > sheddable*sent["/low"] {
		t.Errorf("of what is critical %.0f of %.0f were served, of what is sheddable %.0f of %.0f", served["/high"], sent["/high"], served["/low"], sent["/low"])
	}
	if metrics := mustGet(t, s.Ready.Agents[0].Ops+"/metrics").Body; !strings.Contains(metrics, `tidegate_concurrency_limit{arm="stable",service="work"}`) {
		t.Error("the limit is not among the metrics")
	}
	if full() {
		bare := figuresOf(crowd(t, proxy, 5*capacity, 10*time.Second, map[string]float64{"/bare": 1}), 10*time.Second)
		t.Logf("five times, without a limit: %s", bare)
	}
}
