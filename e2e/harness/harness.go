// Package harness runs the whole of Tidegate as its users do, `tidegate up` with the real binaries and a real Postgres, and
// drives it from outside: the CLI, the admin API, and the proxies of the agents. It imports nothing of either plane.
package harness

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Options shape a stack.
type Options struct {
	// Agents is how many agents run. Default 3.
	Agents int
	// ControlPlanes is how many replicas of the control plane run. Default 1.
	ControlPlanes int
	// Demo applies the demo configuration.
	Demo bool
	// Disk gives Postgres a disk of its own, of so many MiB; 0: none. The test is skipped where nothing may be mounted.
	Disk int
}

// Stack is one running Tidegate, with a Postgres, ports and a state directory of its own.
type Stack struct {
	t       testing.TB
	Ready   Ready
	dir     string
	up      *exec.Cmd
	log     *tail
	ended   chan struct{}
	stopped sync.Once
}

// Ready is what `tidegate up -o json` prints once everything answers.
type Ready struct {
	Admin        string         `json:"admin"`
	AgentAddress string         `json:"agent_address"`
	Ops          string         `json:"ops"`
	TokenFile    string         `json:"token_file"`
	DatabaseURL  string         `json:"database_url"`
	Agents       []Agent        `json:"agents"`
	Replicas     []Replica      `json:"replicas"`
	PIDs         map[string]int `json:"pids"`
	Demo         struct {
		Upstreams []string `json:"upstreams"`
		Key       string   `json:"key"`
		Curl      string   `json:"curl"`
	} `json:"demo"`
}

// Replica is one replica of the control plane.
type Replica struct {
	Name         string `json:"name"`
	Admin        string `json:"admin"`
	AgentAddress string `json:"agent_address"`
	Ops          string `json:"ops"`
}

// Agent is one agent of the stack.
type Agent struct {
	Name  string `json:"name"`
	Proxy string `json:"proxy"`
	TLS   string `json:"tls"`
	Ops   string `json:"ops"`
	PID   int    `json:"pid"`
}

const (
	startTimeout = 90 * time.Second
	stopTimeout  = 30 * time.Second
)

// Start runs a stack until the test ends. The test fails if the stack does not come up, or does not stop whole.
func Start(t testing.TB, o Options) *Stack {
	t.Helper()
	if o.Agents == 0 {
		o.Agents = 3
	}
	s := &Stack{t: t, dir: stateDir(t), log: &tail{}, ended: make(chan struct{})}
	if o.Disk > 0 {
		s.mountDisk(o.Disk)
	}
	args := []string{"up", "--state-dir", s.dir, "--ports", "0", "--agents", itoa(o.Agents), "-o", "json"}
	if o.ControlPlanes > 1 {
		args = append(args, "--control-planes", itoa(o.ControlPlanes))
	}
	if !o.Demo {
		args = append(args, "--no-demo")
	}
	// Not ended by the test's context: Stop ends it as Ctrl-C does.
	s.up = exec.CommandContext(context.WithoutCancel(t.Context()), Binary(t, "tidegate"), args...)
	s.up.Env = append(os.Environ(), "HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir)
	s.up.Stderr = s.log
	stdout, err := s.up.StdoutPipe()
	if err != nil {
		t.Fatalf("opening the output of tidegate up: %v", err)
	}
	if err := s.up.Start(); err != nil {
		t.Fatalf("starting tidegate up: %v", err)
	}
	t.Cleanup(s.Stop)
	first := make(chan error, 1)
	go func() {
		defer close(s.ended)
		reader := bufio.NewReader(stdout)
		first <- json.NewDecoder(reader).Decode(&s.Ready)
		_, _ = io.Copy(io.Discard, reader)
		_ = s.up.Wait()
	}()
	select {
	case err := <-first:
		if err != nil {
			t.Fatalf("tidegate up did not come up: %v\n%s", err, s.log)
		}
	case <-time.After(startTimeout):
		t.Fatalf("tidegate up did not come up in %s\n%s", startTimeout, s.log)
	}
	return s
}

// Says reports whether `tidegate up` said something lately.
func (s *Stack) Says(text string) bool { return strings.Contains(s.log.String(), text) }

// Stop ends the stack as Ctrl-C does, and checks that none of its processes stays.
func (s *Stack) Stop() {
	s.stopped.Do(func() {
		_ = s.up.Process.Signal(syscall.SIGINT)
		select {
		case <-s.ended:
		case <-time.After(stopTimeout):
			_ = s.up.Process.Kill()
			<-s.ended
			s.t.Errorf("tidegate up did not stop in %s\n%s", stopTimeout, s.log)
		}
		for name, pid := range s.Ready.PIDs {
			if alive(pid) {
				s.t.Errorf("%s (%d) still runs after the stack stopped", name, pid)
			}
		}
		if s.t.Failed() {
			s.t.Logf("the end of the stack's log:\n%s", s.log)
		}
	})
}

func alive(pid int) bool {
	if pid == 0 || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return false
	}
	stat, err := os.ReadFile(filepath.Join("/proc", itoa(pid), "stat"))
	return err != nil || !bytes.Contains(stat, []byte(") Z ")) // a zombie is gone
}

// Binary is the path of one of the programs that `make build` made.
func Binary(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(root(t), "bin", name)
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("%s is missing: run `make build`", path)
	}
	return path
}

// root is the folder of the repository.
func root(t testing.TB) string {
	t.Helper()
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("the harness does not know where it is")
	}
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// stateDir is a folder that Postgres's account can reach, also when the tests run as root.
func stateDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tidegate-e2e-")
	if err != nil {
		t.Fatalf("making a state directory: %v", err)
	}
	if err := os.Chmod(dir, 0o711); err != nil { //nolint:gosec // Postgres's account must be able to pass
		t.Fatalf("opening the state directory: %v", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 32 << 10

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if over := len(l.text) - tailSize; over > 0 {
		l.text = append(l.text[:0], l.text[over:]...)
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// CLI runs `tidegate` against the stack and returns what it printed and its exit code.
func (s *Stack) CLI(args ...string) (stdout string, code int) {
	s.t.Helper()
	return s.CLIWithInput("", args...)
}

// CLIWithInput is CLI with something on standard input.
func (s *Stack) CLIWithInput(input string, args ...string) (stdout string, code int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, Binary(s.t, "tidegate"), args...)
	cmd.Env = append(os.Environ(), "HOME="+s.dir, "XDG_CONFIG_HOME="+s.dir,
		"TIDEGATE_SERVER="+s.Ready.Admin, "TIDEGATE_TOKEN_FILE="+s.Ready.TokenFile)
	cmd.Stdin = strings.NewReader(input)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		s.t.Fatalf("tidegate %s: %v", strings.Join(args, " "), err)
	}
	s.t.Logf("$ tidegate %s → %d\n%s%s", strings.Join(args, " "), code, out.String(), errs.String())
	return out.String() + errs.String(), code
}

// MustCLI is CLI that must exit with 0.
func (s *Stack) MustCLI(args ...string) string {
	s.t.Helper()
	out, code := s.CLI(args...)
	if code != 0 {
		s.t.Fatalf("tidegate %s exited with %d:\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// Apply applies a declarative file and waits for its rollout; it must end well.
func (s *Stack) Apply(file string, flags ...string) string {
	s.t.Helper()
	out, code := s.CLIWithInput(file, append([]string{"apply", "-f", "-"}, flags...)...)
	if code != 0 {
		s.t.Fatalf("tidegate apply exited with %d:\n%s", code, out)
	}
	return out
}

// Dir is the stack's state directory: everything that it writes.
func (s *Stack) Dir() string { return s.dir }
