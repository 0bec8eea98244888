package main

import (
	"testing"
)

func TestTheLastLineOfATool(t *testing.T) {
	t.Parallel()
	got, err := parseLastLine([]byte("Running 2s test\n\n{\"completed\":10,\"seconds\":2.5,\"failed\":1,\"p50\":1.5,\"p99\":2,\"p999\":3,\"max\":4}\n"))
	if err != nil || got != (outcome{Completed: 10, Seconds: 2.5, Failed: 1, P50: 1.5, P99: 2, P999: 3, Max: 4}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := parseLastLine([]byte("Running 2s test\nunable to connect\n")); err == nil {
		t.Error("a summary was read where there is none")
	}
}

func TestWhatH2loadPrints(t *testing.T) {
	t.Parallel()
	summary := []byte("finished in 1.00s, 3.00 req/s, 1KB/s\nrequests: 4 total, 4 started, 4 done, 3 succeeded, 1 failed, 0 errored, 0 timeout\n")
	log := []byte("1000000\t200\t100\n1000500\t200\t300\n1400000\t500\t100000\n1400000\t200\t200\n")
	got, err := parseH2load(summary, log)
	if err != nil || got != (outcome{Completed: 4, Failed: 1, Seconds: 0.5, P50: 200, P99: 100000, P999: 100000, Max: 100000}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := parseH2load([]byte("could not connect"), nil); err == nil {
		t.Error("a summary was read where there is none")
	}
}
