package harness

import (
	"context"
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

// StartAgent lets an agent of the test's own join a fleet, which is made if it is not there, with further flags. It runs until
// the test ends.
func (s *Stack) StartAgent(t testing.TB, fleet string, flags ...string) Agent {
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
	proxy, ops := freeAddress(t), freeAddress(t)
	log := &tail{}
	agent := exec.CommandContext(context.WithoutCancel(t.Context()), Binary(t, "tidegate-agent"), append([]string{
		"--name", fleet, "--state-dir", filepath.Join(dir, "state"), "--join-token-file", tokenFile, "--control-plane", s.Ready.AgentAddress,
		"--proxy-address", proxy, "--tls-address", "127.0.0.1:0", "--ops-address", ops, "--drain-timeout", "5s",
	}, flags...)...)
	agent.Stderr = log
	if err := agent.Start(); err != nil {
		t.Fatalf("starting an agent: %v", err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = agent.Wait()
	}()
	t.Cleanup(func() {
		_ = agent.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(stopTimeout):
			_ = agent.Process.Kill()
			<-ended
			t.Errorf("the agent of %s did not stop in %s", fleet, stopTimeout)
		}
		if t.Failed() {
			t.Logf("the end of the log of the agent of %s:\n%s", fleet, log)
		}
	})
	s.waitConnected(t, fleet)
	return Agent{Name: fleet, Proxy: "http://" + proxy, Ops: "http://" + ops, PID: agent.Process.Pid}
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
