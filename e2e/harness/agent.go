package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// OwnAgent is an agent that the test started itself.
type OwnAgent struct {
	Agent
	t       testing.TB
	args    []string
	process *exec.Cmd
	ended   chan struct{}
	log     *tail

	stateDir string
	under    []string
}

// StartAgent lets an agent of the test's own join a fleet, which is made if it is not there, with further flags. It runs until
// the test ends.
func (s *Stack) StartAgent(t testing.TB, fleet string, flags ...string) *OwnAgent {
	t.Helper()
	if r := s.Admin(http.MethodPost, "/v1/fleets", map[string]string{"name": fleet}, nil); r.Status != http.StatusOK && r.Status != http.StatusConflict {
		t.Fatalf("making the fleet %s: %d %s", fleet, r.Status, r.Body)
	}
	var token struct {
		Token string `json:"token"`
	}
	if r := s.Admin(http.MethodPost, "/v1/joinTokens", map[string]string{"fleet": fleet}, &token); r.Status != http.StatusOK {
		t.Fatalf("asking for a token to join: %d %s", r.Status, r.Body)
	}
	dir := t.TempDir()
	tokenFile := filepath.Join(dir, "join.token")
	if err := os.WriteFile(tokenFile, []byte(token.Token+"\n"), 0o600); err != nil {
		t.Fatalf("writing the token to join: %v", err)
	}
	proxy, ops, stateDir := freeAddress(t), freeAddress(t), filepath.Join(dir, "state")
	a := &OwnAgent{
		Agent: Agent{Name: fleet, Proxy: "http://" + proxy, Ops: "http://" + ops}, t: t, log: &tail{}, stateDir: stateDir,
		args: append([]string{
			"--name", fleet, "--state-dir", stateDir, "--join-token-file", tokenFile, "--control-plane", s.Ready.AgentAddress,
			"--proxy-address", proxy, "--tls-address", "127.0.0.1:0", "--ops-address", ops, "--drain-timeout", "5s",
		}, flags...),
	}
	a.start()
	t.Cleanup(func() {
		a.stop()
		if t.Failed() {
			t.Logf("the end of the log of the agent of %s:\n%s", fleet, a.log)
		}
	})
	s.waitConnected(t, fleet)
	return a
}

// Served is what an agent says that it serves.
type Served struct {
	Connected  bool   `json:"connected"`
	Stable     int    `json:"stable_revision"`
	Candidate  int    `json:"candidate_revision"`
	Epoch      int    `json:"epoch"`
	Generation int    `json:"generation"`
	BootID     string `json:"boot_id"`
	Refused    string `json:"refused"`
	Pinned     bool   `json:"pinned"`
	Dropped    []Gone `json:"dropped"`
}

// Gone is a revision that an agent will not serve again.
type Gone struct {
	Revision int    `json:"revision"`
	Reason   string `json:"reason"`
}

// Serves asks the agent itself.
func (a *Agent) Serves(ctx context.Context) (served Served, err error) {
	r, err := Get(ctx, a.Ops+"/debug/config")
	if err != nil {
		return Served{}, err
	}
	if err := json.Unmarshal([]byte(r.Body), &served); err != nil {
		return Served{}, fmt.Errorf("reading what %s serves: %w", a.Name, err)
	}
	return served, nil
}

// StateDir is the agent's folder.
func (a *OwnAgent) StateDir() string { return a.stateDir }

// Kill ends the agent as a crash does.
func (a *OwnAgent) Kill() {
	a.t.Helper()
	_ = a.process.Process.Kill()
	<-a.ended
}

// Start starts it again after Kill.
func (a *OwnAgent) Start() {
	a.t.Helper()
	a.start()
}

// Under has a program start the agent from the next start on, given the agent's command line behind its own arguments.
func (a *OwnAgent) Under(command ...string) { a.under = command }

// Ended is closed when the process that runs now has ended.
func (a *OwnAgent) Ended() <-chan struct{} { return a.ended }

// Log is the end of what the agent said.
func (a *OwnAgent) Log() string { return a.log.String() }

// Restart ends the agent as an operator does, and starts it again on what it has on its disk.
func (a *OwnAgent) Restart() {
	a.t.Helper()
	a.stop()
	a.start()
}

func (a *OwnAgent) start() {
	a.t.Helper()
	command := append(append([]string(nil), a.under...), Binary(a.t, "tidegate-agent"))
	command = append(command, a.args...)
	a.process = exec.CommandContext(context.WithoutCancel(a.t.Context()), command[0], command[1:]...)
	a.process.Stderr = a.log
	if err := a.process.Start(); err != nil {
		a.t.Fatalf("starting an agent: %v", err)
	}
	a.PID = a.process.Process.Pid
	ended := make(chan struct{})
	a.ended = ended
	process := a.process
	go func() {
		defer close(ended)
		_ = process.Wait()
	}()
}

func (a *OwnAgent) stop() {
	a.t.Helper()
	_ = a.process.Process.Signal(syscall.SIGTERM)
	select {
	case <-a.ended:
	case <-time.After(stopTimeout):
		_ = a.process.Process.Kill()
		<-a.ended
		a.t.Errorf("the agent of %s did not stop in %s", a.Name, stopTimeout)
	}
}

func (s *Stack) waitConnected(t testing.TB, fleet string) {
	t.Helper()
	Eventually(t, startTimeout, "the agent of "+fleet+" is connected", func() error {
		var f Fleet
		if r, err := s.TryAdmin(http.MethodGet, "/v1/fleets/"+fleet, nil, &f); err != nil || r.Status != http.StatusOK {
			return errors.Join(err, fmt.Errorf("reading the fleet: %d", r.Status))
		}
		if f.AgentsConnected == 0 {
			return errors.New("no agent is connected")
		}
		return nil
	})
}

func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("looking for a free port: %v", err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
