package local

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A process that hands over starts its successor in its own group, and ends when that serves. Nobody but init learns of the
// successor's end, so it is looked for.

// lineagePause is the time between two looks at a group whose first process has ended.
const lineagePause = 100 * time.Millisecond

// spawnLineage is spawn for a process that hands over: it has ended when no process of its group lives any more. told learns of
// each process that has taken over.
func spawnLineage(command *exec.Cmd, told func(pid int)) (*running, error) {
	first, err := spawn(command)
	if err != nil {
		return nil, err
	}
	lineage := &running{pid: first.pid, done: make(chan struct{})}
	go func() {
		defer close(lineage.done)
		<-first.done
		lineage.err = first.err
		awaitGroup(first.pid, told)
	}()
	return lineage, nil
}

func awaitGroup(group int, told func(pid int)) {
	tick := time.NewTicker(lineagePause)
	defer tick.Stop()
	for last := group; ; <-tick.C {
		pid := youngestOf(group)
		if pid == 0 {
			return
		}
		if pid != last {
			last = pid
			told(pid)
		}
	}
}

// youngestOf is the living process of a group that was started last; 0: there is none. A process that has ended and was not
// waited for does not live.
func youngestOf(group int) int {
	members, err := groupFromProc(group)
	if errors.Is(err, fs.ErrNotExist) { // macOS has no /proc.
		members = groupFromPs(group)
	}
	youngest := 0
	for _, pid := range members {
		youngest = max(youngest, pid)
	}
	return youngest
}

// groupFromProc reads /proc/PID/stat (proc(5)): behind the name are the state, the parent and the group.
func groupFromProc(group int) (members []int, err error) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", entry.Name(), "stat"))
		if err != nil {
			continue // It ended meanwhile.
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		if len(fields) > 2 && lives(fields[0]) && fields[2] == strconv.Itoa(group) {
			members = append(members, pid)
		}
	}
	return members, nil
}

func groupFromPs(group int) (members []int) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	output, err := exec.CommandContext(ctx, "ps", "-A", "-o", "pid=,pgid=,stat=").Output()
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(output)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || fields[1] != strconv.Itoa(group) || !lives(fields[2]) {
			continue
		}
		if pid, err := strconv.Atoi(fields[0]); err == nil {
			members = append(members, pid)
		}
	}
	return members
}

// lives reads a state: those that begin with Z and X are of processes that have ended.
func lives(state string) bool {
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}
