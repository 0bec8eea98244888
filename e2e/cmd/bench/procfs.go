package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// processorTime is what processes have used so far.
type processorTime struct{ User, System time.Duration }

func (t processorTime) total() time.Duration { return t.User + t.System }

func (t processorTime) since(earlier processorTime) processorTime {
	return processorTime{User: t.User - earlier.User, System: t.System - earlier.System}
}

// clockTick is the unit of times in /proc: USER_HZ, 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// stat is what we read of /proc/PID/stat (proc(5)).
type stat struct {
	parent int
	used   processorTime
}

// parseStat reads the fields behind the program's name, which stands in parentheses and may hold anything.
func parseStat(text []byte) (stat, error) {
	end := bytes.LastIndexByte(text, ')')
	if end < 0 {
		return stat{}, errors.New("no name in parentheses")
	}
	fields := strings.Fields(string(text[end+1:]))
	const parent, user, system = 1, 11, 12 // fields 4, 14 and 15 of the whole line
	if len(fields) <= system {
		return stat{}, fmt.Errorf("only %d fields", len(fields))
	}
	p, err := strconv.Atoi(fields[parent])
	u, errUser := strconv.ParseInt(fields[user], 10, 64)
	s, errSystem := strconv.ParseInt(fields[system], 10, 64)
	used := processorTime{User: time.Duration(u) * clockTick, System: time.Duration(s) * clockTick}
	return stat{parent: p, used: used}, errors.Join(err, errUser, errSystem)
}

// tree is a process and all that descend from it, by pid.
func tree(root int) ([]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	children := map[int][]int{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if s, err := readStat(pid); err == nil { // others end while we look
			children[s.parent] = append(children[s.parent], pid)
		}
	}
	all := []int{root}
	for i := 0; i < len(all); i++ {
		all = append(all, children[all[i]]...)
	}
	return all, nil
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return stat{}, fmt.Errorf("reading what process %d used: %w", pid, err)
	}
	return parseStat(text)
}

// usedBy sums the processor time of some processes.
func usedBy(pids []int) (processorTime, error) {
	var sum processorTime
	for _, pid := range pids {
		s, err := readStat(pid)
		if err != nil {
			return processorTime{}, err
		}
		sum.User += s.used.User
		sum.System += s.used.System
	}
	return sum, nil
}

// memory is what processes hold, in bytes: RSS counts pages that several share for each of them, PSS divides them.
type memory struct {
	RSS int64 `json:"rss"`
	PSS int64 `json:"pss"`
}

// memoryOf sums the memory of some processes, from smaps_rollup.
func memoryOf(pids []int) (memory, error) {
	var sum memory
	for _, pid := range pids {
		text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "smaps_rollup"))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			return memory{}, fmt.Errorf("reading what process %d holds: %w", pid, err)
		}
		one := parseMemory(text)
		sum.RSS += one.RSS
		sum.PSS += one.PSS
	}
	return sum, nil
}

func parseMemory(rollup []byte) memory {
	var m memory
	for line := range strings.Lines(string(rollup)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[2] != "kB" {
			continue
		}
		n, err := strconv.ParseInt(fields[1], 10, 64)
		switch {
		case err != nil:
		case fields[0] == "Rss:":
			m.RSS = n << 10
		case fields[0] == "Pss:":
			m.PSS = n << 10
		}
	}
	return m
}
