package proxy

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tidegate.dev/dataplane/snapshot"
	"tidegate.dev/dataplane/telemetry"
)

func TestTheCoinIsFairAndTheArmsAreCounted(t *testing.T) {
	t.Parallel()
	one, two := server(t, echo("one")), server(t, echo("two"))
	r := newRig(t, nil)
	const share, requests = 0.2, 4000
	stable := r.compile(simple(one.URL), nil)
	candidate := r.compile(simple(two.URL), stable)
	stable.Retain()
	r.proxy.Install(snapshot.Installation{Stable: stable, Candidate: candidate, SharePPM: share * 1e6, RolloutID: "r1"})
	seen := map[string]int{}
	var mu sync.Mutex
	parallel(8, requests/8, func() {
		// Whatever a client sends always the same way does not steer the coin.
		name := r.get("/x", "X-Request-Id", "always-the-same").echoed(t).Name
		mu.Lock()
		seen[name]++
		mu.Unlock()
	})
	// Four standard deviations of a binomial: one false alarm in 16,000 runs.
	mean, deviation := share*requests, math.Sqrt(requests*share*(1-share))
	if math.Abs(float64(seen["two"])-mean) > 4*deviation {
		t.Errorf("the candidate got %d of %d", seen["two"], requests)
	}
	// An exchange is recorded just after its response is read.
	for arm, name := range map[uint8]string{1: "one", 2: "two"} {
		eventually(t, "the arm's count", func() bool {
			return r.counted(func(k telemetry.CellKey) bool {
				return k.Arm == arm && k.Revision == int64(arm) && k.RolloutID == "r1" && k.SharePPM == share*1e6 && k.Route == "all" && k.StatusClass == 2
			}) == uint64(seen[name])
		})
	}
	if !r.proxy.DropCandidate("r1", "test") || r.proxy.DropCandidate("r1", "test") {
		t.Error("dropping twice")
	}
	for range 50 {
		if name := r.get("/x").echoed(t).Name; name != "one" {
			t.Fatal("the dropped candidate answers")
		}
	}
	stable.Release()
}

// parallel runs f so many times on each of so many goroutines.
func parallel(goroutines, times int, f func()) {
	var group sync.WaitGroup
	for range goroutines {
		group.Go(func() {
			for range times {
				f()
			}
		})
	}
	group.Wait()
}

func TestSwapsUnderLoadFailNoRequest(t *testing.T) {
	t.Parallel()
	swaps := 10_000
	if testing.Short() {
		swaps = 500
	}
	one, two := server(t, echo("one")), server(t, echo("two"))
	r := newRig(t, nil)
	lists := []resources{simple(one.URL), simple(two.URL)}
	previous := r.compile(lists[0], nil)
	previous.Retain()
	r.proxy.Install(snapshot.Installation{Stable: previous})
	stop := make(chan struct{})
	var served, failed atomic.Int64
	var group sync.WaitGroup
	for range 4 {
		client := &http.Client{Transport: &http.Transport{}}
		group.Go(func() {
			defer client.CloseIdleConnections()
			for {
				select {
				case <-stop:
					return
				default:
				}
				response, err := client.Get(r.url + "/x")
				if err == nil {
					_, err = io.Copy(io.Discard, response.Body)
					_ = response.Body.Close()
				}
				if err != nil || response.StatusCode != http.StatusOK {
					failed.Add(1)
				}
				served.Add(1)
			}
		})
	}
	for i := range swaps {
		// Another revision each time, and every other time a candidate beside it.
		next := r.compile(lists[i%2], previous)
		in := snapshot.Installation{Stable: next}
		next.Retain()
		if i%2 == 0 {
			in.Candidate, in.SharePPM, in.RolloutID = previous, 500_000, fmt.Sprint("r", i)
		} else {
			previous.Release()
		}
		r.proxy.Install(in)
		previous = next
	}
	close(stop)
	group.Wait()
	previous.Release()
	t.Logf("%d requests over %d swaps", served.Load(), swaps)
	if failed.Load() > 0 || served.Load() == 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), served.Load())
	}
	// All that was installed is let go of: one service of the last revision is left.
	eventually(t, "the services of former revisions are gone", func() bool { return r.registry.Len() <= 1 })
}

func TestDrainingLetsExchangesEnd(t *testing.T) {
	t.Parallel()
	arrived, finish := make(chan struct{}), make(chan struct{})
	up := server(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-finish
		_, _ = io.WriteString(w, "done")
	})
	r := newRig(t, nil)
	r.serve(simple(up.URL))
	answers := make(chan string, 1)
	go func() {
		response, err := http.Get(r.url)
		if err != nil {
			answers <- err.Error()
			return
		}
		defer func() { _ = response.Body.Close() }()
		body, _ := io.ReadAll(response.Body)
		answers <- fmt.Sprint(string(body), response.Close)
	}()
	<-arrived
	stopped := make(chan error, 1)
	go func() { stopped <- r.stop() }()
	eventually(t, "the port is closed", func() bool {
		conn, err := net.Dial("tcp", r.proxy.Address().String())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(finish)
	if got := <-answers; got != "donetrue" {
		t.Error(got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestDrainingEndsAtItsDeadline(t *testing.T) {
	t.Parallel()
	up := server(t, switching)
	hanging := server(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	r := newRig(t, func(c *Config) { c.DrainTimeout = 100 * time.Millisecond })
	r.serve(resources{
		"services/up": service(up.URL), "services/hanging": service(hanging.URL),
		"routes/up": route("up", "/ws"), "routes/hanging": route("hanging", "/hang"),
	})
	conn, err := net.Dial("tcp", r.proxy.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	both := upgraded(t, conn, "")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		request, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, r.url+"/hang", nil)
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
		}
	}()
	// The tunnel has let go.
	eventually(t, "the exchange runs", func() bool { return r.proxy.current.Load().running() == 1 })
	began := time.Now()
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Error("it took", took)
	}
	if _, err := both.ReadString('\n'); err == nil {
		t.Error("the tunnel lives")
	}
	<-ended
}
