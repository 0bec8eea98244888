package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// newArena is one without a stack, with its upstream running.
func newArena(t *testing.T) *arena {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		t.Skip("gcc is not here")
	}
	a, err := openArena(t.Context(), "", false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	return a
}

func TestTheUpstreamAnswersAsProxiesMust(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	if err := verify(t.Context(), subjectByName(direct), &instance{http: a.upstreamPort}, a.key); err != nil {
		t.Error(err)
	}
}

func TestTheLoaderKeepsItsRate(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	r := request{scenario: scenario{Connections: 8}, port: a.upstreamPort, path: smallPath(false), rate: 2000, seconds: 1}
	got, err := driveLoader(t.Context(), a, r)
	if err != nil {
		t.Fatal(err)
	}
	if got.Scheduled < 1700 || got.Scheduled > 2300 || got.Completed != got.Scheduled || got.InTime > got.Completed || got.Failed != 0 || got.P50 <= 0 || got.P99 < got.P50 {
		t.Errorf("at 2,000 requests a second it saw %+v", got)
	}
}

// A server that stands still for a while must be charged with every request that should have begun meanwhile, not only with
// those that it had.
func TestTheLoaderChargesStallsInFull(t *testing.T) {
	t.Parallel()
	a := newArena(t)
	const stall = 400 * time.Millisecond
	var requests atomic.Int64
	var door sync.RWMutex
	body := bytes.Repeat([]byte("x"), smallBody)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if requests.Add(1) == 500 { // of 1,000, of which the first 100 warm up
			door.Lock()
			time.AfterFunc(stall, door.Unlock)
		}
		door.RLock()
		defer door.RUnlock()
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	r := request{scenario: scenario{Connections: 2}, port: portOf(t, server.URL), path: "/", rate: 500, seconds: 2}
	got, err := driveLoader(t.Context(), a, r)
	if err != nil {
		t.Fatal(err)
	}
	// 2 of 1,000 requests were under way; about 200 should have begun during the stall, so one in five waited.
	if got.P99 < 200_000 || got.Max < float64(stall.Microseconds())*0.9 {
		t.Errorf("a stall of %s looks like %+v", stall, got)
	}
}
