package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tidegate.dev/e2e/harness"
)

// nobody is the user without rights, by convention.
const nobody = 65534

// sandbox runs a program ($2 and what follows) as nobody, without capabilities, where nothing but one folder ($1) can be written.
const sandbox = `
set -eu
mount --bind "$1" "$1"
mount -o remount,bind,ro /
if touch /probe 2>/dev/null; then echo "the root is not read-only" >&2; exit 99; fi
shift
exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all "$@"
`

// An agent needs a folder for its state, and nothing else.
func TestAnAgentRunsAsANormalUserOnAReadOnlyRoot(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can make a root that is read-only")
	}
	s := harness.Start(t, harness.Options{Agents: 1})
	up := harness.NewUpstream(t, "up")
	proxy := sandboxed(t, s, "sandbox")
	for _, path := range []string{"/one", "/two"} {
		s.Apply(fmt.Sprintf(`
fleet: sandbox
services: [{name: up, url: %q}]
routes: [{name: up, service: up, match: {paths: [%q]}}]
`, up.URL, path), "--strategy", "immediate")
		harness.Eventually(t, 10*time.Second, path+" is served", func() error {
			if r, err := harness.Get(t.Context(), proxy+path); err != nil || r.Status != http.StatusOK {
				return fmt.Errorf("%d, %w", r.Status, err)
			}
			return nil
		})
	}
}

// sandboxed starts an agent in the sandbox, for a fleet of its own.
func sandboxed(t *testing.T, s *harness.Stack, fleet string) (proxy string) {
	t.Helper()
	if r := s.Admin(http.MethodPost, "/v1/fleets", map[string]string{"name": fleet}, nil); r.Status != http.StatusOK {
		t.Fatalf("making the fleet: %d %s", r.Status, r.Body)
	}
	var token struct {
		Token string `json:"token"`
	}
	if r := s.Admin(http.MethodPost, "/v1/joinTokens", map[string]string{"fleet": fleet}, &token); r.Status != http.StatusOK {
		t.Fatalf("asking for a token to join: %d %s", r.Status, r.Body)
	}
	dir, err := os.MkdirTemp("", "tidegate-sandbox-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	tokenFile := filepath.Join(dir, "join.token")
	if err := os.WriteFile(tokenFile, []byte(token.Token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, tokenFile} {
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	runSandboxed(t, dir, harness.Binary(t, "tidegate-agent"), "--name", fleet, "--state-dir", filepath.Join(dir, "state"), "--join-token-file", tokenFile,
		"--control-plane", s.Ready.AgentAddress, "--proxy-address", "127.0.0.1:0", "--tls-address", "127.0.0.1:0", "--ops-address", "127.0.0.1:0")
	harness.Eventually(t, 30*time.Second, "the agent is connected", func() error {
		var f harness.Fleet
		if r := s.Admin(http.MethodGet, "/v1/fleets/"+fleet, nil, &f); r.Status != http.StatusOK || f.AgentsConnected != 1 {
			return fmt.Errorf("%d, %d agents", r.Status, f.AgentsConnected)
		}
		return nil
	})
	var listed struct {
		Agents []struct {
			Listeners []string `json:"listeners"`
		} `json:"agents"`
	}
	if r := s.Admin(http.MethodGet, "/v1/fleets/"+fleet+"/agents", nil, &listed); r.Status != http.StatusOK || len(listed.Agents) != 1 {
		t.Fatalf("%d, %+v", r.Status, listed)
	}
	for _, address := range listed.Agents[0].Listeners {
		if strings.HasPrefix(address, "http://") {
			return address
		}
	}
	t.Fatalf("the agent listens on %v", listed.Agents[0].Listeners)
	return ""
}

func runSandboxed(t *testing.T, dir string, command ...string) {
	t.Helper()
	args := append([]string{"--mount", "--propagation", "private", "sh", "-c", sandbox, "sh", dir}, command...)
	agent := exec.CommandContext(context.WithoutCancel(t.Context()), "unshare", args...)
	log := new(strings.Builder)
	agent.Stderr = log
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = agent.Process.Signal(syscall.SIGTERM)
		err := agent.Wait()
		if err != nil || t.Failed() {
			t.Errorf("the agent ended with %v:\n%s", err, log)
		}
	})
}
