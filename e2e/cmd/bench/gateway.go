package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// stack is a whole Tidegate that runs for the benchmarks alone: Postgres, the control plane and an agent that `tidegate up` wants.
// None of these is measured. The agent that is measured joins beside them, on the processors that proxies get.
type stack struct {
	up           *process
	admin        string // the admin API
	agentAddress string
	tokenFile    string
	key          string
	joinToken    string // a file
	agentDir     string
}

const stackTimeout = 2 * time.Minute

// startStack starts it, publishes the configuration, and makes a key and a token with which the agent joins.
func startStack(ctx context.Context, a *arena) (*stack, error) {
	program, err := findProgram("tidegate")
	if err != nil {
		return nil, err
	}
	s := &stack{joinToken: a.file("join-token"), agentDir: a.file("agent")}
	reader, writer := io.Pipe()
	s.up, err = startProcess(ctx, a.load, "tidegate up", writer, nil, program,
		"up", "--no-demo", "--ports", "auto", "--agents", "1", "--state-dir", a.file("stack"), "-o", "json")
	if err != nil {
		return nil, err
	}
	go func() {
		<-s.up.ended
		_ = writer.Close() // whoever reads is told
	}()
	if err = s.readReady(reader); err == nil {
		err = s.configure(ctx, a)
	}
	if err != nil {
		s.up.stop()
		return nil, errors.Join(err, errors.New(s.up.output.String()))
	}
	return s, nil
}

// readReady reads what `tidegate up` prints once it is ready; the rest of its output is thrown away.
func (s *stack) readReady(output io.Reader) error {
	var ready struct {
		Admin        string `json:"admin"`
		AgentAddress string `json:"agent_address"`
		TokenFile    string `json:"token_file"`
	}
	read := make(chan error, 1)
	go func() {
		read <- json.NewDecoder(output).Decode(&ready)
		_, _ = io.Copy(io.Discard, output)
	}()
	select {
	case err := <-read:
		if err != nil {
			return fmt.Errorf("reading what tidegate up prints: %w", err)
		}
	case <-time.After(stackTimeout):
		return fmt.Errorf("tidegate up was not ready within %s", stackTimeout)
	}
	s.admin, s.agentAddress, s.tokenFile = ready.Admin, ready.AgentAddress, ready.TokenFile
	return nil
}

func (s *stack) configure(ctx context.Context, a *arena) error {
	path := a.file("tidegate.yaml")
	data := struct {
		Upstream                          int
		CertificatePEM, CertificateKeyPEM string
	}{a.upstreamPort, string(a.certificate.pem), string(a.certificate.keyPEM)}
	if err := fill("peers/tidegate.yaml", path, data); err != nil {
		return err
	}
	if _, err := s.cli(ctx, "", "apply", "-f", path, "--message", "benchmarks"); err != nil {
		return err
	}
	key, err := s.cli(ctx, "", "key", "create", "bench")
	if err != nil {
		return err
	}
	s.key = strings.TrimSpace(string(key))
	token, err := s.cli(ctx, "", "agent", "join-token")
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.joinToken, token, 0o600); err != nil {
		return fmt.Errorf("writing the join token: %w", err)
	}
	return nil
}

// cli runs the command line against the stack.
func (s *stack) cli(ctx context.Context, input string, arguments ...string) ([]byte, error) {
	program, err := findProgram("tidegate")
	if err != nil {
		return nil, err
	}
	environment := []string{"TIDEGATE_SERVER=" + s.admin, "TIDEGATE_TOKEN_FILE=" + s.tokenFile}
	return runTool(ctx, "", environment, input, program, arguments...)
}

func (s *stack) close() { s.up.stop() }

// gateway is Tidegate's agent as a server.
type gateway struct{}

func (gateway) program() string { return "tidegate" }

// start runs the agent that is measured. Its folder stays, so that it joins once however often it is started.
func (gateway) start(ctx context.Context, a *arena, place placement) (*instance, error) {
	if a.stack == nil {
		return nil, errNoStack
	}
	program, err := findProgram("tidegate-agent")
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	agent, err := startProcess(ctx, place.Proxy, "tidegate-agent", nil, nil, program,
		"--name", "bench", "--state-dir", a.stack.agentDir, "--join-token-file", a.stack.joinToken, "--control-plane", a.stack.agentAddress,
		"--proxy-address", loopback(ports[0]), "--tls-address", loopback(ports[1]), "--ops-address", loopback(ports[2]),
		"--drain-timeout", "1s", "--log-level", "error")
	if err != nil {
		return nil, err
	}
	if err := agent.await(ctx, answering(ports[0], smallPath(true), a.key)); err != nil {
		agent.stop()
		return nil, err
	}
	return &instance{process: agent, http: ports[0], tls: ports[1], stop: agent.stop}, nil
}
