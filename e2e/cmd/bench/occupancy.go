package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// occupancy is what all processors did since the machine started, and what this program and its children that ended used of that.
type occupancy struct {
	all, idle, stolen, ours time.Duration
}

// occupied reads it. It is best read when no child runs.
func occupied() (occupancy, error) {
	o, err := parseOccupancy(firstLine("/proc/stat"))
	if err != nil {
		return occupancy{}, fmt.Errorf("reading what the processors did: %w", err)
	}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var usage syscall.Rusage
		if err := syscall.Getrusage(who, &usage); err != nil {
			return occupancy{}, fmt.Errorf("reading what we used: %w", os.NewSyscallError("getrusage", err))
		}
		o.ours += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return o, nil
}

// parseOccupancy reads the first line of /proc/stat (proc(5)): user, nice, system, idle, iowait, irq, softirq, steal.
func parseOccupancy(line string) (occupancy, error) {
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return occupancy{}, errors.New("it does not begin with the sum of all processors")
	}
	var times [8]time.Duration
	for i := range times {
		n, err := strconv.ParseInt(fields[i+1], 10, 64)
		if err != nil {
			return occupancy{}, err
		}
		times[i] = time.Duration(n) * clockTick
	}
	var o occupancy
	for _, t := range times {
		o.all += t
	}
	o.idle, o.stolen = times[3]+times[4], times[7]
	return o, nil
}

// since says which share of all processors others used since an earlier moment, and which share the host gave to other machines.
func (o occupancy) since(earlier occupancy) (others, stolen float64) {
	all := float64(o.all - earlier.all)
	if all <= 0 {
		return 0, 0
	}
	busy := all - float64(o.idle-earlier.idle) - float64(o.stolen-earlier.stolen)
	return max(0, busy-float64(o.ours-earlier.ours)) / all, float64(o.stolen-earlier.stolen) / all
}
