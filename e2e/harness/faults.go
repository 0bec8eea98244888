package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// PID finds a process of the stack by its name: "postgres", "tidegate-controlplane", a replica's name, or an agent's. It is looked up
// anew each time, since `tidegate up` starts again what dies.
func (s *Stack) PID(name string) (int, error) {
	s.t.Helper()
	if name == "postgres" {
		return s.postgresPID()
	}
	children, err := descendants(context.WithoutCancel(s.t.Context()), s.up.Process.Pid)
	if err != nil {
		return 0, err
	}
	for _, pid := range children {
		line, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "cmdline"))
		if err != nil {
			continue
		}
		args := strings.Split(strings.TrimRight(string(line), "\x00"), "\x00")
		program := filepath.Base(args[0])
		if program == name || program == "tidegate-agent" && isNamed(args, "--name", name) ||
			program == "tidegate-controlplane" && isNamed(args, "--replica", name) {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("no process %s", name)
}

func isNamed(args []string, flag, name string) bool {
	for i, arg := range args {
		if arg == flag+"="+name || arg == flag && i+1 < len(args) && args[i+1] == name {
			return true
		}
	}
	return false
}

func (s *Stack) postgresPID() (int, error) {
	for _, pattern := range []string{"postgres/data/postmaster.pid", "postgres/*/postmaster.pid", "*/postmaster.pid"} {
		found, _ := filepath.Glob(filepath.Join(s.dir, pattern))
		for _, path := range found {
			text, err := os.ReadFile(path)
			if err != nil {
				continue
			}
			first, _, _ := strings.Cut(string(text), "\n")
			return strconv.Atoi(strings.TrimSpace(first))
		}
	}
	return 0, fmt.Errorf("no postmaster.pid under %s", s.dir)
}

// Kill sends a signal to a process of the stack.
func (s *Stack) Kill(name string, signal syscall.Signal) {
	s.t.Helper()
	pid, err := s.PID(name)
	if err != nil {
		s.t.Errorf("finding %s: %v", name, err)
		return
	}
	if err := syscall.Kill(pid, signal); err != nil {
		s.t.Errorf("sending %s to %s (%d): %v", signal, name, pid, err)
	}
}

// WaitRestarted waits until a process that was killed runs and the control plane answers.
func (s *Stack) WaitRestarted(name string) {
	s.t.Helper()
	Eventually(s.t, 30*time.Second, name+" runs again", func() error {
		if _, err := s.PID(name); err != nil {
			return err
		}
		_, err := s.TryAdmin("GET", fleetPath, nil, nil)
		return err
	})
}

// descendants are the processes below one, by pid.
func descendants(ctx context.Context, pid int) ([]int, error) {
	out, err := exec.CommandContext(ctx, "ps", "-e", "-o", "pid=,ppid=").Output()
	if err != nil {
		return nil, fmt.Errorf("listing processes: %w", err)
	}
	children := map[int][]int{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) != 2 {
			continue
		}
		child, _ := strconv.Atoi(fields[0])
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], child)
	}
	var all []int
	for queue := []int{pid}; len(queue) > 0; queue = queue[1:] {
		all = append(all, children[queue[0]]...)
		queue = append(queue, children[queue[0]]...)
	}
	return all, nil
}

// CutConnections ends every connection that a client has to Postgres, whatever it is doing: the server process of each gets the
// signal that pg_terminate_backend sends. It says how many there were.
func (s *Stack) CutConnections() int {
	s.t.Helper()
	postmaster, err := s.postgresPID()
	if err != nil {
		return 0 // it is being started again
	}
	children, err := descendants(context.WithoutCancel(s.t.Context()), postmaster)
	if err != nil {
		s.t.Errorf("looking for connections: %v", err)
		return 0
	}
	cut := 0
	for _, pid := range children {
		title, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "cmdline"))
		// "postgres: user database 127.0.0.1(5000) COMMIT"
		if err == nil && strings.Contains(string(title), " 127.0.0.1(") && syscall.Kill(pid, syscall.SIGTERM) == nil {
			cut++
		}
	}
	return cut
}
