package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// placement says which processors the proxy has and which the load has, the upstream and all else.
type placement struct {
	Cores       int
	Proxy, Load string // as taskset takes them
}

// placementFor gives the proxy some of so many processors. Load and upstream get others as long as there are any; with two
// processors of two they share both with the proxy, so that only the processor time tells.
func placementFor(cores, available int) (placement, error) {
	if available < 2 || cores >= available && cores > 2 {
		return placement{}, fmt.Errorf("%d processors are too few for a proxy on %d", available, cores)
	}
	first := func(from, n int) string {
		if n == 1 {
			return fmt.Sprint(from)
		}
		return fmt.Sprintf("%d-%d", from, from+n-1)
	}
	if cores == available {
		return placement{Cores: cores, Proxy: first(0, cores), Load: first(0, cores)}, nil
	}
	return placement{Cores: cores, Proxy: first(0, cores), Load: first(cores, available-cores)}, nil
}

// machine is where a run took place, and how quiet it was there.
type machine struct {
	Processor  string  `json:"processor"`
	Processors int     `json:"processors"`
	Kernel     string  `json:"kernel"`
	System     string  `json:"system"`
	GoVersion  string  `json:"go"`
	LoadBefore string  `json:"load_before"` // load averages of 1, 5 and 15 minutes
	LoadAfter  string  `json:"load_after"`
	Others     float64 `json:"others"` // the share of all processors that went to programs that are not of this run
	Stolen     float64 `json:"stolen"` // the share that the host gave to other machines
	// LoadRunsFirst says that the load at a fixed rate, and the upstream, ran before all else on their processors.
	LoadRunsFirst bool `json:"load_runs_first"`
}

// quiet is the share of others up to which a machine counts as quiet.
const quiet = 0.05

func thisMachine() machine {
	return machine{
		Processors: runtime.NumCPU(), GoVersion: runtime.Version(), LoadBefore: loadAverage(),
		Kernel: firstLine("/proc/sys/kernel/osrelease"), Processor: valueOf("/proc/cpuinfo", "model name"),
		System: strings.Trim(valueOf("/etc/os-release", "PRETTY_NAME"), `"`),
	}
}

func loadAverage() string {
	fields := strings.Fields(firstLine("/proc/loadavg"))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

// firstLine and valueOf say nothing where there is nothing: what they read is for people.
func firstLine(path string) string {
	text, _ := os.ReadFile(path)
	line, _, _ := strings.Cut(string(text), "\n")
	return line
}

func valueOf(path, name string) string {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		key, value, ok := strings.Cut(strings.ReplaceAll(line, "=", ":"), ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
