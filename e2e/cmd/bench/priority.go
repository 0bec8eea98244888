package main

import (
	"context"
	"strconv"
)

// At a fixed rate the load and the upstream run before all else on their processors (SCHED_FIFO), if the system lets us: else they
// wait for each other, and for the programs around, in slices of milliseconds, and a proxy that answers in a tenth of that is shown
// with what it has no part in. The upstream goes first, so that the load does not wait for what it waits for. At saturation they take
// turns as usual: an upstream that goes first there would be woken for each request, and the load be stopped.
const (
	priorityOfLoad     = 1
	priorityOfUpstream = 2
)

// mayRunFirst tells whether the system lets us.
func mayRunFirst(ctx context.Context) bool {
	_, err := runTool(ctx, "", nil, "", "chrt", "--fifo", strconv.Itoa(priorityOfUpstream), "true")
	return err == nil
}

// first makes a command one that runs first, if that can be.
func (a *arena) first(priority int, program string, arguments ...string) (string, []string) {
	if !a.runsFirst {
		return program, arguments
	}
	return "chrt", append([]string{"--fifo", strconv.Itoa(priority), program}, arguments...)
}

// rank has the upstream run first, or take turns as usual.
func (a *arena) rank(ctx context.Context, first bool) error {
	if !a.runsFirst {
		return nil
	}
	how := []string{"--other", "--pid", "0"}
	if first {
		how = []string{"--fifo", "--pid", strconv.Itoa(priorityOfUpstream)}
	}
	_, err := runTool(ctx, "", nil, "", "chrt", append(how, strconv.Itoa(a.upstream.pid()))...)
	return err
}
