package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of times in /proc: USER_HZ, 100 on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// familyTime is what a process and its children have used so far, also those that have ended. Where there is no /proc it is 0.
func familyTime(pid int) (used time.Duration, err error) {
	if pid == 0 {
		return 0, nil
	}
	entries, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return 0, fmt.Errorf("listing processes: %w", err)
	}
	for _, entry := range entries {
		text, err := os.ReadFile(entry)
		if err != nil {
			continue // it has ended meanwhile
		}
		own, parent, all, ok := timesOf(text)
		if ok && (own == pid || parent == pid) {
			used += all
		}
	}
	return used, nil
}

// timesOf reads a process's id, its parent's, and its time with that of children that were waited for (proc(5)).
func timesOf(text []byte) (pid, parent int, used time.Duration, ok bool) {
	end := bytes.LastIndexByte(text, ')')
	first, _, _ := strings.Cut(string(text), " ")
	pid, err := strconv.Atoi(first)
	if end < 0 || err != nil {
		return 0, 0, 0, false
	}
	fields := strings.Fields(string(text[end+1:]))
	const parentField, firstTime, lastTime = 1, 11, 14 // fields 4 and 14 to 17 of the whole line
	if len(fields) <= lastTime {
		return 0, 0, 0, false
	}
	if parent, err = strconv.Atoi(fields[parentField]); err != nil {
		return 0, 0, 0, false
	}
	for _, field := range fields[firstTime : lastTime+1] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, 0, false
		}
		used += time.Duration(ticks) * clockTick
	}
	return pid, parent, used, true
}
