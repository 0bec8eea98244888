package up

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"tidegate.dev/controlplane/cli/client"
	"tidegate.dev/controlplane/cli/login"
	"tidegate.dev/controlplane/local"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// fleet is the one that everything here belongs to.
const fleet = "default"

func (s *stack) newSupervisor() *local.Supervisor {
	output := io.Discard
	if s.config.Verbose {
		output = s.config.Progress
	}
	return local.NewSupervisor(local.SupervisorConfig{
		Output: output, LogDir: s.config.file("logs"), OnEvent: s.onEvent, LongestPause: 3 * time.Second,
	})
}

// onEvent tells what people want to know of the children's lives; the rest is in the logs.
func (s *stack) onEvent(e local.Event) {
	switch e.Kind {
	case local.EventReady:
		s.config.say("%s: ready", e.Process)
	case local.EventExited:
		s.config.say("%s: it ended (%v); its log: %s", e.Process, e.Err, s.config.file("logs", e.Process+".log"))
	case local.EventRetrying:
		s.config.say("%s: starting it again in %s", e.Process, e.After.Round(time.Millisecond))
	case local.EventWaiting:
		if e.After > 5*time.Second {
			s.config.say("%s: not ready after %s: %v", e.Process, e.After.Round(time.Second), e.Err)
		}
	case local.EventKilled:
		s.config.say("%s: it did not end in time and was killed", e.Process)
	case local.EventStarted, local.EventSucceeded:
		s.runsAs(e.Process, e.PID)
	case local.EventStopping, local.EventStopped:
	}
}

// environment is ours without what would set flags of the children.
func environment(extra ...string) []string {
	var kept []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "TIDEGATE_") && !strings.HasPrefix(variable, "DATABASE_URL=") {
			kept = append(kept, variable)
		}
	}
	return append(kept, extra...)
}

// startControlPlane starts the i-th replica. They share the database and the master key, and the first makes both.
func (s *stack) startControlPlane(ctx context.Context, i int) error {
	ports := s.layout.replicas()[i]
	return s.supervisor.Start(ctx, local.Process{
		Name: replicaName(i), Path: s.config.program(programControlPlane), Dir: s.config.StateDir,
		Args: []string{
			"--replica", replicaName(i),
			"--admin-address", address(ports.admin), "--agent-address", address(ports.agents), "--ops-address", address(ports.ops),
			"--master-key-file", s.config.file("master.key"), "--bootstrap-token-file", s.tokenFile(),
		},
		Env:   environment("DATABASE_URL=" + s.postgres.URL()), // it holds the password
		Ready: local.HTTPProbe("http://" + address(ports.ops) + "/readyz"), ReadyTimeout: time.Minute,
		StopTimeout: 10 * time.Second, Restart: true,
	})
}

// startAgent starts the i-th agent, with a token to join for the case that it has no identity yet.
func (s *stack) startAgent(ctx context.Context, i int) error {
	name, ports := agentName(i), s.layout.agent[i]
	dir := s.config.file("agents", name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the folder of %s: %w", name, err)
	}
	tokenFile := s.config.file("agents", name+".join")
	var token adminv1.CreateJoinTokenResponse
	if err := s.client.Post(ctx, client.Path("joinTokens"), &adminv1.CreateJoinTokenRequest{Fleet: fleet}, &token); err != nil {
		return fmt.Errorf("asking for a token with which %s joins: %w", name, err)
	}
	if err := login.WritePrivate(tokenFile, []byte(token.GetToken()+"\n")); err != nil {
		return err
	}
	return s.supervisor.Start(ctx, local.Process{
		Name: name, Path: s.config.program(programAgent), Dir: dir,
		Args: []string{
			"--name", name, "--state-dir", dir, "--join-token-file", tokenFile, "--control-plane", s.layout.agentAddresses(),
			"--proxy-address", address(ports.proxy), "--tls-address", address(ports.tls), "--ops-address", address(ports.ops),
			"--access-log", s.config.file("logs", name+".access.log"), "--drain-timeout", "5s",
		},
		Env:         environment(),
		Ready:       local.HTTPProbe("http://" + address(ports.ops) + "/healthz"),
		StopTimeout: 10 * time.Second, Restart: true, HandsOver: true,
	})
}

func upstreamName(i int) string { return "upstream-" + demoUpstreams()[i] }

func (s *stack) startUpstream(ctx context.Context, i int) error {
	at := address(s.layout.upstreams[i])
	return s.supervisor.Start(ctx, local.Process{
		Name: upstreamName(i), Path: s.config.program(programDemo), Dir: s.config.StateDir,
		Args: []string{"upstream", "--address", at, "--name", demoUpstreams()[i]},
		Env:  environment(), Ready: local.HTTPProbe("http://" + at + "/healthz"),
		StopTimeout: 5 * time.Second, Restart: true,
	})
}

func portOf(port int) string { return strconv.Itoa(port) }
