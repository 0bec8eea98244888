package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// running is a child process whose end can be waited for by many.
type running struct {
	pid  int
	done chan struct{} // closed when the process has ended and err is set
	err  error
}

// spawn starts a command and owns the goroutine that waits for its end.
func spawn(command *exec.Cmd) (*running, error) {
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", command.Path, err)
	}
	child := &running{pid: command.Process.Pid, done: make(chan struct{})}
	go func() {
		child.err = command.Wait()
		close(child.done)
	}()
	return child, nil
}

func (r *running) ended() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// endedWithin waits for the end for a while, or shorter when interrupted is closed.
func (r *running) endedWithin(limit time.Duration, interrupted <-chan struct{}) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-r.done:
	case <-timer.C:
	case <-interrupted:
	}
	return r.ended()
}

// signalProcess sends a signal; a process that is gone is no error.
func signalProcess(pid int, signal syscall.Signal) error {
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("sending signal %v to process %d: %w", signal, pid, err)
	}
	return nil
}

// childrenOf lists the direct children of a process. Postgres's are in sessions of their own, so that no process
// group holds them.
func childrenOf(pid int) ([]int, error) {
	parents, err := parentsFromProc()
	if errors.Is(err, os.ErrNotExist) { // macOS has no /proc.
		parents, err = parentsFromPs()
	}
	if err != nil {
		return nil, fmt.Errorf("listing the children of process %d: %w", pid, err)
	}
	var children []int
	for child, parent := range parents {
		if parent == pid {
			children = append(children, child)
		}
	}
	return children, nil
}

// parentsFromProc reads /proc/PID/stat of every process (proc(5)): the parent is the second field after the command's
// name, which stands in parentheses and may contain anything.
func parentsFromProc() (map[int]int, error) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	parents := make(map[int]int, len(entries))
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
		if len(fields) < 2 {
			continue
		}
		if parent, err := strconv.Atoi(fields[1]); err == nil {
			parents[pid] = parent
		}
	}
	return parents, nil
}

func parentsFromPs() (map[int]int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	output, err := exec.CommandContext(ctx, "ps", "-A", "-o", "pid=,ppid=").Output()
	if err != nil {
		return nil, fmt.Errorf("running ps: %w", err)
	}
	parents := make(map[int]int)
	for line := range strings.Lines(string(output)) {
		var pid, parent int
		if _, err := fmt.Sscan(line, &pid, &parent); err == nil {
			parents[pid] = parent
		}
	}
	return parents, nil
}

// isPostmaster says whether the process is the Postgres server of this data folder, and not another that got the
// number of a dead one. A postmaster works in its data folder; where that cannot be seen, its arguments name it.
func isPostmaster(pid int, data string) bool {
	if pid <= 1 || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	if _, err := os.Stat("/proc/self/cwd"); err == nil {
		dir, err := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "cwd"))
		return err == nil && dir == canonicalPath(data)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	output, err := exec.CommandContext(ctx, "ps", "-ww", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && strings.Contains(string(output), "-D "+data+" ")
}
