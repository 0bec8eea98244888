package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// roleVariable makes the test binary play a part in a test instead of running the tests.
const roleVariable = "TIDEGATE_LOCAL_TEST_ROLE"

func TestMain(m *testing.M) {
	roles := map[string]func() error{
		"":            func() error { os.Exit(m.Run()); return nil },
		"block":       block,
		"stubborn":    func() error { signal.Ignore(syscall.SIGTERM); fmt.Println("ready"); return block() },
		"parent":      parent,
		"fail":        func() error { fmt.Println("first line"); return errors.New("no configuration") },
		"owner":       owner,
		"serve-later": serveLater,
	}
	if err := roles[os.Getenv(roleVariable)](); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

// block waits until a signal ends the process.
func block() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, err = listener.Accept()
	return err
}

// parent has a child that ignores SIGTERM, names it, and blocks.
func parent() error {
	child := as("stubborn")
	if err := child.Start(); err != nil {
		return err
	}
	fmt.Println("child", child.Process.Pid)
	return block()
}

// serveLater listens where it is told once a file is there.
func serveLater() error {
	for {
		if _, err := os.Stat(os.Getenv("GATE")); err == nil {
			break
		}
		if err := pause(context.Background(), 5*time.Millisecond); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", os.Getenv("ADDRESS"))
	if err != nil {
		return err
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		_ = connection.Close()
	}
}

// pids is what the role owner says of itself.
type pids struct{ Postmaster, Port, Process, Grandchild int }

// owner runs a Postgres and a process with a child, says so, and blocks. It never stops them.
func owner() error {
	ctx := context.Background()
	postgres, err := Start(ctx, Config{Dir: os.Getenv("DIR"), Unsafe: true, Database: "postgres"})
	if err != nil {
		return err
	}
	said := make(lineChannel, 10)
	supervisor := NewSupervisor(SupervisorConfig{Output: said})
	if err := supervisor.Start(ctx, Process{Name: "parent", Path: os.Args[0], Env: env("parent")}); err != nil {
		return err
	}
	state := postgres.State()
	all := pids{Postmaster: state.PID, Port: state.Port, Process: supervisor.PID("parent")}
	if _, err := fmt.Sscanf(<-said, "parent | child %d", &all.Grandchild); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(all); err != nil {
		return err
	}
	return block()
}

// lineChannel is a writer that hands on what is written.
type lineChannel chan string

func (c lineChannel) Write(line []byte) (int, error) {
	c <- strings.TrimSuffix(string(line), "\n")
	return len(line), nil
}

// as is a command that runs the test binary in a role.
func as(role string, variables ...string) *exec.Cmd {
	command := exec.Command(os.Args[0])
	command.Env = env(role, variables...)
	return command
}

func env(role string, variables ...string) []string {
	return append(append(os.Environ(), roleVariable+"="+role), variables...)
}

// eventually looks until the condition is true.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(15 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// runs says whether the process runs; one that has ended and is not waited for does not.
func runs(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		_, procErr := os.Stat("/proc/self/stat")
		return procErr != nil // With /proc, it is gone; without, we must believe the signal.
	}
	return !strings.HasPrefix(string(stat[strings.LastIndexByte(string(stat), ')')+1:]), " Z")
}

// tempDir is t.TempDir where Postgres's account can reach it.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := TempDir("", "tidegate-local-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return canonicalPath(dir)
}

func writeFile(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}
